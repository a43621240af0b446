// @ts-check
/**
 * Keeps what was taught in the browser's IndexedDB: the snapshot, and beside it the clips of examples by
 * their fingerprints. The page works without the clips; they are there to be played.
 */

const SNAPSHOT = "snapshot";
const CLIPS = "clips";

export class Storage {
  /** @type {IDBDatabase} */
  #database;

  /** @param {IDBDatabase} database */
  constructor(database) {
    this.#database = database;
  }

  /** @returns {Promise<Storage>} */
  static async open() {
    const opening = indexedDB.open("mtslvr", 1);
    opening.onupgradeneeded = () => {
      opening.result.createObjectStore(SNAPSHOT);
      opening.result.createObjectStore(CLIPS);
    };
    return new Storage(await done(opening));
  }

  /** @param {string} model id of the backbone @returns {Promise<Uint8Array | undefined>} */
  snapshot(model) {
    return done(this.#store(SNAPSHOT, "readonly").get(model));
  }

  /** @param {string} model @param {Uint8Array} snapshot */
  async saveSnapshot(model, snapshot) {
    await done(this.#store(SNAPSHOT, "readwrite").put(snapshot, model));
  }

  /** @returns {Promise<string[]>} fingerprints of the examples whose clips are kept */
  async clips() {
    return /** @type {string[]} */ (await done(this.#store(CLIPS, "readonly").getAllKeys()));
  }

  /** @param {string} example @returns {Promise<Float32Array | undefined>} */
  clip(example) {
    return done(this.#store(CLIPS, "readonly").get(example));
  }

  /** @param {string} example @param {Float32Array} samples */
  async saveClip(example, samples) {
    await done(this.#store(CLIPS, "readwrite").put(samples, example));
  }

  /** @param {string} example */
  async deleteClip(example) {
    await done(this.#store(CLIPS, "readwrite").delete(example));
  }

  /** @param {string} name @param {IDBTransactionMode} mode */
  #store(name, mode) {
    return this.#database.transaction(name, mode).objectStore(name);
  }
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () =>
      reject(
        new Error(
          `The browser cannot keep your sounds (${request.error?.message}). Free some space, leave private browsing, or save your sounds to a file.`,
        ),
      );
  });
}
