// @ts-check
/** Opens the microphone, and takes its samples to the worker. */

/** What to do where the browser refuses, by the name of its error. */
const ADVICE = {
  NotAllowedError:
    "The browser does not let this page use the microphone. Allow it in the browser's settings for this page, then start again.",
  NotFoundError: "There is no microphone. Plug one in, then start again.",
  NotReadableError:
    "Another program uses the microphone. Close that program, then start again.",
};

export class Microphone {
  /** @type {AudioContext | undefined} */
  #context;
  /** @type {MediaStream | undefined} */
  #stream;

  /** Called when the microphone goes away by itself. */
  onlost = () => {};

  get isOn() {
    return this.#stream !== undefined;
  }

  /**
   * Starts, and returns the port on which samples come and their rate: that of the browser, which the
   * runtime converts.
   * @returns {Promise<{port: MessagePort, rate: number}>}
   */
  async start() {
    if (!navigator.mediaDevices || !window.AudioWorkletNode) {
      throw new Error(
        "The browser gives the microphone to secure pages only. Open this page by https, or as http://localhost.",
      );
    }
    try {
      // Sounds as they are: what helps speech through a telephone damages them.
      this.#stream = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
      });
    } catch (error) {
      const name = /** @type {keyof typeof ADVICE} */ (error instanceof Error ? error.name : "");
      throw new Error(ADVICE[name] ?? `The microphone cannot be used: ${error}. Reload the page.`);
    }
    this.#stream.getAudioTracks()[0].onended = () => this.onlost();
    const context = new AudioContext();
    this.#context = context;
    await context.audioWorklet.addModule(new URL("worklet.js", import.meta.url));
    await context.resume();
    const node = new AudioWorkletNode(context, "mtslvr-microphone", { numberOfOutputs: 0 });
    const { port1, port2 } = new MessageChannel();
    node.port.postMessage(port1, [port1]);
    context.createMediaStreamSource(this.#stream).connect(node);
    return { port: port2, rate: context.sampleRate };
  }

  async stop() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = undefined;
    await this.#context?.close();
    this.#context = undefined;
  }
}
