//! Sounds of the project's synthesiser: patches of every family, each perturbed a little.

use super::{Context, Credit, Origin, Plan, Source};
use crate::audio::synth::{Family, Patch};
use crate::batch::{Batch, Wanted};
use crate::clip::{RATE, Tidy};
use crate::licence::Licence;
use crate::same::{Same, Set, hash};
use anyhow::Result;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub const SOURCE: Source = Source {
    name: "patches",
    title: "Sounds of this project's synthesiser",
    origin: Origin::Rendered,
    plan,
};

/// Clips of a patch, and how far their parameters are from the patch's.
const CLIPS: usize = 8;
const PERTURBED: f32 = 0.05;
/// Length of a clip in seconds.
const SECONDS: f32 = 1.5;

fn plan(context: &Context) -> Result<Plan> {
    let licence = Licence::stated("output of mtslvr");
    let clips = context.patch_hours * 3600.0 / f64::from(SECONDS);
    let patches = (clips / CLIPS as f64).round() as usize;
    let mut plan = Plan::default();
    for index in 0..patches {
        let family = Family::ALL[index % Family::ALL.len()];
        let patch = format!("{index:04}_{}", family.name());
        let clips = (0..CLIPS).map(|clip| Wanted {
            name: format!("{patch}/{clip}"),
            licence: licence.clone(),
            kind: "synth",
            same: Some(Same::new(Set::Patches, &patch)),
            group: format!("{patch}_{clip}"),
        });
        plan.batches.push(Batch {
            key: patch.clone(),
            clips: clips.collect(),
            render: Box::new(move |missing, bench| {
                let random = |name: &str| ChaCha8Rng::seed_from_u64(hash(name));
                let base = Patch::random_of(family, &mut random(&patch));
                for &index in missing {
                    let mut rng = random(&format!("{patch}/{index}"));
                    let sound = base.perturb(PERTURBED, &mut rng);
                    let samples = sound.render((SECONDS * RATE as f32) as usize, RATE, &mut rng);
                    bench.put(index, &samples, Tidy::RECORDING)?;
                }
                Ok(())
            }),
        });
    }
    plan.credit(Credit {
        work: "mtslvr-corpus".to_owned(),
        licence,
        holders: "this project, which makes no claim to the sounds".to_owned(),
        stated: "models/corpus/README.md".to_owned(),
    });
    Ok(plan)
}
