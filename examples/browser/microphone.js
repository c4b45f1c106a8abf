// Between the microphone and the loudspeaker: the audio thread collects steps and plays what comes back.

class Microphone extends AudioWorkletProcessor {
  constructor({ processorOptions: { step } }) {
    super();
    this.noisy = new Float32Array(step);
    this.filled = 0;
    this.ready = []; // enhanced samples to play
    this.playing = false;
    this.port.onmessage = ({ data }) => {
      this.ready.push(...data);
      this.playing ||= this.ready.length >= 2 * step; // one step ahead of need
    };
  }

  process([input], [output]) {
    const heard = input[0] ?? [];
    for (const sample of heard) {
      this.noisy[this.filled++] = sample;
      if (this.filled === this.noisy.length) {
        this.port.postMessage(this.noisy.slice());
        this.filled = 0;
      }
    }
    const played = this.playing ? this.ready.splice(0, output[0].length) : [];
    if (this.playing && played.length < output[0].length) this.playing = false; // late: collect again
    for (const channel of output) channel.set(played);
    return true;
  }
}

registerProcessor("microphone", Microphone);
