// @ts-check
/** The page: binds the runtime, the microphone and the browser's storage to what people see. */
import { colour } from "./colours.js";
import { holdable } from "./hold.js";
import { Microphone } from "./microphone.js";
import { reason } from "./reasons.js";
import { element, label, Sounds } from "./sounds.js";
import { Storage } from "./storage.js";
import { Studio } from "./studio.js";
import { Timeline } from "./timeline.js";

/** Seconds of the live picture. */
const SHOWN = 15;

/** Most events that are listed. */
const LISTED = 100;

/** The quietest level of the meter, dB of full scale, and its fall, dB a second. */
const QUIETEST = -70;
const FALL = 30;

const CLOCK = new Intl.DateTimeFormat([], { timeStyle: "medium", hourCycle: "h23" });

const MODEL = "edge-s.slvr";

/** @template {HTMLElement} T @param {string} id @returns {T} */
const byId = (id) => /** @type {T} */ (document.getElementById(id));

const listenButton = /** @type {HTMLButtonElement} */ (byId("listen"));
const holdButton = /** @type {HTMLButtonElement} */ (byId("hold"));
const nameField = /** @type {HTMLInputElement} */ (byId("name"));
const ignoreBox = /** @type {HTMLInputElement} */ (byId("ignore"));

const studio = new Studio();
const microphone = new Microphone();
/** @type {Storage} */
let storage;
/** @type {any} */
let backbone;
/** @type {Timeline} */
let live;
/** @type {import("./runtime.js").ListedClass[]} */
let classes = [];
/** Examples whose clips are kept. @type {Set<string>} */
let clips = new Set();
/** Wall clock at which the microphone's stream began, milliseconds. */
let began = 0;
/** Sounds that go on, by class. @type {Map<number, {bar: import("./timeline.js").Bar, item: HTMLElement}>} */
const going = new Map();
let level = QUIETEST;

const sounds = new Sounds(byId("sounds"), {
  play: (example) => attempt(() => play(example)),
  deleteExample: (listed, example) =>
    change(`Example ${example + 1} of ${label(listed)} is deleted.`, "deleteExample", listed.id, example),
  delete: (listed) => change(`${label(listed)} is deleted.`, "delete", listed.id),
  rename: (listed) => askForName(listed),
  enable: (listed, enabled) => attempt(() => update("enable", listed.id, enabled)),
  setThreshold: (listed, threshold) =>
    attempt(() => update("setThreshold", listed.id, threshold)),
});

attempt(start);

async function start() {
  if (!hasVectors()) {
    throw new Error(
      "This browser is too old for this page: it lacks WebAssembly's vectors. Use Chrome or Edge 91, Firefox 89, Safari 16.4, or a later one.",
    );
  }
  backbone = await studio.call("open", [MODEL]);
  storage = await Storage.open();
  clips = new Set(await storage.clips());
  const snapshot = await storage.snapshot(backbone.id);
  if (snapshot) await studio.call("import", [snapshot]);
  live = new Timeline(/** @type {HTMLCanvasElement} */ (byId("live")), backbone, SHOWN);
  await list();
  bind();
  for (const id of ["listen", "hold", "teach-file", "listen-file", "import"]) {
    /** @type {HTMLButtonElement} */ (byId(id)).disabled = false;
  }
  say("Ready. Start the microphone, or drop a recording on this page.");
  byId("about").textContent =
    `Backbone edge-s (${backbone.id.slice(0, 16)}), kernels ${backbone.kernels}. Everything runs in this browser.`;
  document.documentElement.dataset.ready = "true";
}

function bind() {
  studio.onheard = hear;
  studio.onfailure = fail;
  microphone.onlost = () => attempt(stopListening, "The microphone is gone. Plug it in, and start again.");
  listenButton.onclick = () => attempt(microphone.isOn ? stopListening : startListening);
  holdable(holdButton, { down: holdDown, up: () => attempt(holdUp) });
  ignoreBox.onchange = () => {
    nameField.disabled = ignoreBox.checked;
  };
  byId("lesson").onsubmit = (event) => {
    event.preventDefault();
    holdButton.focus();
  };
  onFiles("teach-file", teachFiles);
  onFiles("listen-file", ([file]) => listenTo(file));
  onFiles("import", ([file]) => importFile(file));
  byId("export").onclick = () => attempt(exportFile);
  bindDrop();
  bindRename();
}

// Listening

async function startListening() {
  const { port, rate } = await microphone.start();
  await studio.call("startMicrophone", [port, rate], [port]);
  began = Date.now();
  going.clear();
  live.clear();
  showListening(true);
  say("Listening.");
}

async function stopListening() {
  await microphone.stop();
  const last = await studio.call("stopMicrophone");
  for (const event of last?.events ?? []) takeEvent(event);
  going.clear();
  showListening(false);
  showLevel(0, 10);
  say("The microphone is off.");
}

/** @param {boolean} on */
function showListening(on) {
  listenButton.setAttribute("aria-pressed", String(on));
  listenButton.textContent = on ? "Stop listening" : "Start listening";
}

/** @param {import("./studio.js").HeardFrames} heard */
function hear(heard) {
  live.push(heard.frames);
  showLevel(heard.peak, heard.frames.length / backbone.mels / (backbone.sampleRate / backbone.hop));
  for (const event of heard.events) takeEvent(event);
  if (heard.judged) {
    sounds.judge(heard.judged);
    showClosest(heard.judged);
  }
}

/** @param {number} peak @param {number} seconds */
function showLevel(peak, seconds) {
  const now = peak > 0 ? 20 * Math.log10(peak) : QUIETEST;
  level = Math.max(now, level - FALL * seconds, QUIETEST);
  const meter = byId("level");
  const share = 1 - level / QUIETEST;
  /** @type {HTMLElement} */ (meter.firstElementChild).style.transform = `scaleX(${share})`;
  meter.classList.toggle("loud", level > -1);
  const rounded = String(Math.round(level));
  if (meter.getAttribute("aria-valuenow") !== rounded) {
    meter.setAttribute("aria-valuenow", rounded);
    meter.setAttribute("aria-valuetext", `${rounded} dB`);
    byId("level-text").textContent = `${rounded.replace("-", "−")} dB`;
  }
}

/** @param {import("./runtime.js").Judged} judged */
function showClosest({ class: id, score, threshold, recognised }) {
  const name = nameOf(id);
  const numbers = `${score.toFixed(2)} of the ${threshold.toFixed(2)} that it needs`;
  byId("closest").textContent = recognised
    ? `That was ${name}: score ${numbers}.`
    : `Not recognised. Closest is ${name}: score ${numbers}.`;
}

/** @param {import("./runtime.js").SoundEvent} event */
function takeEvent(event) {
  const name = nameOf(event.class);
  if (event.event === "begin") {
    const bar = { name, colour: colour(event.class), start: event.start, end: null };
    live.add(bar);
    const time = CLOCK.format(began + 1000 * event.start);
    going.set(event.class, { bar, item: addEvent(time, event) });
    byId("nothing").hidden = true;
    say(`Heard ${name}.`, true);
    return;
  }
  const known = going.get(event.class);
  if (!known) return;
  going.delete(event.class);
  known.bar.end = event.end;
  live.draw();
  /** @type {HTMLElement} */ (known.item.lastElementChild).textContent = describe(event);
}

/**
 * Adds an event on top of the list of the microphone's.
 * @param {string} time @param {import("./runtime.js").SoundEvent} event
 */
function addEvent(time, event) {
  const item = eventItem(time, event);
  const events = byId("events");
  events.prepend(item);
  while (events.children.length > LISTED) events.lastElementChild?.remove();
  return item;
}

/** @param {string} time @param {import("./runtime.js").SoundEvent} event */
function eventItem(time, event) {
  const item = element("li", {});
  item.style.setProperty("--own", colour(event.class));
  const dot = element("span", { className: "dot" });
  dot.setAttribute("aria-hidden", "true");
  item.append(
    element("span", { className: "quiet", textContent: time }),
    dot,
    element("span", { className: "what", textContent: nameOf(event.class) }),
    element("span", { className: "quiet", textContent: describe(event) }),
  );
  return item;
}

/** @param {import("./runtime.js").SoundEvent} event */
function describe({ event, start, end, score }) {
  const length = event === "end" ? `${(end - start).toFixed(1)} s, ` : "";
  return `${length}score ${score.toFixed(2)}`;
}

// Teaching

/** The moment of the stream at which the button went down. @type {Promise<number> | undefined} */
let recording;

function holdDown() {
  if (!lessonIsNamed()) return;
  if (!microphone.isOn) {
    attempt(async () => {
      await startListening();
      tell("taught", "The microphone is on. Now hold the button while you make the sound.");
    });
    return;
  }
  recording = studio.call("now");
  showRecording(true);
  tell("taught", "");
}

async function holdUp() {
  const started = recording;
  recording = undefined;
  if (!started) return;
  showRecording(false);
  const { role, name } = lesson();
  const taught = await studio.call("teachHeard", [role, name, await started]);
  const outcome = await tellTaught(taught, name);
  tell("taught", outcome.text, outcome.good);
}

/** @param {boolean} on */
function showRecording(on) {
  holdButton.classList.toggle("recording", on);
  holdButton.setAttribute("aria-pressed", String(on));
  byId("hold-text").textContent = on ? "Recording …" : "Hold to teach";
}

/** @returns {{role: "sound" | "negatives", name: string}} */
function lesson() {
  return ignoreBox.checked
    ? { role: "negatives", name: "Sounds to ignore" }
    : { role: "sound", name: asTaught(nameField.value) };
}

/**
 * Returns a name as a sound of that name is spelt already, or with its letters composed: keyboards and
 * devices compose them differently.
 * @param {string} name
 */
function asTaught(name) {
  const composed = name.trim().normalize("NFC");
  const known = classes.find((listed) => listed.name.normalize("NFC") === composed);
  return known?.name ?? composed;
}

function lessonIsNamed() {
  if (lesson().name) return true;
  tell("taught", "Give the sound a name first.", false);
  nameField.focus();
  return false;
}

/**
 * Keeps what was learnt, and says in a sentence what came of it.
 * @param {import("./runtime.js").Taught & {clip: Float32Array}} taught @param {string} name
 */
async function tellTaught(taught, name) {
  if (taught.whyNot) return { text: reason(taught.whyNot, name), good: false };
  if (taught.example) {
    await storage.saveClip(taught.example, taught.clip);
    clips.add(taught.example);
  }
  // Else a browser that runs out of space may forget what was taught.
  navigator.storage?.persist?.();
  await keep();
  const listed = classes.find(({ id }) => id === taught.class);
  const count = listed?.examples.length ?? 0;
  const several = taught.sounds > 1 ? ` There were ${taught.sounds} sounds; this was the strongest.` : "";
  const doubt = taught.doubtful
    ? ` Example ${taught.doubtful} does not sound like the others. If it is another sound, delete it.`
    : "";
  const more = count < 3 && listed?.role === "sound" ? " Another one makes it surer." : "";
  const which = count === 1 ? "one example" : `${count} examples`;
  return {
    text: `Learnt ${taught.seconds.toFixed(1)} s. ${name} has ${which} now.${several}${doubt || more}`,
    good: !taught.doubtful,
  };
}

/** @param {File[]} files */
async function teachFiles(files) {
  if (!ignoreBox.checked && !nameField.value.trim()) {
    nameField.value = files[0].name.replace(/\.[^.]*$/, "").slice(0, 32);
  }
  const { role, name } = lesson();
  const told = [];
  let good = true;
  for (const file of files) {
    const outcome = await tellTaught(
      await studio.call("teach", [role, name, await decoded(file)]),
      name,
    );
    told.push(files.length > 1 ? `${file.name}: ${outcome.text}` : outcome.text);
    good &&= outcome.good;
  }
  tell("taught", told.join(" "), good);
}

// Sounds

/** Shows what was taught. */
async function list() {
  const listing = await studio.call("listing");
  classes = listing.classes;
  sounds.show(classes, clips);
  byId("no-sounds").hidden = classes.length > 0;
  /** @type {HTMLButtonElement} */ (byId("export")).disabled = classes.length === 0;
  const named = classes.filter(({ role }) => role === "sound");
  byId("names").replaceChildren(...named.map(({ name }) => element("option", { value: name })));
}

/** Keeps the snapshot in the browser, and shows what it holds. */
async function keep() {
  await storage.saveSnapshot(backbone.id, await studio.call("export"));
  await list();
}

/** @param {string} call @param {any[]} args */
async function update(call, ...args) {
  try {
    await studio.call(call, args);
  } finally {
    await keep();
  }
}

/**
 * Changes something that can be taken back.
 * @param {string} done what to say then @param {string} call @param {any[]} args
 */
function change(done, call, ...args) {
  attempt(async () => {
    const before = await studio.call("export");
    await update(call, ...args);
    offerUndo(done, before);
  });
}

/** @param {string} done @param {Uint8Array} before */
function offerUndo(done, before) {
  const bar = byId("undo");
  const [text, button] = /** @type {any} */ (bar.children);
  text.textContent = done;
  bar.hidden = false;
  // The button that was pressed may be gone.
  if (document.activeElement === document.body) button.focus();
  button.onclick = () =>
    attempt(async () => {
      bar.hidden = true;
      byId("sounds-title").focus();
      await update("import", before);
    });
}

/** @param {string} example */
async function play(example) {
  const samples = await storage.clip(example);
  if (!samples) return;
  const context = new AudioContext();
  const buffer = context.createBuffer(1, samples.length, backbone.sampleRate);
  buffer.copyToChannel(samples, 0);
  const source = context.createBufferSource();
  source.buffer = buffer;
  source.connect(context.destination);
  source.onended = () => context.close();
  source.start();
}

/** @param {import("./runtime.js").ListedClass} listed */
function askForName(listed) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("rename"));
  const field = /** @type {HTMLInputElement} */ (byId("new-name"));
  byId("rename-title").textContent = `Rename ${listed.name}`;
  byId("rename-error").textContent = "";
  dialog.dataset.class = String(listed.id);
  field.value = listed.name;
  dialog.showModal();
  field.select();
}

function bindRename() {
  const dialog = /** @type {HTMLDialogElement} */ (byId("rename"));
  const field = /** @type {HTMLInputElement} */ (byId("new-name"));
  byId("rename-cancel").onclick = () => dialog.close();
  dialog.querySelector("form")?.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await update("rename", Number(dialog.dataset.class), asTaught(field.value));
      dialog.close();
      for (const listed of classes) {
        if (listed.name === field.value.trim()) tell("kept", `It is called ${listed.name} now.`, true);
      }
    } catch (error) {
      byId("rename-error").textContent = message(error);
    }
  });
}

async function exportFile() {
  const snapshot = await studio.call("export");
  const link = element("a", {
    href: URL.createObjectURL(new Blob([snapshot], { type: "application/octet-stream" })),
    download: "sounds.mtss",
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  tell("kept", "Saved as sounds.mtss.", true);
}

/** @param {File} file */
async function importFile(file) {
  const before = await studio.call("export");
  try {
    await studio.call("import", [new Uint8Array(await file.arrayBuffer())]);
  } catch (error) {
    tell("kept", message(error), false);
    return;
  }
  await keep();
  tell("kept", `${file.name} is loaded.`, true);
  offerUndo("The sounds of the file replaced the earlier ones.", before);
}

// Files

/** @param {File} file */
async function listenTo(file) {
  const title = byId("file-title");
  byId("file").hidden = false;
  title.textContent = `Listening to ${file.name} …`;
  byId("file-events").replaceChildren();
  const heard = await studio.call("listen", [await decoded(file)]);
  const canvas = /** @type {HTMLCanvasElement} */ (byId("file-picture"));
  const fresh = /** @type {HTMLCanvasElement} */ (canvas.cloneNode());
  canvas.replaceWith(fresh);
  const picture = new Timeline(fresh, backbone, heard.seconds);
  for (const frames of heard.frames) picture.push(frames);
  const begun = heard.events.filter((/** @type {any} */ event) => event.event === "begin");
  for (const begin of begun) {
    const end = heard.events.find(
      (/** @type {any} */ event) =>
        event.event === "end" && event.class === begin.class && event.start >= begin.start,
    );
    picture.add({
      name: nameOf(begin.class),
      colour: colour(begin.class),
      start: begin.start,
      end: end?.end ?? heard.seconds,
    });
    byId("file-events").append(eventItem(`${begin.start.toFixed(1)} s`, end ?? begin));
  }
  const count = begun.length === 1 ? "1 sound" : `${begun.length} sounds`;
  title.textContent = `${file.name}: ${count} recognised in ${heard.seconds.toFixed(1)} s.`;
}

/** Returns the samples of a recording at the backbone's rate. @param {File} file */
async function decoded(file) {
  const context = new OfflineAudioContext(1, 1, backbone.sampleRate);
  let buffer;
  try {
    buffer = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(
      `${file.name} is no recording that this browser can read. Take a WAV, FLAC, MP3, M4A, Ogg or Opus file.`,
    );
  }
  const samples = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
    buffer.getChannelData(channel).forEach((sample, at) => {
      samples[at] += sample / buffer.numberOfChannels;
    });
  }
  return samples;
}

/** @param {string} id @param {(files: File[]) => Promise<void>} action */
function onFiles(id, action) {
  const field = /** @type {HTMLInputElement} */ (byId(id));
  field.onchange = () => {
    const files = [...(field.files ?? [])];
    field.value = "";
    if (files.length > 0) attempt(() => action(files));
  };
}

function bindDrop() {
  const teach = byId("teach");
  const target = (/** @type {Event} */ event) =>
    teach.contains(/** @type {Node} */ (event.target)) ? teach : byId("heard-card");
  const mark = (/** @type {HTMLElement | null} */ card) => {
    for (const one of [teach, byId("heard-card")]) one.classList.toggle("target", one === card);
  };
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    mark(target(event));
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) mark(null);
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(null);
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length === 0) return;
    if (files[0].name.endsWith(".mtss")) attempt(() => importFile(files[0]));
    else if (target(event) === teach) attempt(() => teachFiles(files));
    else attempt(() => listenTo(files[0]));
  });
}

// Words

/** @param {number} id */
function nameOf(id) {
  const listed = classes.find((one) => one.id === id);
  return listed ? label(listed) : "a deleted sound";
}

/** @param {string} text @param {boolean} [heard] */
function say(text, heard = false) {
  const status = byId("status");
  status.textContent = text;
  status.classList.toggle("heard", heard);
}

/** @param {string} id @param {string} text @param {boolean} [good] */
function tell(id, text, good) {
  const place = byId(id);
  place.textContent = text;
  place.classList.toggle("good", good === true);
  place.classList.toggle("bad", good === false);
}

/** @param {string} text */
function fail(text) {
  const failure = byId("failure");
  failure.textContent = text;
  failure.hidden = false;
}

/** @param {unknown} error */
function message(error) {
  return error instanceof Error ? error.message : String(error);
}

/** Does something, and says so where it fails. @param {() => Promise<void>} work @param {string} [then] */
async function attempt(work, then) {
  byId("failure").hidden = true;
  try {
    await work();
    if (then) fail(then);
  } catch (error) {
    fail(message(error));
  }
}

/** Tells whether the browser has WebAssembly's vectors: the smallest module with one. */
function hasVectors() {
  return WebAssembly.validate(
    new Uint8Array([
      0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253,
      15, 253, 98, 11,
    ]),
  );
}
