// @ts-check
/**
 * A button that is held: with a finger, the mouse, Space or Enter. A short tap keeps it down until the next
 * one, which is also how screen readers press it.
 */

/** Presses shorter than this are taps, milliseconds. */
const TAP = 350;

/** Longest press, milliseconds. */
const LONGEST = 10_000;

/**
 * @param {HTMLButtonElement} button
 * @param {{down: () => void, up: () => void}} actions
 */
export function holdable(button, { down, up }) {
  let pressed = false;
  let latched = false;
  let since = 0;
  let timer = 0;

  const start = () => {
    pressed = true;
    latched = false;
    since = performance.now();
    timer = window.setTimeout(end, LONGEST);
    down();
  };
  const end = () => {
    if (!pressed) return;
    pressed = false;
    latched = false;
    window.clearTimeout(timer);
    up();
  };
  const press = () => {
    if (button.disabled) return;
    if (pressed && latched) end();
    else if (!pressed) start();
  };
  const release = () => {
    if (!pressed || latched) return;
    if (performance.now() - since < TAP) latched = true;
    else end();
  };

  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    press();
  });
  button.addEventListener("pointerup", release);
  button.addEventListener("pointercancel", release);
  button.addEventListener("keydown", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    if (!event.repeat) press();
  });
  button.addEventListener("keyup", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    release();
  });
  // A click without a pointer or a key comes from a screen reader.
  button.addEventListener("click", (event) => {
    if (event.detail !== 0) return;
    press();
    if (pressed) latched = true;
  });
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  button.addEventListener("blur", end);
}
