//! A teacher that hears the clean windows of all clips once, before training.

use super::heard::{ClipId, Heard, Origin};
use super::observer::Observer;
use super::targets::{Reduction, Targets};
use super::window_model::{TeacherFile, WindowModel};
use super::windows::WindowRule;
use anyhow::{Context, Result, bail, ensure};
use half::f16;
use mtslvr_audio::Samples;
use rayon::prelude::*;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Instant;

/// Windows that go through a teacher at once. Only windows of one clip do, so that what is said of a
/// clip does not depend on which others there are.
const AT_ONCE: usize = 32;

/// The windows of all clips, and where what teachers say of them is kept.
#[derive(Debug)]
pub(super) struct Lessons<'s> {
    clips: &'s [Samples],
    ids: Vec<ClipId>,
    rule: WindowRule,
    folder: &'s Path,
}

impl<'s> Lessons<'s> {
    pub(super) fn new(clips: &'s [Samples], rule: WindowRule, folder: &'s Path) -> Self {
        Self {
            clips,
            ids: clips.par_iter().map(ClipId::of).collect(),
            rule,
            folder,
        }
    }

    fn windows(&self, clip: usize) -> usize {
        self.rule.count(self.clips[clip].len())
    }

    /// Clips that have windows of which `heard` does not know.
    fn missing(&self, heard: &Heard) -> Vec<usize> {
        let unknown = |&clip: &usize| {
            let windows = self.windows(clip);
            windows > 0 && !heard.knows(&self.ids[clip], windows)
        };
        (0..self.clips.len()).filter(unknown).collect()
    }
}

/// A model of waveforms, and what is learned from it.
#[derive(Debug)]
pub(super) struct WindowTeacher<'t> {
    /// Its name in the configuration.
    pub(super) name: &'t str,
    /// Its file.
    pub(super) model: &'t str,
    /// Its output.
    pub(super) output: &'t str,
    /// Reduction of its answers to targets.
    pub(super) reduction: Reduction,
}

impl WindowTeacher<'_> {
    /// Targets of all windows; `None` where `stop` came before all were heard. What was heard is kept.
    ///
    /// # Errors
    /// If the model cannot be opened, fails, or says fewer values than are to be learned, or the folder
    /// cannot be written.
    pub(super) fn targets(
        &self,
        lessons: &Lessons<'_>,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
    ) -> Result<Option<Targets>> {
        let name = self.name;
        let mut heard = self.hear(lessons, stop, observer)?;
        if !lessons.missing(&heard).is_empty() {
            ensure!(
                stop.load(Ordering::Relaxed),
                "the teacher {name} has not heard all windows"
            );
            return Ok(None);
        }
        let lengths = lessons.clips.iter().map(Samples::len);
        let clips: Vec<(usize, ClipId)> = lengths.zip(lessons.ids.iter().copied()).collect();
        observer.phase(&format!("reducing what the teacher {name} says"));
        let (targets, carried) = Targets::new(&mut heard, &clips, lessons.rule, self.reduction)
            .with_context(|| format!("the teacher {name}"))?;
        observer.note(&format!(
            "teacher {name}: {} windows, {} values reduced to {} that carry {:.0} % of the variance",
            targets.windows(),
            heard.dim(),
            targets.dim(),
            100.0 * carried
        ));
        Ok(Some(targets))
    }

    /// Hears, on all cores, the windows that are not in the folder yet, until `stop`.
    fn hear(
        &self,
        lessons: &Lessons<'_>,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
    ) -> Result<Heard> {
        let (name, file) = (self.name, self.model);
        let named = || format!("the teacher {name}");
        let file =
            TeacherFile::read(file, self.output, lessons.rule.samples).with_context(named)?;
        let open = || file.open();
        let dim = open().with_context(named)?.dim();
        ensure!(
            self.reduction.dim <= dim,
            "the teacher {name} says {dim} values of a window, but the part that learns from it has dim = {}; \
             expected at most as many",
            self.reduction.dim
        );
        let origin = Origin {
            teacher: file.hash.clone(),
            output: self.output.to_owned(),
            dim,
            rule: lessons.rule,
        };
        let mut heard = Heard::open(lessons.folder, &origin)?;
        if heard.cut_off() > 0 {
            observer.note(&format!(
                "teacher {name}: the last {} bytes of what was heard before are damaged or were not written \
                 whole; it listens to their recordings again",
                heard.cut_off()
            ));
        }
        let (ids, count) = (&lessons.ids, |clip: usize| lessons.windows(clip));
        let mut missing = lessons.missing(&heard);
        // Clips that are the same are heard once; the longest come first, so that all cores end at the
        // same time.
        missing.sort_by_key(|&clip| (std::cmp::Reverse(count(clip)), ids[clip], clip));
        missing.dedup_by_key(|clip| ids[*clip]);
        if missing.is_empty() {
            return Ok(heard);
        }
        let windows: usize = missing.iter().map(|&clip| count(clip)).sum();
        let threads = rayon::current_num_threads().min(missing.len());
        let started = Instant::now();
        let mut done = 0;
        observer.hearing(name, done, windows);
        listen_to_all(open, lessons, &missing, threads, stop, |said| {
            let (clip, values) = said.with_context(named)?;
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                bail!(
                    "the teacher {name} says {} of a window, expected a number of at most 65504; does its \
                     input want another range than -1 to 1?",
                    values[at]
                );
            }
            heard.append(ids[clip], &values)?;
            done += count(clip);
            observer.hearing(name, done, windows);
            Ok(())
        })?;
        if done > 0 {
            let milliseconds = started.elapsed().as_secs_f64() * 1e3 / done as f64;
            observer.note(&format!(
                "teacher {name}: {done} windows heard, {milliseconds:.1} ms each on {threads} threads"
            ));
        }
        Ok(heard)
    }
}

/// A clip, and what a teacher says of all its windows.
type Said = Result<(usize, Vec<f16>)>;

/// Opens a model on each of `threads` threads, has them hear the `clips` of the lessons, and calls `take`
/// with what they say in the order in which they end. Ends early on `stop`, or where `take` fails.
fn listen_to_all(
    open: impl Fn() -> Result<WindowModel> + Sync,
    lessons: &Lessons<'_>,
    clips: &[usize],
    threads: usize,
    stop: &AtomicBool,
    take: impl FnMut(Said) -> Result<()>,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let abandoned = AtomicBool::new(false);
    let ended = || stop.load(Ordering::Relaxed) || abandoned.load(Ordering::Relaxed);
    let work = |sender: SyncSender<Said>| {
        let result = open().and_then(|mut model| {
            while let Some(&clip) = clips.get(next.fetch_add(1, Ordering::Relaxed)) {
                let said = listen(&mut model, &lessons.clips[clip], lessons.rule, &ended)?;
                // Nobody listens any more if the receiver is gone.
                if said.is_none_or(|values| sender.send(Ok((clip, values))).is_err()) {
                    break;
                }
            }
            Ok(())
        });
        if let Err(error) = result {
            let _ = sender.send(Err(error));
        }
    };
    std::thread::scope(|scope| {
        // Nobody hears ahead of what is written.
        let (sender, receiver) = sync_channel(0);
        for _ in 0..threads {
            let (sender, work) = (sender.clone(), &work);
            scope.spawn(move || work(sender));
        }
        drop(sender);
        let outcome = receiver.iter().try_for_each(take);
        abandoned.store(true, Ordering::Relaxed);
        // Threads that still hear end once the receiver is gone.
        drop(receiver);
        outcome
    })
}

/// Returns a teacher's answers on all windows of a clip; `None` where `ended` said to stop.
fn listen(
    model: &mut WindowModel,
    clip: &Samples,
    rule: WindowRule,
    ended: &impl Fn() -> bool,
) -> Result<Option<Vec<f16>>> {
    let count = rule.count(clip.len());
    let mut said = Vec::with_capacity(count * model.dim());
    let mut windows = Vec::with_capacity(AT_ONCE.min(count) * rule.samples);
    for first in (0..count).step_by(AT_ONCE) {
        if ended() {
            return Ok(None);
        }
        windows.clear();
        for window in first..count.min(first + AT_ONCE) {
            rule.append(clip, window, &mut windows);
        }
        let heard = model.hear(&windows, rule.samples)?;
        said.extend(heard.into_iter().map(f16::from_f32));
    }
    Ok(Some(said))
}

#[cfg(test)]
pub(crate) mod tests;
