// @ts-check
/** Sentences about recordings that were not learnt: what is wrong, and what to do. */

/**
 * @param {import("./runtime.js").WhyNot} why
 * @param {string} name
 * @returns {string}
 */
export function reason(why, name) {
  const found = why.found ?? 0;
  const limit = why.limit ?? 0;
  switch (why.reason) {
    case "known":
      return `This very recording is an example of ${name} already.`;
    case "known-as-another":
      return `This very recording is an example of another sound already. Delete it there first, or rename that sound.`;
    case "no-sound":
      return "No sound stands out from the background. Hold the button a moment before the sound begins, and make it louder or come nearer.";
    case "silent":
      return "The recording is silent. Check that the microphone is switched on, and record again.";
    case "too-quiet":
      return `Too quiet: its loudest moment is at ${found.toFixed(0)} dB, and at least ${limit.toFixed(0)} dB is needed. Come nearer to the microphone, and record again.`;
    case "clipped":
      return `Too loud: ${found.toFixed(1)} % of it is clipped, and at most ${limit.toFixed(1)} % may be. Go farther from the microphone, and record again.`;
    case "too-short":
      return `Too short: it lasts ${found.toFixed(3)} s, and at least ${limit.toFixed(3)} s is needed. Record the whole sound.`;
    case "unlike-its-class":
      return `It does not sound like the other examples of ${name} (${found.toFixed(2)}, and ${limit.toFixed(2)} is expected). Record it again, or give it a name of its own.`;
    case "like-another-class":
      return `It sounds too much like another sound (${found.toFixed(2)}, and at most ${limit.toFixed(2)} is expected). Record it again, or teach it under the name of that sound.`;
    default:
      return `It cannot be learnt: ${why.text}`;
  }
}
