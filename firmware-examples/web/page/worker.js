// @ts-check
/**
 * Runs the runtime beside the page. The page calls the functions of `calls` by messages; samples of the
 * microphone come from the audio worklet through a port of their own.
 */
import { FILE, MICROPHONE, ROLES, Runtime } from "./runtime.js";

/** Seconds before the button went down that belong to a recording, and after it came up. */
const BEFORE = 0.5;
const AFTER = 0.3;

/** Samples of a file that are heard at a time: the microphone gets its turn between them. */
const STEP = 16_000;

/** @type {Runtime} */
let runtime;
let sampleRate = 16_000;
/** Length of the microphone's stream so far, seconds. */
let seconds = 0;
/** The samples' way from the worklet. @type {MessagePort | undefined} */
let microphone;
/** Waits until the microphone has been heard up to a moment. @type {{until: number, go: () => void}[]} */
let waiting = [];

/** @type {Record<string, (...args: any[]) => any>} */
const calls = {
  /** @param {string} model */
  async open(model) {
    const code = new URL("mtslvr_web.wasm", import.meta.url);
    const opened = await Runtime.load(code, new URL(model, import.meta.url));
    runtime = opened.runtime;
    sampleRate = opened.backbone.sampleRate;
    return { ...opened.backbone, colours: runtime.colours() };
  },

  /** @param {MessagePort} port @param {number} rate */
  startMicrophone(port, rate) {
    calls.stopMicrophone();
    runtime.begin(MICROPHONE, rate);
    seconds = 0;
    microphone = port;
    port.onmessage = ({ data }) => {
      let heard;
      try {
        heard = runtime.hear(MICROPHONE, data);
      } catch (error) {
        self.postMessage({ failure: message(error) });
        return;
      }
      seconds = heard.seconds;
      self.postMessage({ heard }, { transfer: [heard.frames.buffer] });
      for (const { go } of waiting.filter(({ until }) => until <= seconds)) go();
      waiting = waiting.filter(({ until }) => until > seconds);
    };
  },

  stopMicrophone() {
    if (!microphone) return null;
    microphone.close();
    microphone = undefined;
    for (const { go } of waiting) go();
    waiting = [];
    return runtime.finish(MICROPHONE);
  },

  /** Returns the moment of the microphone's stream that is now. */
  now: () => seconds,

  /**
   * Teaches what the microphone heard since the moment `start`.
   * @param {keyof typeof ROLES} role @param {string} name @param {number} start
   */
  async teachHeard(role, name, start) {
    const until = seconds + AFTER;
    if (microphone) {
      await new Promise((go) => waiting.push({ until, go: () => go(undefined) }));
    }
    return runtime.teachHeard(ROLES[role], name, MICROPHONE, start - BEFORE, until);
  },

  /** @param {keyof typeof ROLES} role @param {string} name @param {Float32Array} samples */
  teach: (role, name, samples) => runtime.teach(ROLES[role], name, samples),

  /**
   * Hears a whole recording at the backbone's rate.
   * @param {Float32Array} samples
   */
  async listen(samples) {
    runtime.begin(FILE, sampleRate);
    const frames = [];
    const events = [];
    for (let at = 0; at < samples.length; at += STEP) {
      const heard = runtime.hear(FILE, samples.subarray(at, at + STEP));
      frames.push(heard.frames);
      events.push(...heard.events);
      await new Promise((go) => setTimeout(go));
    }
    events.push(...runtime.finish(FILE).events);
    return { seconds: samples.length / sampleRate, frames, events };
  },

  /** @param {Float32Array} samples */
  embed: (samples) => runtime.embed(samples),
  listing: () => runtime.listing(),
  /** @param {number} id @param {string} name */
  rename: (id, name) => runtime.rename(id, name),
  /** @param {number} id */
  delete: (id) => runtime.delete(id),
  /** @param {number} id @param {number} example */
  deleteExample: (id, example) => runtime.deleteExample(id, example),
  /** @param {number} id @param {boolean} enabled */
  enable: (id, enabled) => runtime.enable(id, enabled),
  /** @param {number} id @param {number | null} threshold */
  setThreshold: (id, threshold) => runtime.setThreshold(id, threshold),
  export: () => runtime.export(),
  /** @param {Uint8Array} snapshot */
  import: (snapshot) => runtime.import(snapshot),
};

self.onmessage = async ({ data: { id, call, args } }) => {
  try {
    self.postMessage({ id, result: await calls[call](...args) });
  } catch (error) {
    self.postMessage({ id, error: message(error) });
  }
};

/** @param {unknown} error */
function message(error) {
  return error instanceof Error ? error.message : String(error);
}
