// @ts-check
/** The worker as the page sees it: each of its calls is a function that returns a promise. */

/** @typedef {import("./runtime.js").Heard & {frames: Float32Array}} HeardFrames */

export class Studio {
  #worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  /** @type {Map<number, {resolve: (result: any) => void, reject: (error: Error) => void}>} */
  #open = new Map();
  #next = 0;

  /** Called with what the microphone brought. @type {(heard: HeardFrames) => void} */
  onheard = () => {};
  /** Called when listening fails. @type {(message: string) => void} */
  onfailure = () => {};

  constructor() {
    this.#worker.onmessage = ({ data }) => {
      if (data.heard) return this.onheard(data.heard);
      if (data.failure) return this.onfailure(data.failure);
      const call = this.#open.get(data.id);
      this.#open.delete(data.id);
      if (data.error === undefined) call?.resolve(data.result);
      else call?.reject(new Error(data.error));
    };
    this.#worker.onerror = (event) =>
      this.onfailure(`The page has a fault (${event.message}). Reload it.`);
  }

  /**
   * Calls a function of the worker.
   * @param {string} call
   * @param {any[]} args
   * @param {Transferable[]} [transfer]
   * @returns {Promise<any>}
   */
  call(call, args = [], transfer = []) {
    const id = this.#next;
    this.#next += 1;
    return new Promise((resolve, reject) => {
      this.#open.set(id, { resolve, reject });
      this.#worker.postMessage({ id, call, args }, transfer);
    });
  }
}
