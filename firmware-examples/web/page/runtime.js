// @ts-check
/** The runtime's WebAssembly behind functions that take and give JavaScript's own types. */

/**
 * @typedef {{id: string, sampleRate: number, mels: number, hop: number, decibel: number, dim: number,
 *   kernels: string}} Backbone
 * @typedef {{event: "begin" | "end", class: number, start: number, end: number, score: number,
 *   threshold?: number, confidence: number}} SoundEvent
 * @typedef {{class: number, score: number, threshold: number, recognised: boolean}} Judged
 * @typedef {{seconds: number, peak: number, events: SoundEvent[], judged: Judged | null}} Heard
 * @typedef {{reason: string, found?: number, limit?: number, unit?: string, text: string}} WhyNot
 * @typedef {{class: number | null, example: string | null, whyNot: WhyNot | null, sounds: number,
 *   seconds: number, doubtful: number | null}} Taught
 * @typedef {{id: number, name: string, role: "sound" | "negatives" | "background", enabled: boolean,
 *   own: number | null, threshold: number, examples: string[]}} ListedClass
 * @typedef {{threshold: number | null, classes: ListedClass[]}} Listing
 */

/** Numbers of the streams. */
export const MICROPHONE = 0;
export const FILE = 1;

/** Numbers of the classes that a recording can be an example of. */
export const ROLES = { sound: 0, negatives: 1, background: 2 };

/** Says in a sentence what went wrong and what to do. */
export class RuntimeError extends Error {}

export class Runtime {
  /** @type {any} */
  #wasm;

  /** @param {WebAssembly.Exports} exports */
  constructor(exports) {
    this.#wasm = exports;
  }

  /**
   * Loads the code from `code` and opens the model at `model`.
   * @param {string | URL} code
   * @param {string | URL} model
   * @returns {Promise<{runtime: Runtime, backbone: Backbone}>}
   */
  static async load(code, model) {
    const [{ instance }, bytes] = await Promise.all([
      WebAssembly.instantiate(await fetched(code)),
      fetched(model),
    ]);
    const runtime = new Runtime(instance.exports);
    return { runtime, backbone: runtime.open(new Uint8Array(bytes)) };
  }

  /**
   * Opens a packed model.
   * @param {Uint8Array} model
   * @param {boolean} [portable] whether to run the portable kernels, which are slower
   * @returns {Backbone}
   */
  open(model, portable = false) {
    this.#giveBytes(model);
    this.#wasm.open(portable ? 1 : 0);
    return this.#answer();
  }

  /** @param {number} stream @param {number} rate samples a second */
  begin(stream, rate) {
    this.#wasm.begin(stream, rate);
    this.#answer();
  }

  /**
   * Hears samples of a stream; `frames` are `[frames][bands]`.
   * @param {number} stream
   * @param {Float32Array} samples
   * @returns {Heard & {frames: Float32Array}}
   */
  hear(stream, samples) {
    this.#giveSamples(samples);
    this.#wasm.hear(stream);
    return { ...this.#answer(), frames: this.#values() };
  }

  /** @param {number} stream @returns {Heard} */
  finish(stream) {
    this.#wasm.finish(stream);
    return this.#answer();
  }

  /**
   * Teaches a recording at the backbone's rate; `clip` are the samples that were used.
   * @param {number} role one of ROLES
   * @param {string} name
   * @param {Float32Array} samples
   * @returns {Taught & {clip: Float32Array}}
   */
  teach(role, name, samples) {
    this.#giveSamples(samples);
    this.#giveText(name);
    this.#wasm.teach(role);
    return { ...this.#answer(), clip: this.#values() };
  }

  /**
   * Teaches the part of a stream from `start` to `end` seconds.
   * @param {number} role
   * @param {string} name
   * @param {number} stream
   * @param {number} start
   * @param {number} end
   * @returns {Taught & {clip: Float32Array}}
   */
  teachHeard(role, name, stream, start, end) {
    this.#giveText(name);
    this.#wasm.teach_heard(role, stream, start, end);
    return { ...this.#answer(), clip: this.#values() };
  }

  /** @param {Float32Array} samples @returns {Float32Array} */
  embed(samples) {
    this.#giveSamples(samples);
    this.#wasm.embed();
    this.#answer();
    return this.#values();
  }

  /** @returns {Listing} */
  listing() {
    this.#wasm.listing();
    return this.#answer();
  }

  /** @param {number} id @param {string} name */
  rename(id, name) {
    this.#giveText(name);
    this.#wasm.rename(id);
    this.#answer();
  }

  /** @param {number} id */
  delete(id) {
    this.#wasm.delete(id);
    this.#answer();
  }

  /** @param {number} id @param {number} example counted from 0 */
  deleteExample(id, example) {
    this.#wasm.delete_example(id, example);
    this.#answer();
  }

  /** @param {number} id @param {boolean} enabled */
  enable(id, enabled) {
    this.#wasm.enable(id, enabled ? 1 : 0);
    this.#answer();
  }

  /** @param {number} id @param {number | null} threshold null computes it from the examples */
  setThreshold(id, threshold) {
    this.#wasm.set_threshold(id, threshold ?? NaN);
    this.#answer();
  }

  /** Returns everything that was taught, as the snapshot that devices and `mtslvr` read. */
  export() {
    this.#wasm.export();
    this.#answer();
    return this.#bytes();
  }

  /** Returns the colours of a spectrogram: 256 times red, green and blue. */
  colours() {
    this.#wasm.colours();
    this.#answer();
    return this.#bytes();
  }

  /** @param {Uint8Array} snapshot */
  import(snapshot) {
    this.#giveBytes(snapshot);
    this.#wasm.import();
    this.#answer();
  }

  #memory() {
    return this.#wasm.memory.buffer;
  }

  /** @param {Float32Array} samples */
  #giveSamples(samples) {
    const at = this.#wasm.samples(samples.length);
    new Float32Array(this.#memory(), at, samples.length).set(samples);
  }

  /** @param {Uint8Array} bytes */
  #giveBytes(bytes) {
    const at = this.#wasm.bytes(bytes.length);
    new Uint8Array(this.#memory(), at, bytes.length).set(bytes);
  }

  /** @param {string} text */
  #giveText(text) {
    this.#giveBytes(new TextEncoder().encode(text));
  }

  #bytes() {
    const at = this.#wasm.returned_bytes();
    return new Uint8Array(this.#memory(), at, this.#wasm.returned_bytes_len()).slice();
  }

  #values() {
    const at = this.#wasm.values();
    return new Float32Array(this.#memory(), at, this.#wasm.values_len()).slice();
  }

  /** @returns {any} */
  #answer() {
    const bytes = new Uint8Array(this.#memory(), this.#wasm.text(), this.#wasm.text_len());
    const answer = JSON.parse(new TextDecoder().decode(bytes));
    if ("error" in answer) throw new RuntimeError(answer.error);
    return answer.ok;
  }
}

/** @param {string | URL} url @returns {Promise<ArrayBuffer>} */
async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) {
    throw new RuntimeError(`${response.url} cannot be loaded (${response.status}). Reload the page; \
if that does not help, build it again with "cargo xtask web".`);
  }
  return response.arrayBuffer();
}
