//! How much all cores embed together, beside what their int8 instructions could do.

use anyhow::Result;
use mtslvr_evaluate::timing::middle;
use mtslvr_pack::{BackboneFile, OpenedBackbone};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::nn::arch::InstructionSet;
use mtslvr_runtime::nn::arch::host::sum_products;
use serde::Serialize;
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// Time that all cores work in a turn, about.
const TURN: Duration = Duration::from_millis(40);

/// Figures of all cores at once.
#[derive(Debug, Serialize)]
pub(super) struct AllCores {
    /// Threads, one for each core.
    threads: usize,
    /// Turns that were timed.
    rounds: usize,
    /// Patches that are embedded in a second.
    patches_per_second: f64,
    /// Their multiply-accumulates.
    macs_per_second: f64,
    /// Multiply-accumulates a second of the same cores on registers alone, by the instructions that the kernels sum
    /// with; `None` where they are not known.
    peak_macs_per_second: Option<f64>,
    /// Share of the peak, from turns that follow each other.
    share_of_peak: Option<f64>,
}

impl AllCores {
    /// Measures the packed model in `file` with the kernels of `set`. `None` if there is no packed model.
    ///
    /// Embedding and the peak take turns, so that other work of the machine affects both alike.
    ///
    /// # Errors
    /// If the model cannot be run.
    pub(super) fn measure(
        file: &BackboneFile,
        set: InstructionSet,
        patch: &[f32],
        rounds: usize,
        stop: &AtomicBool,
    ) -> Result<Option<Self>> {
        let Some(model) = file.packed_model() else {
            return Ok(None);
        };
        let threads = available_parallelism().map_or(1, usize::from);
        let mut backbones = Vec::new();
        for _ in 0..threads {
            backbones.extend(file.backbone_on(set)?);
        }
        let macs = model.ops().map(|op| op.macs()).sum::<u64>() as f64;
        let patches = in_a_turn(|count| embed(&mut backbones[0], patch, count));
        let spins = in_a_turn(|count| {
            sum_products(set, count);
        });
        let (mut rates, mut peaks, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        while rates.len() < rounds && (rates.is_empty() || !stop.load(Ordering::Relaxed)) {
            let seconds = together(&mut backbones, |backbone| embed(backbone, patch, patches));
            let rate = (threads as u64 * patches) as f64 / seconds;
            rates.push(rate);
            let mut products = vec![None; threads];
            let seconds = together(&mut products, |done| *done = sum_products(set, spins));
            if let Some(products) = products.into_iter().sum::<Option<u64>>() {
                let peak = products as f64 / seconds;
                peaks.push(peak);
                shares.push(rate * macs / peak);
            }
        }
        let rounds = rates.len();
        let patches_per_second = middle(rates).unwrap_or_default();
        Ok(Some(Self {
            threads,
            rounds,
            patches_per_second,
            macs_per_second: patches_per_second * macs,
            peak_macs_per_second: middle(peaks),
            share_of_peak: middle(shares),
        }))
    }
}

impl std::fmt::Display for AllCores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} threads, one for each core: {:.0} patches a second, {:.1} billion multiply-accumulates",
            self.threads,
            self.patches_per_second,
            self.macs_per_second / 1e9
        )?;
        if let Some((peak, share)) = self.peak_macs_per_second.zip(self.share_of_peak) {
            write!(
                f,
                "; {:.0} % of the {:.1} billion\nthat these instructions reach on registers alone",
                100.0 * share,
                peak / 1e9
            )?;
        }
        writeln!(f)
    }
}

/// Embeds `patch` as often as `count` says.
fn embed(backbone: &mut OpenedBackbone, patch: &[f32], count: u64) {
    let mut embedding = vec![0.0; backbone.space().dim()];
    for _ in 0..count {
        // A model that could be opened runs; the packed engine fails only for patches of another length.
        let done = backbone.embed(black_box(patch), &mut embedding);
        debug_assert!(done.is_ok());
        black_box(&embedding);
    }
}

/// Finds how often work fits into a turn.
fn in_a_turn(mut work: impl FnMut(u64)) -> u64 {
    let mut count = 1;
    loop {
        let begin = Instant::now();
        work(count);
        let seconds = begin.elapsed().as_secs_f64();
        if seconds > TURN.as_secs_f64() / 8.0 || count >= 1 << 40 {
            return ((count as f64 * TURN.as_secs_f64() / seconds.max(1e-9)) as u64).max(1);
        }
        count *= 4;
    }
}

/// Works on all of `places` at once, a thread for each; returns the seconds from the common beginning to the last end.
fn together<T: Send>(places: &mut [T], work: impl Fn(&mut T) + Sync) -> f64 {
    let start = Barrier::new(places.len() + 1);
    let (start, work) = (&start, &work);
    std::thread::scope(|scope| {
        for place in places {
            scope.spawn(move || {
                start.wait();
                work(place);
            });
        }
        start.wait();
        Instant::now()
    })
    .elapsed()
    .as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::ModelChoice;

    #[test]
    fn all_cores_are_measured_and_their_peak_where_it_is_known() {
        let file = BackboneFile::open(&ModelChoice::default().source(), None).unwrap();
        let patch = vec![0.5; file.packed_model().unwrap().frontend().patch_len()];
        let go = AtomicBool::new(false);
        for set in [InstructionSet::Portable, InstructionSet::best()] {
            let found = AllCores::measure(&file, set, &patch, 2, &go).unwrap();
            let found = found.unwrap();
            assert_eq!(found.rounds, 2);
            let macs = found.macs_per_second / found.patches_per_second;
            assert!((7e6..8e6).contains(&macs), "{macs}");
            let known = sum_products(set, 1).is_some();
            assert_eq!(found.share_of_peak.is_some(), known);
            let share = found.share_of_peak;
            assert!(share.is_none_or(|share| share.is_finite() && share > 0.0));
        }
        let stop = AtomicBool::new(true);
        let stopped = AllCores::measure(&file, InstructionSet::best(), &patch, 9, &stop).unwrap();
        assert_eq!(stopped.unwrap().rounds, 1);
    }
}
