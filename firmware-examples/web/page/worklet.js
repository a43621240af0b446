// @ts-check
/** Sends the microphone's samples, averaged over channels, to the worker. */

/** Samples of a message: 21 ms at 48 kHz. */
const LENGTH = 1024;

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.samples = new Float32Array(LENGTH);
    this.filled = 0;
    /** @type {MessagePort | undefined} */
    this.worker = undefined;
    this.port.onmessage = ({ data }) => {
      this.worker = data;
    };
  }

  /** @param {Float32Array[][]} inputs */
  process([channels]) {
    const length = channels[0]?.length ?? 0;
    for (let i = 0; i < length; i += 1) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      this.samples[this.filled] = sum / channels.length;
      this.filled += 1;
      if (this.filled === LENGTH) {
        this.worker?.postMessage(this.samples, [this.samples.buffer]);
        this.samples = new Float32Array(LENGTH);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("mtslvr-microphone", Microphone);
