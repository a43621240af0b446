//! Times engines on one patch, so that they can be compared.
//!
//! The engines take turns within each round, so that other work of the machine affects all of them
//! alike. Ratios of one run can be quoted; times only with the machine they were measured on.

use mtslvr_runtime::backbone::Backbone;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Embeddings of one engine's turn that are not timed: they bring its code and weights back into the
/// caches.
const UNTIMED: usize = 2;

/// Embeddings of one engine's turn that are timed, each by itself.
const TIMED: usize = 4;

/// The middle of a sample of times, and the spread around it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The middle value.
    pub median_ms: f64,
    /// A quarter of the values are smaller.
    pub lower_quartile_ms: f64,
    /// A quarter of the values are greater.
    pub upper_quartile_ms: f64,
}

/// Returns the middle value of a sample; `None` of an empty one.
pub fn middle(sample: Vec<f64>) -> Option<f64> {
    Spread::of(sample).map(|spread| spread.median_ms)
}

impl Spread {
    /// Summarises a sample in milliseconds; `None` for an empty one.
    pub fn of(mut sample: Vec<f64>) -> Option<Self> {
        sample.sort_by(f64::total_cmp);
        let last = sample.len().checked_sub(1)?;
        let quantile = |share: f64| {
            let at = share * last as f64;
            let (below, above) = (sample[at.floor() as usize], sample[at.ceil() as usize]);
            below + (above - below) * at.fract()
        };
        Some(Self {
            median_ms: quantile(0.5),
            lower_quartile_ms: quantile(0.25),
            upper_quartile_ms: quantile(0.75),
        })
    }
}

/// Times `engines` over `rounds` rounds: in each, every engine embeds `patch` `UNTIMED` and then
/// `TIMED` times. The engine that begins is another one in each round. `after_round` gets the
/// number of rounds done. `stop` ends it after a round; at least one is done.
///
/// Returns one spread for each engine, and the number of rounds.
///
/// # Errors
/// The error of the first engine that fails.
///
/// # Panics
/// If there are no rounds, or `patch` is not as long as the engines' patches.
pub fn interleaved<B: Backbone>(
    engines: &mut [B],
    patch: &[f32],
    rounds: usize,
    stop: &AtomicBool,
    mut after_round: impl FnMut(usize),
) -> Result<(Vec<Spread>, usize), B::Error> {
    assert!(rounds > 0, "at least one round");
    let mut embeddings: Vec<Vec<f32>> = engines
        .iter()
        .map(|engine| vec![0.0; engine.space().dim()])
        .collect();
    let mut samples = vec![Vec::with_capacity(rounds * TIMED); engines.len()];
    let mut done = 0;
    while done < rounds {
        for turn in 0..engines.len() {
            let index = (done + turn) % engines.len();
            let (engine, embedding) = (&mut engines[index], &mut embeddings[index]);
            for _ in 0..UNTIMED {
                engine.embed(patch, embedding)?;
            }
            for _ in 0..TIMED {
                let start = Instant::now();
                engine.embed(std::hint::black_box(patch), embedding)?;
                std::hint::black_box(&*embedding);
                samples[index].push(1e3 * start.elapsed().as_secs_f64());
            }
        }
        done += 1;
        after_round(done);
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    let spreads = samples
        .into_iter()
        .map(|sample| Spread::of(sample).expect("every engine ran in every round"));
    Ok((spreads.collect(), done))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::test_frontend;
    use mtslvr_runtime::fewshot::Reference;
    use mtslvr_runtime::frontend::FrontendConfig;
    use mtslvr_runtime::space::{BackboneId, EmbeddingSpace, Part, Parts};
    use std::time::Duration;

    #[test]
    fn quartiles_lie_between_neighbours() {
        let spread = Spread::of(vec![4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(spread.median_ms, 2.5);
        assert_eq!(spread.lower_quartile_ms, 1.75);
        assert_eq!(spread.upper_quartile_ms, 3.25);
        assert_eq!(Spread::of(vec![]), None);
        assert_eq!(Spread::of(vec![7.0]).unwrap().upper_quartile_ms, 7.0);
    }

    /// Takes a given time, and counts.
    struct Sleeper(FrontendConfig, Duration, usize);

    #[derive(Debug, PartialEq, thiserror::Error)]
    #[error("tired")]
    struct Tired;

    impl Backbone for Sleeper {
        type Error = Tired;
        fn space(&self) -> EmbeddingSpace<'_> {
            let part = Part {
                name: "features",
                len: 1,
                share: 1.0,
            };
            let (id, parts) = (BackboneId::new([0; 32]), Parts::new([part]).unwrap());
            EmbeddingSpace::new(id, self.0, parts, &[0.0], Reference::assumed(0.0)).unwrap()
        }
        fn embed(&mut self, _: &[f32], _: &mut [f32]) -> Result<(), Tired> {
            self.2 += 1;
            std::thread::sleep(self.1);
            if self.2 > 1000 { Err(Tired) } else { Ok(()) }
        }
    }

    fn sleeper(millis: u64) -> Sleeper {
        Sleeper(test_frontend(), Duration::from_millis(millis), 0)
    }

    #[test]
    fn times_are_each_engine_s_own_and_stopping_keeps_whole_rounds() {
        let mut engines = [sleeper(1), sleeper(6)];
        let stop = AtomicBool::new(false);
        let (spreads, rounds) = interleaved(&mut engines, &[0.0; 80], 100, &stop, |done| {
            stop.store(done == 2, Ordering::Relaxed);
        })
        .unwrap();
        assert_eq!(rounds, 2);
        assert_eq!(engines[0].2, 2 * (UNTIMED + TIMED));
        assert_eq!(engines[0].2, engines[1].2);
        assert!(spreads[0].median_ms >= 1.0);
        assert!(spreads[1].lower_quartile_ms >= 6.0);
        engines[1].2 = 1000;
        let stop = AtomicBool::new(false);
        let failure = interleaved(&mut engines, &[0.0; 80], 1, &stop, |_| ());
        assert_eq!(failure.unwrap_err(), Tired);
    }
}
