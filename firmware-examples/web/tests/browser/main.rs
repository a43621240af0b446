//! The page in headless Chromium, driven by WebDriver.
//!
//! `cargo xtask test` builds the page, names its folder in `MTSLVR_WEB`, and runs these tests. Without a
//! browser they are ignored.

mod driver;
mod sounds;

use anyhow::{Context, Result, ensure};
use driver::{Browser, Driver, ENTER, SPACE, Setup, TAB, wait};
use mtslvr_listen::profile::{Memory, Snapshot};
use mtslvr_runtime::nn::arch::InstructionSet;
use mtslvr_web::{Lesson, Studio};
use serde_json::{Value, json};
use sounds::Sounds;
use std::env;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use xtask::serve::Server;

/// The page on a server, and a driver.
struct Stage {
    driver: Driver,
    address: String,
    page: PathBuf,
    folder: TempDir,
    sounds: Sounds,
}

impl Stage {
    fn new() -> Result<Self> {
        let page = PathBuf::from(env::var_os("MTSLVR_WEB").context("MTSLVR_WEB is not set")?);
        let server = Server::bind(([127, 0, 0, 1], 0).into(), &page)?;
        let address = format!("http://localhost:{}/", server.address()?.port());
        std::thread::spawn(|| server.run());
        let folder = tempfile::tempdir()?;
        Ok(Self {
            driver: Driver::start()?,
            address,
            page,
            sounds: Sounds::make(folder.path())?,
            folder,
        })
    }

    /// Opens the page with a recording as the microphone. Storage stays from one browser to the next.
    fn open(&self, microphone: Option<&Path>) -> Result<Browser<'_>> {
        let browser = self.driver.open(&Setup {
            profile: self.folder.path(),
            microphone,
        })?;
        browser.visit(&self.address)?;
        Ok(browser)
    }

    /// Opens the page's model on this machine.
    fn studio(&self) -> Result<Studio> {
        let model = std::fs::read(self.page.join("edge-s.slvr"))?;
        Ok(Studio::open(&model, InstructionSet::best())?)
    }
}

/// Fails if the page wrote anything to the console.
fn check_console(browser: &Browser) -> Result<()> {
    let entries = browser.console()?;
    ensure!(entries.is_empty(), "the console says: {entries:#?}");
    Ok(())
}

/// JavaScript that opens a runtime of its own, `runtime`.
const RUNTIME: &str = r#"
    const { Runtime } = await import("/runtime.js");
    const { runtime } = await Runtime.load("/mtslvr_web.wasm", "/edge-s.slvr");
    const bits = (values) => [...new Uint32Array(values.buffer)];
"#;

#[test]
#[ignore = "needs a browser; cargo xtask test runs it"]
fn embeddings_and_snapshots_equal_the_hosts_to_the_bit() -> Result<()> {
    let stage = Stage::new()?;
    let browser = stage.open(None)?;
    let mut studio = stage.studio()?;
    for (class, clip) in [(0, 0), (1, 3), (2, 1), (5, 7)] {
        let samples = stage.sounds.samples(class, clip)?;
        let found = browser.run_async(
            &format!("{RUNTIME} return bits(runtime.embed(Float32Array.from(input)));"),
            &json!(samples),
        )?;
        let expected = studio.embed(&samples)?;
        let expected: Vec<u32> = expected.iter().map(|value| value.to_bits()).collect();
        ensure!(found == json!(expected), "class {class}, clip {clip}");
    }

    // Taught in the browser and here: the same snapshot, and it is one that the host's crates read.
    let lessons = [("bell", 1, 0), ("bell", 1, 1), ("hum", 0, 0), ("hum", 0, 1)];
    let mut clips = Vec::new();
    for (name, class, clip) in lessons {
        let samples = stage.sounds.samples(class, clip)?;
        let taught = studio.teach(Lesson::Sound(name), &samples)?;
        ensure!(taught.class.is_some(), "{name}: {:?}", taught.why_not);
        clips.push(json!([name, samples]));
    }
    let found = browser.run_async(
        &format!(
            "{RUNTIME}
             for (const [name, samples] of input) runtime.teach(0, name, Float32Array.from(samples));
             return [[...runtime.export()], runtime.listing()];"
        ),
        &json!(clips),
    )?;
    let snapshot: Vec<u8> = serde_json::from_value(found[0].clone())?;
    ensure!(snapshot == studio.export(), "the snapshots differ");
    let listing = as_read(&studio.listing())?;
    ensure!(found[1] == listing, "{} is not {listing}", found[1]);
    check_snapshot(&snapshot, &stage, 2, 4)?;

    // A file is heard as it is here.
    let recording = stage.folder.path().join("heard.wav");
    stage.sounds.record(&recording, &[(1, 5), (3, 0), (0, 6)])?;
    let samples = mtslvr_audio::load(&recording, sounds::RATE)?;
    studio.begin(1, sounds::RATE)?;
    let mut expected = studio.hear(1, &samples)?.0.events;
    expected.extend(studio.finish(1)?.events);
    ensure!(!expected.is_empty(), "nothing was recognised");
    let found = browser.run_async(
        &format!(
            "{RUNTIME}
             runtime.import(Uint8Array.from(input[0]));
             runtime.begin(1, 16000);
             const samples = Float32Array.from(input[1]);
             const events = [];
             for (let at = 0; at < samples.length; at += 777) {{
               events.push(...runtime.hear(1, samples.subarray(at, at + 777)).events);
             }}
             return [...events, ...runtime.finish(1).events];"
        ),
        &json!([snapshot, samples]),
    )?;
    let expected = as_read(&expected)?;
    ensure!(found == expected, "{found} is not {expected}");
    check_console(&browser)
}

/// Returns a value as JavaScript reads it: numbers of 32 bits by the shortest text that means them.
fn as_read(value: &impl serde::Serialize) -> Result<Value> {
    Ok(serde_json::from_str(&serde_json::to_string(value)?)?)
}

/// Checks that the host's crate for profiles reads a snapshot, and keeps every bit of it.
fn check_snapshot(bytes: &[u8], stage: &Stage, classes: usize, examples: usize) -> Result<()> {
    let path = stage.folder.path().join("read.mtss");
    std::fs::write(&path, bytes)?;
    let snapshot = Snapshot::read(&path)?;
    let header = snapshot.header();
    ensure!((header.classes, header.examples) == (classes, examples));
    let mut memory = Memory::for_snapshot(&header);
    let mut learner = memory.learner();
    snapshot.restore(&mut learner)?;
    let mut studio = stage.studio()?;
    studio.import(bytes)?;
    ensure!(studio.export() == bytes, "the snapshot changed");
    Ok(())
}

#[test]
#[ignore = "needs a browser; cargo xtask test runs it"]
fn kernels_give_the_bytes_of_the_portable_ones() -> Result<()> {
    let stage = Stage::new()?;
    let code = env::var_os("MTSLVR_WEB_KERNELS").context("MTSLVR_WEB_KERNELS is not set")?;
    let code = std::fs::read(code)?;
    let browser = stage.open(None)?;
    let found = browser.run_async(
        "const { instance } = await WebAssembly.instantiate(Uint8Array.from(input));
         return Number(instance.exports.kernels(300));",
        &json!(code),
    )?;
    let portable = mtslvr_kernel_cases::Kernels::PORTABLE;
    let mtslvr_kernel_cases::Sweep::Agrees { crc32 } = mtslvr_kernel_cases::sweep(300, &portable)
    else {
        anyhow::bail!("the portable kernels differ from themselves");
    };
    ensure!(found == json!(crc32), "{found} is not {crc32}");
    Ok(())
}

#[test]
#[ignore = "needs a browser; cargo xtask test runs it"]
fn it_is_taught_at_the_microphone_and_recognises_the_sound_and_no_other() -> Result<()> {
    let stage = Stage::new()?;
    let folder = stage.folder.path();
    let (lesson, test) = (folder.join("lesson.wav"), folder.join("test.wav"));
    // Played again and again: whenever the button is held for its length, one whole sound is heard.
    stage.sounds.record(&lesson, &[(1, 0)])?;
    stage
        .sounds
        .record(&test, &[(1, 4), (0, 0), (1, 6), (3, 0)])?;

    let browser = stage.open(Some(&lesson))?;
    browser.type_into("#name", "bell")?;
    browser.click("#listen")?;
    browser.wait_for("#status", "Listening")?;
    browser.run("document.querySelector('#hold').focus()")?;
    browser.hold(SPACE, 7_500)?;
    browser.wait_for("#taught", "bell has one example now")?;
    // Two more from files.
    for clip in [1, 2] {
        let file = stage.sounds.file(1, clip).display().to_string();
        browser.type_into("#teach-file", &file)?;
        browser.wait_for("#taught", &format!("bell has {} examples now", clip + 1))?;
    }
    check_console(&browser)?;
    drop(browser);

    // Another browser with the same storage, and another recording.
    let browser = stage.open(Some(&test))?;
    ensure!(browser.texts("#sounds h3")? == ["bell"], "it forgot");
    browser.click("#listen")?;
    wait("two sounds to be heard", || {
        let heard = browser.texts("#events .what")?;
        Ok((heard.len() >= 2).then_some(()))
    })?;
    // The last sound of the recording is another one.
    std::thread::sleep(std::time::Duration::from_secs(4));
    browser.click("#listen")?;
    browser.wait_for("#status", "off")?;
    let heard = browser.texts("#events .what")?;
    ensure!(heard == ["bell", "bell"], "heard {heard:?}");
    check_console(&browser)
}

#[test]
#[ignore = "needs a browser; cargo xtask test runs it"]
fn what_was_taught_is_kept_changed_saved_and_loaded() -> Result<()> {
    let stage = Stage::new()?;
    let browser = stage.open(None)?;
    let file = |class, clip| stage.sounds.file(class, clip).display().to_string();
    browser.type_into("#name", "bell")?;
    browser.type_into("#teach-file", &format!("{}\n{}", file(1, 0), file(1, 1)))?;
    browser.wait_for("#taught", "bell has 2 examples now")?;
    browser.run("document.querySelector('#name').value = 'hum'")?;
    browser.type_into("#teach-file", &file(0, 0))?;
    browser.wait_for("#taught", "hum has one example now")?;
    ensure!(browser.texts("#sounds h3")? == ["bell", "hum"]);

    // A threshold, another name, an example less and again: all by the page.
    browser.run(
        "const slider = document.querySelector('[aria-label=\"Threshold of bell\"]');
         slider.value = '0.5'; slider.dispatchEvent(new Event('change'));",
    )?;
    browser.wait_for("#sounds", "Set by you")?;
    browser.click("[aria-label='Rename hum']")?;
    browser.run("document.querySelector('#new-name').value = 'fridge'")?;
    browser.click("#rename .main")?;
    browser.wait_for("#sounds", "fridge")?;
    browser.click("[aria-label='Delete example 2 of bell']")?;
    browser.wait_for("#undo", "deleted")?;
    browser.click("#undo button")?;
    wait("both examples to be there again", || {
        Ok((browser.texts(".examples li")?.len() == 3).then_some(()))
    })?;

    browser.reload()?;
    ensure!(
        browser.texts("#sounds h3")? == ["bell", "fridge"],
        "it forgot"
    );
    browser.click("#export")?;
    let saved = stage.folder.path().join("sounds.mtss");
    let snapshot = wait("the download", || Ok(std::fs::read(&saved).ok()))?;
    check_snapshot(&snapshot, &stage, 2, 3)?;
    let mut studio = stage.studio()?;
    studio.import(&snapshot)?;
    let listing = studio.listing();
    ensure!(listing.classes[0].own == Some(0.5) && listing.classes[1].name == "fridge");

    // A profile that this machine made.
    studio.teach(Lesson::Sound("t\u{fc}r"), &stage.sounds.samples(2, 0)?)?;
    let made = stage.folder.path().join("made.mtss");
    std::fs::write(&made, studio.export())?;
    browser.type_into("#import", &made.display().to_string())?;
    browser.wait_for("#kept", "made.mtss is loaded")?;
    ensure!(browser.texts("#sounds h3")? == ["bell", "fridge", "t\u{fc}r"]);
    // Files that are none say so, and change nothing.
    browser.type_into("#import", &file(0, 0))?;
    browser.wait_for("#kept", "no snapshot")?;
    browser.type_into("#listen-file", &made.display().to_string())?;
    browser.wait_for("#failure", "no recording")?;
    ensure!(browser.texts("#sounds h3")?.len() == 3);
    let heard = stage.folder.path().join("file.wav");
    stage.sounds.record(&heard, &[(1, 3), (4, 0)])?;
    browser.type_into("#listen-file", &heard.display().to_string())?;
    browser.wait_for("#file-title", "1 sound recognised")?;
    check_console(&browser)
}

#[test]
#[ignore = "needs a browser; cargo xtask test runs it"]
fn everything_is_reached_and_used_by_keys() -> Result<()> {
    let stage = Stage::new()?;
    let browser = stage.open(None)?;
    let focused = || -> Result<String> {
        let id = browser.run("return document.activeElement.id")?;
        Ok(id.as_str().unwrap_or_default().to_owned())
    };
    browser.press(&[TAB])?;
    let skip = browser.run("return document.activeElement.className")?;
    ensure!(skip == json!("skip"), "the first stop is {skip}");
    for expected in [
        "listen",
        "name",
        "ignore",
        "hold",
        "teach-file",
        "listen-file",
        "import",
    ] {
        browser.press(&[TAB])?;
        ensure!(
            focused()? == expected,
            "found {}, expected {expected}",
            focused()?
        );
    }
    // A visible mark shows where the focus is.
    let outline = browser.run(
        "document.querySelector('#listen').focus();
         return getComputedStyle(document.activeElement).outlineStyle",
    )?;
    ensure!(outline != json!("none"), "no mark of the focus");

    browser.press(&[ENTER])?;
    browser.wait_for("#status", "Listening")?;
    browser.press(&[TAB])?;
    // Without a name there is no lesson, and the page says so.
    browser.press(&[ENTER])?;
    ensure!(
        focused()? == "hold",
        "Enter in the name leads to {}",
        focused()?
    );
    browser.press(&[SPACE])?;
    browser.wait_for("#taught", "name first")?;
    ensure!(focused()? == "name");
    browser.press(&['h', 'u', 'm', ENTER])?;
    // A tap keeps the button down until the next one.
    browser.press(&[SPACE])?;
    browser.wait_for("#hold-text", "Recording")?;
    std::thread::sleep(std::time::Duration::from_millis(700));
    browser.press(&[SPACE])?;
    browser.wait_for("#hold-text", "Hold to teach")?;
    wait("the outcome", || {
        let outcome = browser.text("#taught")?;
        Ok((!outcome.is_empty()).then_some(()))
    })?;
    browser.run("document.querySelector('#listen').focus()")?;
    browser.press(&[SPACE])?;
    browser.wait_for("#status", "off")?;
    let unnamed = browser.run(
        "return [...document.querySelectorAll('button, input')].filter((one) =>
           !(one.textContent.trim() || one.labels?.length || one.ariaLabel)).map((one) => one.outerHTML)",
    )?;
    ensure!(unnamed == json!([]), "without a name: {unnamed}");
    check_console(&browser)
}
