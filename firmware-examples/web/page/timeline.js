// @ts-check
/** Draws a spectrogram with the sounds that were recognised below it, on one axis of time. */

/** Range of levels shown, dB: at least, so that faint noise does not fill the picture, and at most. */
const LEAST_RANGE = 30;
const MOST_RANGE = 60;

/** Height of the strip with the sounds, and of the axis, CSS pixels. */
const STRIP = 30;
const AXIS = 20;

/**
 * @typedef {{name: string, colour: string, start: number, end: number | null}} Bar
 */

export class Timeline {
  /** @type {HTMLCanvasElement} */
  #canvas;
  #picture = document.createElement("canvas");
  /** The last frames, as many as fit. @type {Float32Array} */
  #frames;
  #count = 0;
  #bands;
  #perSecond;
  #decibel;
  #colours;
  #length;
  /** @type {Bar[]} */
  #bars = [];
  #due = false;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{mels: number, hop: number, sampleRate: number, decibel: number, colours: Uint8Array}} backbone
   * @param {number} seconds length of the picture
   */
  constructor(canvas, backbone, seconds) {
    this.#canvas = canvas;
    this.#bands = backbone.mels;
    this.#perSecond = backbone.sampleRate / backbone.hop;
    this.#decibel = backbone.decibel;
    this.#colours = backbone.colours;
    this.#length = Math.max(1, Math.ceil(seconds * this.#perSecond));
    this.#frames = new Float32Array(this.#length * this.#bands);
    this.#picture.width = this.#length;
    this.#picture.height = this.#bands;
    new ResizeObserver(() => this.draw()).observe(canvas);
    this.draw();
  }

  /** Forgets everything. */
  clear() {
    this.#count = 0;
    this.#bars = [];
    this.draw();
  }

  /** @param {Float32Array} frames `[frames][bands]` */
  push(frames) {
    for (let at = 0; at < frames.length; at += this.#bands) {
      const place = (this.#count % this.#length) * this.#bands;
      this.#frames.set(frames.subarray(at, at + this.#bands), place);
      this.#count += 1;
    }
    this.draw();
  }

  /** Adds a sound, whose end may come later. @param {Bar} bar */
  add(bar) {
    this.#bars.push(bar);
    if (this.#bars.length > 200) this.#bars.shift();
    this.draw();
  }

  /** Draws with the next picture of the screen. */
  draw() {
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      this.#drawNow();
    });
  }

  #drawNow() {
    const scale = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (width === 0) return;
    const [deviceWidth, deviceHeight] = [Math.round(width * scale), Math.round(height * scale)];
    if (this.#canvas.width !== deviceWidth || this.#canvas.height !== deviceHeight) {
      this.#canvas.width = deviceWidth;
      this.#canvas.height = deviceHeight;
    }
    const context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
    context.setTransform(scale, 0, 0, scale, 0, 0);
    const rows = height - STRIP - AXIS;
    context.fillStyle = "#0a0818";
    context.fillRect(0, 0, width, height);
    this.#paint();
    context.imageSmoothingEnabled = true;
    context.drawImage(this.#picture, 0, 0, width, rows);
    this.#drawAxis(context, width, height);
    this.#bars.forEach((bar, at) => {
      const next = this.#bars[at + 1]?.start ?? Infinity;
      this.#drawBar(context, bar, next, width, rows);
    });
  }

  /** The stream's time at the left edge of the picture, seconds. */
  get #begins() {
    return Math.max(0, this.#count - this.#length) / this.#perSecond;
  }

  /** Colours the frames, the newest on the right once the picture is full. */
  #paint() {
    const context = /** @type {CanvasRenderingContext2D} */ (this.#picture.getContext("2d"));
    const image = context.createImageData(this.#length, this.#bands);
    const shown = Math.min(this.#count, this.#length);
    let [low, high] = [Infinity, -Infinity];
    const used = this.#frames.subarray(0, shown * this.#bands);
    for (const value of used) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    low = Math.max(low, high - MOST_RANGE * this.#decibel);
    const range = Math.max(high - low, LEAST_RANGE * this.#decibel);
    const oldest = this.#count - shown;
    for (let x = 0; x < shown; x += 1) {
      const frame = ((oldest + x) % this.#length) * this.#bands;
      for (let band = 0; band < this.#bands; band += 1) {
        const share = (this.#frames[frame + band] - low) / range;
        const colour = 3 * Math.round(255 * Math.min(1, Math.max(0, share)));
        const at = 4 * ((this.#bands - 1 - band) * this.#length + x);
        image.data[at] = this.#colours[colour];
        image.data[at + 1] = this.#colours[colour + 1];
        image.data[at + 2] = this.#colours[colour + 2];
        image.data[at + 3] = 255;
      }
    }
    context.putImageData(image, 0, 0);
  }

  /** @param {CanvasRenderingContext2D} context @param {number} width @param {number} height */
  #drawAxis(context, width, height) {
    const perSecond = (width * this.#perSecond) / this.#length;
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600];
    const step = steps.find((seconds) => seconds * perSecond >= 64) ?? 1800;
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.textAlign = "left";
    const begins = this.#begins;
    for (let mark = Math.ceil(begins / step) * step; ; mark += step) {
      const x = (mark - begins) * perSecond;
      if (x > width) break;
      context.fillStyle = "#3a3550";
      context.fillRect(x, height - AXIS, 1, 6);
      context.fillStyle = "#b9b2cc";
      if (x < width - 40) context.fillText(clock(mark, step), x + 4, height - AXIS / 2);
    }
  }

  /**
   * @param {CanvasRenderingContext2D} context @param {Bar} bar
   * @param {number} next where the next one begins @param {number} width @param {number} top
   */
  #drawBar(context, bar, next, width, top) {
    const perSecond = (width * this.#perSecond) / this.#length;
    const begins = this.#begins;
    const now = this.#count / this.#perSecond;
    const from = (bar.start - begins) * perSecond;
    const to = ((bar.end ?? now) - begins) * perSecond;
    if (to < 0 || from > width) return;
    context.globalAlpha = 0.16;
    context.fillStyle = bar.colour;
    context.fillRect(from, 0, Math.max(3, to - from), top);
    context.globalAlpha = 1;
    context.font = "600 12px system-ui, sans-serif";
    const left = Math.max(0, from);
    const room = Math.max(to - left, (next - begins) * perSecond - left - 2);
    const name = fitted(context, bar.name, room - 12);
    const length = Math.min(room, Math.max(to - left, context.measureText(name).width + 12));
    context.beginPath();
    context.roundRect(left, top + 4, length, STRIP - 8, 5);
    context.fill();
    context.fillStyle = "#14101f";
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillText(name, left + 6, top + STRIP / 2);
  }
}

/**
 * Returns as much of a text as fits.
 * @param {CanvasRenderingContext2D} context @param {string} text @param {number} width
 */
function fitted(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  const letters = [...text];
  while (letters.length > 0 && context.measureText(`${letters.join("")}…`).width > width) letters.pop();
  return letters.length > 0 ? `${letters.join("")}…` : "";
}

/** @param {number} seconds @param {number} step */
function clock(seconds, step) {
  const minutes = Math.floor(seconds / 60);
  const rest = seconds - 60 * minutes;
  const digits = step < 1 ? rest.toFixed(1) : String(Math.round(rest));
  return minutes > 0 ? `${minutes}:${digits.padStart(2, "0")}` : `${digits} s`;
}
