// @ts-check
/** The list of sounds: examples, threshold, rename, delete. */
import { colour } from "./colours.js";

/** @typedef {import("./runtime.js").ListedClass} ListedClass */

/**
 * What the list asks the page to do.
 * @typedef {{
 *   play: (example: string) => void,
 *   deleteExample: (listed: ListedClass, example: number) => void,
 *   delete: (listed: ListedClass) => void,
 *   rename: (listed: ListedClass) => void,
 *   enable: (listed: ListedClass, enabled: boolean) => void,
 *   setThreshold: (listed: ListedClass, threshold: number | null) => void,
 * }} Actions
 */

/** @param {ListedClass} listed @returns {string} the name that people see */
export function label(listed) {
  if (listed.role === "negatives") return "Sounds to ignore";
  if (listed.role === "background") return "Background";
  return listed.name;
}

export class Sounds {
  #list;
  #actions;
  /** Bars of the last scores, by the ids of the sounds. @type {Map<number, HTMLElement>} */
  #scores = new Map();

  /** @param {HTMLElement} list @param {Actions} actions */
  constructor(list, actions) {
    this.#list = list;
    this.#actions = actions;
  }

  /**
   * Shows these classes. What had the focus keeps it if it is still there.
   * @param {ListedClass[]} classes
   * @param {Set<string>} clips examples that can be played
   */
  show(classes, clips) {
    const focused = document.activeElement?.getAttribute("data-key");
    this.#scores.clear();
    this.#list.replaceChildren(...classes.map((listed) => this.#item(listed, clips)));
    if (focused) {
      /** @type {HTMLElement | null} */
      const again = this.#list.querySelector(`[data-key="${focused}"]`);
      again?.focus();
    }
  }

  /** Shows the score of a judgement. @param {import("./runtime.js").Judged} judged */
  judge({ class: id, score }) {
    for (const [own, bar] of this.#scores) {
      bar.style.transform = `scaleX(${own === id ? Math.min(1, Math.max(0, score)) : 0})`;
    }
  }

  /** @param {ListedClass} listed @param {Set<string>} clips */
  #item(listed, clips) {
    const item = element("li", { className: listed.enabled ? "" : "off" });
    item.style.setProperty("--own", colour(listed.id));
    item.dataset.sound = label(listed);
    item.append(this.#title(listed), this.#examples(listed, clips));
    if (listed.role === "sound") item.append(this.#threshold(listed));
    item.append(this.#buttons(listed));
    return item;
  }

  /** @param {ListedClass} listed */
  #title(listed) {
    const row = element("div", { className: "title" });
    const name = element("h3", { className: "name", textContent: label(listed) });
    const dot = element("span", { className: "dot" });
    dot.setAttribute("aria-hidden", "true");
    row.append(dot, name, this.#enabled(listed));
    return row;
  }

  /** @param {ListedClass} listed */
  #buttons(listed) {
    const row = element("div", { className: "actions" });
    const note = element("span", { className: "quiet" });
    row.append(note);
    if (listed.role === "sound") {
      note.textContent = listed.own === null ? "Automatic threshold" : "Set by you";
      if (listed.own !== null) {
        const spoken = `Automatic threshold of ${listed.name}`;
        const reset = () => this.#actions.setThreshold(listed, null);
        row.append(this.#button(listed, "Automatic", spoken, reset));
      }
      const rename = () => this.#actions.rename(listed);
      row.append(this.#button(listed, "Rename", `Rename ${listed.name}`, rename));
    }
    const remove = () => this.#actions.delete(listed);
    row.append(this.#button(listed, "Delete", `Delete ${label(listed)}`, remove));
    return row;
  }

  /** @param {ListedClass} listed */
  #enabled(listed) {
    const box = element("input", { type: "checkbox", checked: listed.enabled });
    box.dataset.key = `${listed.id} on`;
    box.setAttribute("aria-label", `On: listen for ${label(listed)}`);
    box.onchange = () => this.#actions.enable(listed, box.checked);
    const wrapped = element("label", { className: "check" });
    wrapped.append(box, element("span", { textContent: "On" }));
    return wrapped;
  }

  /**
   * @param {ListedClass} listed @param {string} text @param {string} spoken @param {() => void} action
   */
  #button(listed, text, spoken, action) {
    const button = element("button", { type: "button", className: "small plain", textContent: text });
    button.dataset.key = `${listed.id} ${text}`;
    button.setAttribute("aria-label", spoken);
    button.onclick = action;
    return button;
  }

  /** @param {ListedClass} listed @param {Set<string>} clips */
  #examples(listed, clips) {
    const list = element("ul", { className: "examples" });
    list.setAttribute("aria-label", `Examples of ${label(listed)}`);
    listed.examples.forEach((example, place) => {
      const item = element("li", {});
      const spoken = `example ${place + 1} of ${label(listed)}`;
      const play = element("button", { type: "button", textContent: `▶ ${place + 1}` });
      play.dataset.key = `${listed.id} play ${place}`;
      play.setAttribute("aria-label", `Play ${spoken}`);
      play.disabled = !clips.has(example);
      if (play.disabled) play.title = "This example came from a file; its recording is elsewhere.";
      play.onclick = () => this.#actions.play(example);
      const remove = element("button", { type: "button", textContent: "✕" });
      remove.dataset.key = `${listed.id} remove ${place}`;
      remove.setAttribute("aria-label", `Delete ${spoken}`);
      remove.onclick = () => this.#actions.deleteExample(listed, place);
      item.append(play, remove);
      list.append(item);
    });
    return list;
  }

  /** @param {ListedClass} listed */
  #threshold(listed) {
    const row = element("div", { className: "threshold" });
    const score = element("div", { className: "score" });
    score.setAttribute("aria-hidden", "true");
    const bar = element("div", {});
    score.append(bar);
    this.#scores.set(listed.id, bar);

    const slider = element("input", { type: "range", min: "0", max: "1", step: "0.01" });
    slider.value = String(listed.threshold);
    slider.id = `threshold-${listed.id}`;
    slider.dataset.key = `${listed.id} threshold`;
    slider.setAttribute("aria-label", `Threshold of ${listed.name}`);
    const text = element("label", { textContent: "Threshold" });
    text.htmlFor = slider.id;
    const value = element("span", { className: "number" });
    const show = (/** @type {number} */ threshold) => {
      value.textContent = threshold.toFixed(2);
      slider.setAttribute("aria-valuetext", threshold.toFixed(2));
    };
    show(listed.threshold);
    slider.oninput = () => show(Number(slider.value));
    slider.onchange = () => this.#actions.setThreshold(listed, Number(slider.value));
    row.append(text, slider, value, score);
    return row;
  }
}

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Partial<HTMLElementTagNameMap[T]>} properties
 * @returns {HTMLElementTagNameMap[T]}
 */
export function element(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
