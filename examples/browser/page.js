import { Denoiser } from "./denoise.js";
import { wav } from "./wav.js";

const MOST_SECONDS = 600; // of the microphone that are kept to listen to
const one = (id) => document.getElementById(id);
const say = (text) => (one("state").textContent = text);
let denoiser, live;

try {
  denoiser = await Denoiser.open("network.onnx");
  say(`Ready: ${denoiser.rate / 1000} kHz, ${denoiser.latencyMs} ms.`);
  one("file").disabled = one("microphone").disabled = false;
} catch (error) {
  say(error.message);
}

one("file").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  if (!file) return;
  one("results").hidden = true;
  target.disabled = one("microphone").disabled = true;
  try {
    const context = new OfflineAudioContext(1, 1, denoiser.rate); // decoding brings it to the network's rate
    const decoded = await context.decodeAudioData(await file.arrayBuffer());
    const noisy = mono(decoded);
    const begun = performance.now();
    const clean = await denoiser.clip(noisy, (share) => say(`${Math.round(100 * share)} %`));
    const seconds = (performance.now() - begun) / 1000;
    say(`${decoded.duration.toFixed(1)} s of sound in ${seconds.toFixed(1)} s.`);
    show(noisy, clean, file.name.replace(/\.\w+$/, ""));
  } catch (error) {
    say(error.name === "EncodingError" ? `${file.name} is no sound that this browser reads.` : error.message);
  }
  target.disabled = one("microphone").disabled = false;
});

one("microphone").addEventListener("click", async () => {
  try {
    await (live ? stop() : start());
  } catch (error) {
    say(error.name === "NotFoundError" ? "There is no microphone here." : error.message);
    one("file").disabled = false;
  }
});

async function start() {
  one("results").hidden = true;
  one("file").disabled = true;
  const raw = { channelCount: 1, noiseSuppression: false, echoCancellation: false, autoGainControl: false };
  const sound = await navigator.mediaDevices.getUserMedia({ audio: raw });
  const context = new AudioContext({ sampleRate: denoiser.rate, latencyHint: "interactive" });
  await context.audioWorklet.addModule("microphone.js");
  const node = new AudioWorkletNode(context, "microphone", { processorOptions: { step: denoiser.step } });
  live = { sound, context, node, noisy: [], clean: [], queue: Promise.resolve() };
  denoiser.reset();
  node.port.onmessage = ({ data }) => (live.queue = live.queue.then(() => hear(live, data)));
  context.createMediaStreamSource(sound).connect(node).connect(context.destination);
  sound.getTracks()[0].addEventListener("ended", () => stop().then(() => say("The microphone is gone.")));
  one("microphone").textContent = "Stop";
  const devices = 1000 * ((context.baseLatency || 0) + (context.outputLatency || 0));
  const late = denoiser.latencyMs + (2000 * denoiser.step) / denoiser.rate + devices;
  say(`Listening; ${Math.round(late)} ms late, and what the microphone takes. Wear headphones.`);
}

async function hear(session, noisy) {
  const kept = noisy.slice();
  const clean = await denoiser.next(noisy);
  session.node.port.postMessage(clean);
  one("in").value = level(kept);
  one("out").value = level(clean);
  if (session.noisy.length * noisy.length < MOST_SECONDS * denoiser.rate) {
    session.noisy.push(kept);
    session.clean.push(clean.slice());
  }
}

async function stop() {
  const session = live;
  live = undefined;
  if (!session) return;
  session.sound.getTracks().forEach((track) => track.stop());
  await session.context.close();
  await session.queue;
  const [noisy, clean] = [session.noisy, session.clean].map(joined);
  one("microphone").textContent = "Microphone";
  one("file").disabled = false;
  say(`${(noisy.length / denoiser.rate).toFixed(1)} s of sound.`);
  show(noisy.slice(0, noisy.length - denoiser.delay), clean.slice(denoiser.delay), "microphone");
}

function show(noisy, clean, name) {
  for (const [id, samples] of [["noisy", noisy], ["clean", clean]]) {
    const link = one(`save-${id}`);
    URL.revokeObjectURL(link.href);
    link.href = one(id).src = URL.createObjectURL(wav(samples, denoiser.rate));
    link.download = `${name}-${id}.wav`;
  }
  one("results").hidden = false;
}

function mono(decoded) {
  const mean = new Float32Array(decoded.length);
  for (let channel = 0; channel < decoded.numberOfChannels; channel++) {
    decoded.getChannelData(channel).forEach((sample, i) => (mean[i] += sample / decoded.numberOfChannels));
  }
  return mean;
}

function joined(pieces) {
  const whole = new Float32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** From 0 at -60 dB of full scale to 1. */
function level(samples) {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  return Math.max(0, 1 + Math.log10(power + 1e-12) / 6);
}
