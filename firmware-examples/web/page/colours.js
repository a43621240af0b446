// @ts-check
/** Colours of sounds: all light enough for dark text on them, and apart in lightness too. */
const COLOURS = ["#ffb84d", "#7fd6ff", "#ff9a9a", "#9be59b", "#d9b3ff", "#ffe36e", "#6fe0c8", "#ffa8e2"];

/** @param {number} id @returns {string} */
export function colour(id) {
  return COLOURS[id % COLOURS.length];
}
