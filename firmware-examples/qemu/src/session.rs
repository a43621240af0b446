//! What the command line asks for: enrol, fit, classify, and a line printed about each.

use crate::arguments::{Argument, arguments};
use crate::device::{Device, Embedded, Purpose};
use crate::kept::{Kept, KeptError};
use crate::sounds::CLASSES;
use core::fmt;
use mtslvr_board::say;
use mtslvr_runtime::fewshot::{ClassId, ClassifyError, Decision, HeadKind, Learner};
use mtslvr_runtime::model::Crc32;

/// The head that the command line asks for, or the default.
pub fn head(line: &str) -> HeadKind {
    let heads = arguments(line).filter_map(|argument| match argument {
        Ok(Argument::Head(kind)) => Some(kind),
        _ => None,
    });
    heads.last().unwrap_or_default()
}

/// Follows the command line; false if any of it failed. What changes is kept at once.
pub fn run(device: &mut Device, sounds: &mut Learner, kept: &mut Option<Kept>, line: &str) -> bool {
    if let Some(kept) = kept
        && let Err(error) = kept.restore(sounds)
    {
        say!("error: {}", error);
        return false;
    }
    let mut passed = true;
    for argument in arguments(line) {
        let done = match argument {
            Ok(Argument::Support { label, path }) => support(device, sounds, label, path),
            Ok(Argument::Delete { label }) => delete(sounds, label),
            // Its range was checked with the argument.
            Ok(Argument::Threshold(threshold)) => {
                sounds.set_default_threshold(Some(threshold)).is_ok()
            }
            Ok(_) => continue,
            Err(error) => {
                say!("error: {}", error);
                false
            }
        };
        passed &= done && save(kept, sounds);
    }
    // After everything was deleted, and before anything comes over the link, there is nothing to fit, and nothing wrong.
    if kept.is_none() || sounds.support().class_count() > 0 {
        passed &= fit(device, sounds);
    }
    for argument in arguments(line) {
        if let Ok(Argument::Query { path }) = argument {
            passed &= query(device, sounds, path);
        }
    }
    passed
}

fn save(kept: &mut Option<Kept>, sounds: &Learner) -> bool {
    let saved = kept.as_mut().map_or(Ok(()), |kept| kept.save(sounds));
    saved
        .map_err(|error: KeptError| say!("error: {}", error))
        .is_ok()
}

fn delete(sounds: &mut Learner, label: &str) -> bool {
    let Some(class) = sounds.support().find(label) else {
        say!("error: no class {:?} to delete", label);
        return false;
    };
    if let Err(error) = sounds.support_mut().remove(class) {
        say!("error: {}", error);
        return false;
    }
    say!("deleted class={}", label);
    true
}

fn support(device: &mut Device, sounds: &mut Learner, label: &str, path: &str) -> bool {
    let Some(embedded) = embed(device, path, Purpose::Support) else {
        return false;
    };
    if let Err(error) = sounds.enrol(label, &embedded.embedding) {
        say!("error: {}: {}", path, error);
        return false;
    }
    say!("support class={} {} file={}", label, embedded, path);
    true
}

fn fit(device: &mut Device, sounds: &mut Learner) -> bool {
    let start = device.instructions.now();
    // The arena has nothing to do between embeddings.
    if let Err(error) = sounds.fit(device.backbone.scratch()) {
        say!("error: {}", error);
        return false;
    }
    say!(
        "fit classes={} examples={} instructions={}",
        sounds.support().class_count(),
        sounds.support().example_count(),
        device.instructions.now() - start
    );
    true
}

fn query(device: &mut Device, sounds: &mut Learner, path: &str) -> bool {
    let Some(embedded) = embed(device, path, Purpose::Query) else {
        return false;
    };
    let mut scores = [0.0; CLASSES];
    match classify(sounds, &embedded, &mut scores) {
        Ok(answer) => {
            say!("query {} {} file={}", answer, embedded, path);
            true
        }
        Err(error) => {
            say!("error: {}: {}", path, error);
            false
        }
    }
}

fn embed(device: &mut Device, path: &str, purpose: Purpose) -> Option<Embedded> {
    match device.embed(path, purpose) {
        Ok(embedded) => Some(embedded),
        Err(error) => {
            say!("error: {}: {}", path, error);
            None
        }
    }
}

fn classify<'a>(
    sounds: &'a mut Learner,
    embedded: &Embedded,
    scores: &'a mut [f32],
) -> Result<Answer<'a>, ClassifyError> {
    let decision = sounds.classify(&embedded.embedding, scores)?;
    Ok(Answer { sounds, decision })
}

/// A decision with the names of its classes.
struct Answer<'a> {
    sounds: &'a Learner<'a>,
    decision: Decision<'a>,
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |class: ClassId| self.sounds.support().name(class).unwrap_or("?");
        let decision = &self.decision;
        write!(
            f,
            "class={} best={} similarity={} scores=",
            decision.class.map_or("unknown", name),
            name(decision.best),
            decision.similarity
        )?;
        let classes = self.sounds.support().classes().iter();
        for (place, (class, score)) in classes.zip(decision.scores).enumerate() {
            let separator = if place == 0 { "" } else { "," };
            write!(f, "{separator}{}:{score}", class.name())?;
        }
        Ok(())
    }
}

impl fmt::Display for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.embedding.iter();
        let crc = values.fold(Crc32::new(), |crc, value| crc.update(&value.to_le_bytes()));
        write!(
            f,
            "samples={} patches={} crc32={:08x} instructions={}",
            self.samples,
            self.patches,
            crc.finish(),
            self.instructions
        )
    }
}
