//! Functions for the page, called from a worker.
//!
//! Arguments that are no numbers go through two buffers, which the page fills before a call: samples
//! ([`samples`]) and bytes ([`bytes`]). Results come back in two others: JSON ([`text`]), which is
//! `{"ok": ...}` or `{"error": "a sentence"}`, and values ([`values`]) or bytes ([`bytes`]) beside it. Each
//! call replaces what the one before returned, and may move the buffers.

// A function is exported by its name, which another library might have, too: there is none here.
#![allow(unsafe_code)]

use crate::studio::{Lesson, Studio, Taught};
use crate::studio_error::StudioError;
use mtslvr_listen::view::palette;
use mtslvr_runtime::fewshot::Role;
use mtslvr_runtime::nn::arch::InstructionSet;
use serde::Serialize;
use std::cell::RefCell;

/// State of the module: a page has one worker, and that one thread.
#[derive(Default)]
struct Page {
    studio: Option<Studio>,
    samples: Vec<f32>,
    bytes: Vec<u8>,
    text: Vec<u8>,
    values: Vec<f32>,
}

thread_local! {
    static PAGE: RefCell<Page> = RefCell::default();
}

/// A result as the page reads it.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Answer<T> {
    Ok(T),
    Error(String),
}

impl Page {
    /// Calls `work` with the studio and all buffers, and writes its answer as JSON.
    fn answer<T: Serialize>(
        &mut self,
        work: impl FnOnce(&mut Studio, &mut Buffers<'_>) -> Result<T, StudioError>,
    ) {
        let mut buffers = Buffers {
            samples: &self.samples,
            bytes: &mut self.bytes,
            values: &mut self.values,
        };
        buffers.values.clear();
        let answer = match &mut self.studio {
            Some(studio) => work(studio, &mut buffers),
            None => Err(StudioError::Closed),
        };
        self.write(answer);
    }

    fn write<T: Serialize>(&mut self, answer: Result<T, StudioError>) {
        let answer = match answer {
            Ok(value) => Answer::Ok(value),
            Err(error) => Answer::Error(error.to_string()),
        };
        self.text.clear();
        // Numbers and strings are JSON, and memory takes every byte.
        let _ = serde_json::to_writer(&mut self.text, &answer);
    }
}

/// Buffers of a call.
struct Buffers<'p> {
    samples: &'p [f32],
    bytes: &'p mut Vec<u8>,
    values: &'p mut Vec<f32>,
}

impl Buffers<'_> {
    /// Returns the lesson of this role; the bytes are the name of a sound.
    fn lesson<'n>(name: &'n str, role: u32) -> Lesson<'n> {
        let role = match role {
            1 => Role::Negatives,
            2 => Role::Background,
            _ => Role::Sound,
        };
        Lesson::new(role, name)
    }

    fn name(&self) -> String {
        String::from_utf8_lossy(self.bytes).trim().to_owned()
    }

    /// Gives the samples of an example to the page.
    fn give(&mut self, taught: Taught) -> Taught {
        self.values.extend_from_slice(&taught.samples);
        taught
    }
}

fn with_page<T>(work: impl FnOnce(&mut Page) -> T) -> T {
    PAGE.with_borrow_mut(work)
}

fn answer<T: Serialize>(
    work: impl FnOnce(&mut Studio, &mut Buffers<'_>) -> Result<T, StudioError>,
) {
    with_page(|page| page.answer(work));
}

/// Makes room for `len` samples and returns its address.
#[unsafe(no_mangle)]
extern "C" fn samples(len: usize) -> *mut f32 {
    with_page(|page| {
        page.samples.resize(len, 0.0);
        page.samples.as_mut_ptr()
    })
}

/// Makes room for `len` bytes and returns its address.
#[unsafe(no_mangle)]
extern "C" fn bytes(len: usize) -> *mut u8 {
    with_page(|page| {
        page.bytes.resize(len, 0);
        page.bytes.as_mut_ptr()
    })
}

/// Returns the address of the bytes that a call returned.
#[unsafe(no_mangle)]
extern "C" fn returned_bytes() -> *const u8 {
    with_page(|page| page.bytes.as_ptr())
}

/// Returns the number of bytes that a call returned.
#[unsafe(no_mangle)]
extern "C" fn returned_bytes_len() -> usize {
    with_page(|page| page.bytes.len())
}

/// Returns the address of the answer.
#[unsafe(no_mangle)]
extern "C" fn text() -> *const u8 {
    with_page(|page| page.text.as_ptr())
}

/// Returns the bytes of the answer.
#[unsafe(no_mangle)]
extern "C" fn text_len() -> usize {
    with_page(|page| page.text.len())
}

/// Returns the address of the values beside the answer.
#[unsafe(no_mangle)]
extern "C" fn values() -> *const f32 {
    with_page(|page| page.values.as_ptr())
}

/// Returns the number of values beside the answer.
#[unsafe(no_mangle)]
extern "C" fn values_len() -> usize {
    with_page(|page| page.values.len())
}

/// Opens the model in the bytes, with the fastest kernels or, if `portable` is not 0, the portable ones.
#[unsafe(no_mangle)]
extern "C" fn open(portable: u32) {
    let instruction_set = match portable {
        0 => InstructionSet::best(),
        _ => InstructionSet::Portable,
    };
    with_page(|page| {
        let opened = Studio::open(&page.bytes, instruction_set);
        let answer = opened.map(|studio| {
            let backbone = studio.backbone();
            page.studio = Some(studio);
            backbone
        });
        page.write(answer);
    });
}

/// Returns the colours of a spectrogram in the bytes: 256 times red, green and blue.
#[unsafe(no_mangle)]
extern "C" fn colours() {
    answer(|_, buffers| {
        *buffers.bytes = (0..=u8::MAX).flat_map(palette).collect();
        Ok(())
    });
}

/// Begins a stream at `rate` Hz.
#[unsafe(no_mangle)]
extern "C" fn begin(stream: usize, rate: u32) {
    answer(|studio, _| studio.begin(stream, rate));
}

/// Hears the samples; the values are the frames.
#[unsafe(no_mangle)]
extern "C" fn hear(stream: usize) {
    answer(|studio, buffers| {
        let (heard, frames) = studio.hear(stream, buffers.samples)?;
        buffers.values.extend_from_slice(frames);
        Ok(heard)
    });
}

/// Ends a stream.
#[unsafe(no_mangle)]
extern "C" fn finish(stream: usize) {
    answer(|studio, _| studio.finish(stream));
}

/// Teaches the samples; the bytes are the name of a sound, and the values the samples that were used.
#[unsafe(no_mangle)]
extern "C" fn teach(role: u32) {
    answer(|studio, buffers| {
        let name = buffers.name();
        let taught = studio.teach(Buffers::lesson(&name, role), buffers.samples)?;
        Ok(buffers.give(taught))
    });
}

/// Teaches the part of a stream from `start` to `end` seconds.
#[unsafe(no_mangle)]
extern "C" fn teach_heard(role: u32, stream: usize, start: f64, end: f64) {
    answer(|studio, buffers| {
        let name = buffers.name();
        let lesson = Buffers::lesson(&name, role);
        let taught = studio.teach_heard(stream, lesson, start, end)?;
        Ok(buffers.give(taught))
    });
}

/// Embeds the samples into the values.
#[unsafe(no_mangle)]
extern "C" fn embed() {
    answer(|studio, buffers| {
        *buffers.values = studio.embed(buffers.samples)?;
        Ok(())
    });
}

/// Lists what was taught.
#[unsafe(no_mangle)]
extern "C" fn listing() {
    answer(|studio, _| Ok(studio.listing()));
}

/// Gives a sound the name in the bytes.
#[unsafe(no_mangle)]
extern "C" fn rename(class: u16) {
    answer(|studio, buffers| studio.rename(class, &buffers.name()));
}

/// Deletes a class.
#[unsafe(no_mangle)]
extern "C" fn delete(class: u16) {
    answer(|studio, _| studio.delete(class, None));
}

/// Deletes an example of a class, counted from 0.
#[unsafe(no_mangle)]
extern "C" fn delete_example(class: u16, example: usize) {
    answer(|studio, _| studio.delete(class, Some(example)));
}

/// Lets a class take part if `enabled` is not 0.
#[unsafe(no_mangle)]
extern "C" fn enable(class: u16, enabled: u32) {
    answer(|studio, _| studio.enable(class, enabled != 0));
}

/// Sets the threshold of a class; NaN computes it from the examples.
#[unsafe(no_mangle)]
extern "C" fn set_threshold(class: u16, threshold: f32) {
    let threshold = Some(threshold).filter(|threshold| !threshold.is_nan());
    answer(|studio, _| studio.set_threshold(class, threshold));
}

/// Returns the snapshot in the bytes.
#[unsafe(no_mangle)]
extern "C" fn export() {
    answer(|studio, buffers| {
        *buffers.bytes = studio.export();
        Ok(())
    });
}

/// Replaces what was taught by the snapshot in the bytes.
#[unsafe(no_mangle)]
extern "C" fn import() {
    answer(|studio, buffers| studio.import(buffers.bytes));
}

/// Compares the kernels with the portable ones on so many random operators. Returns the checksum of all
/// outputs, or -1 where one differs.
#[cfg(feature = "kernels")]
#[unsafe(no_mangle)]
extern "C" fn kernels(cases: u32) -> i64 {
    crate::kernels::checksum(cases.into()).map_or(-1, i64::from)
}
