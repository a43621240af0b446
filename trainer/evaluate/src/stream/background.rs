//! Composes the background of a place from recordings that fade into each other.

use super::level::Activity;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// Seconds for which one recording fades into the next; at most a quarter of a short one.
const FADE: f32 = 0.5;
/// Times that a recording is heard before the next, because a place stays the same for a while.
const REPEATS: usize = 6;

/// Composes `length` samples of background with mean power `power` from `clips`, which are drawn in
/// turn. Each is heard several times at the same level, without pauses at its ends; neighbours fade
/// into each other at constant power.
///
/// # Panics
/// If all clips are silent.
pub(super) fn background(
    clips: &[&[f32]],
    length: usize,
    power: f32,
    sample_rate: u32,
    rng: &mut ChaCha8Rng,
) -> Vec<f32> {
    let fade = (FADE * sample_rate as f32) as usize;
    let pieces: Vec<(&[f32], f32)> = clips
        .iter()
        .filter_map(|clip| {
            let activity = Activity::of(clip, sample_rate);
            let piece = &clip[activity.extent];
            let own = piece.iter().map(|x| x * x).sum::<f32>() / piece.len().max(1) as f32;
            (own > 0.0).then(|| (piece, (power / own).sqrt()))
        })
        .collect();
    assert!(!pieces.is_empty(), "a background needs a recording");
    let mut samples = vec![0.0; length];
    let mut at = 0;
    while at < length {
        let (piece, gain) = *pieces.choose(rng).expect("there are pieces");
        let fade = fade.min(piece.len() / 4);
        for _ in 0..REPEATS {
            add_faded(&mut samples, at, piece, gain, fade);
            at += piece.len() - fade;
        }
    }
    samples
}

/// Adds `piece` from sample `at` on, faded in and out over `fade` samples; the stream's own
/// beginning and end are not faded.
fn add_faded(samples: &mut [f32], at: usize, piece: &[f32], gain: f32, fade: usize) {
    let Some(room) = samples.get_mut(at..) else {
        return;
    };
    for (i, (to, sample)) in room.iter_mut().zip(piece).enumerate() {
        let from_end = piece.len() - 1 - i;
        let inner = if at == 0 { from_end } else { i.min(from_end) };
        let share = ((inner as f32 + 0.5) / fade.max(1) as f32).min(1.0);
        *to += sample * gain * (share * std::f32::consts::FRAC_PI_2).sin();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtslvr_audio::Noise;
    use rand::SeedableRng;

    #[test]
    fn background_is_as_loud_as_asked_for_throughout() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut noise = Noise::new(&mut rng);
        let clips: Vec<Vec<f32>> = [0.5, 0.01]
            .iter()
            .map(|gain| (0..24_000).map(|_| gain * noise.normal()).collect())
            .collect();
        let clips: Vec<&[f32]> = clips.iter().map(Vec::as_slice).collect();
        let samples = background(&clips, 400_000, 1e-4, 16_000, &mut rng);
        assert_eq!(samples.len(), 400_000);
        for second in samples.chunks(16_000) {
            let power = second.iter().map(|x| x * x).sum::<f32>() / second.len() as f32;
            assert!((0.7e-4..1.4e-4).contains(&power), "{power}");
        }
    }

    #[test]
    fn short_recordings_make_a_background_too() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut noise = Noise::new(&mut rng);
        let clip: Vec<f32> = (0..8000).map(|_| 0.1 * noise.normal()).collect();
        let samples = background(&[&clip], 64_000, 1e-4, 16_000, &mut rng);
        let power = samples.iter().map(|x| x * x).sum::<f32>() / samples.len() as f32;
        assert!((0.7e-4..1.4e-4).contains(&power), "{power}");
    }
}
