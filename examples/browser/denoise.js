// A network of `sedistill export` (--form stream) in onnxruntime-web: samples in, enhanced samples out.

import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";

ort.env.wasm.numThreads = 1; // more do not help so small a network, and need headers of the server

export class Denoiser {
  /** Opens a network; throws an Error that says what is wrong with it. */
  static async open(url) {
    const answer = await fetch(url, { cache: "no-store" }); // it may have been exported anew
    if (!answer.ok) throw new Error(`There is no ${url}; export a network to it (see above).`);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    const facts = metadata(bytes);
    if (facts.sedistill_form !== "stream") throw new Error(`${url} is no stream; export it with --form stream.`);
    return new Denoiser(await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 }), facts);
  }

  constructor(session, facts) {
    this.session = session;
    this.rate = Number(facts.sample_rate);
    this.step = Number(facts.step_samples);
    this.delay = Number(facts.delay_samples);
    this.latencyMs = Number(facts.latency_ms);
    this.shapes = JSON.parse(facts.state_shapes);
    this.reset();
  }

  reset() {
    this.states = this.shapes.map((shape) => {
      const size = shape.reduce((product, one) => product * one, 1);
      return new ort.Tensor("float32", new Float32Array(size), shape);
    });
  }

  /** One step: `step` samples to as many, `delay` samples late. */
  async next(samples) {
    const [noisy, ...names] = this.session.inputNames;
    const feeds = { [noisy]: new ort.Tensor("float32", samples, [1, this.step]) };
    names.forEach((name, i) => (feeds[name] = this.states[i]));
    const results = await this.session.run(feeds);
    const [enhanced, ...states] = this.session.outputNames.map((name) => results[name]);
    this.states = states;
    return enhanced.data;
  }

  /** A whole recording, Float32Array at `rate`, to one of the same length and place in time. */
  async clip(noisy, progress = () => {}) {
    this.reset();
    const steps = Math.ceil((noisy.length + this.delay) / this.step);
    const clean = new Float32Array(steps * this.step);
    for (let i = 0; i < steps; i++) {
      const piece = new Float32Array(this.step); // silence where the recording has ended
      piece.set(noisy.subarray(i * this.step, (i + 1) * this.step));
      clean.set(await this.next(piece), i * this.step);
      if (i % 100 === 0) progress(i / steps);
    }
    return clean.slice(this.delay, this.delay + noisy.length);
  }
}

/** The metadata of an ONNX file, which onnxruntime-web does not give: field 14 of its outermost message. */
export function metadata(bytes) {
  const facts = {};
  for (const [field, entry] of fields(bytes)) {
    if (field !== 14) continue;
    const [key, value] = [1, 2].map((wanted) => {
      const found = fields(entry).find(([number]) => number === wanted);
      return found ? new TextDecoder().decode(found[1]) : "";
    });
    facts[key] = value;
  }
  return facts;
}

/** The fields of a protobuf message: [number, bytes] of those that hold bytes; numbers are passed over. */
function fields(bytes) {
  const found = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let power = 1; ; power *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * power;
      if (!(byte & 128)) return value; // also at the end, where there is no byte
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    if ((tag & 7) === 2) {
      const size = varint();
      found.push([tag >>> 3, bytes.subarray(at, at + size)]);
      at += size;
    } else if ((tag & 7) === 0) varint();
    else if ((tag & 7) === 1) at += 8;
    else if ((tag & 7) === 5) at += 4;
    else throw new Error("This is no ONNX file.");
  }
  return found;
}
