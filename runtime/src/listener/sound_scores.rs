//! Keeps the best scores of each sound of a stream.

use super::window::Window;
use crate::fewshot::ClassId;

/// The best that a sound scored for a class.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Scored {
    /// A class that the sound was most like in one of its windows.
    pub class: ClassId,
    /// The best score of those windows, -1 to 1.
    pub score: f32,
    /// Threshold of the class.
    pub threshold: f32,
    /// Sample, counted from the stream's beginning, at which the first of those windows begins.
    pub start: u64,
}

impl Scored {
    /// Room for a score.
    pub const NONE: Self = Self {
        class: ClassId::new(0),
        score: 0.0,
        threshold: 0.0,
        start: 0,
    };

    /// Returns how far the score is above the threshold.
    pub fn lead(&self) -> f32 {
        self.score - self.threshold
    }
}

/// Tells each sound of a stream apart, and what it scored for the classes that it was most like.
///
/// A window counts if its class could be recognised at some threshold: one that is most like the negatives or the
/// background, or that was refused, does not.
#[derive(Debug)]
pub struct SoundScores<'b> {
    room: &'b mut [Scored],
    used: usize,
    /// Sounds so far.
    sounds: u32,
    /// The first sample of the sound that is heard.
    onset: Option<u64>,
}

impl<'b> SoundScores<'b> {
    /// Begins a stream. `room` has a place for each class; scores beyond it are not kept.
    pub fn new(room: &'b mut [Scored]) -> Self {
        Self {
            room,
            used: 0,
            sounds: 0,
            onset: None,
        }
    }

    /// Forgets the stream: another begins.
    pub fn reset(&mut self) {
        (self.used, self.sounds, self.onset) = (0, 0, None);
    }

    /// Returns the number of sounds that stood out.
    pub fn sounds(&self) -> u32 {
        self.sounds
    }

    /// Takes the next window of the stream, and calls `on_scored` with each score of a sound that was over before it.
    pub fn window(&mut self, window: &Window<'_>, on_scored: impl FnMut(&Scored)) {
        if window.onset != self.onset {
            self.end(on_scored);
            self.onset = window.onset;
            self.sounds += u32::from(window.onset.is_some());
        }
        // An infinite threshold: negatives, background, or a negative that is nearer.
        let Some(judgement) = window.judgement.filter(|j| j.threshold.is_finite()) else {
            return;
        };
        let (class, score) = (judgement.class, judgement.similarity);
        let mut own = self.room.iter_mut().take(self.used);
        if let Some(scored) = own.find(|scored| scored.class == class) {
            scored.score = scored.score.max(score);
        } else if let Some(place) = self.room.get_mut(self.used) {
            *place = Scored {
                class,
                score,
                threshold: judgement.threshold,
                start: window.start,
            };
            self.used += 1;
        }
    }

    /// Ends the sound that is heard, and calls `on_scored` with each of its scores.
    pub fn end(&mut self, on_scored: impl FnMut(&Scored)) {
        self.room.iter().take(self.used).for_each(on_scored);
        (self.used, self.onset) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Judgement;
    use super::*;

    fn window(onset: Option<u64>, judged: Option<(u16, f32, f32)>) -> Window<'static> {
        Window {
            start: onset.unwrap_or_default(),
            end: 0,
            onset,
            frames: &[],
            level: 0.0,
            embedding: None,
            decision: None,
            judgement: judged.map(|(class, similarity, threshold)| Judgement {
                class: ClassId::new(class),
                similarity,
                threshold,
                confidence: 0.0,
            }),
            event: None,
            ended: None,
        }
    }

    #[test]
    fn a_sound_has_its_best_score_for_each_class() {
        let mut room = [Scored::NONE; 2];
        let mut scores = SoundScores::new(&mut room);
        let mut heard = Vec::new();
        let refused = f32::INFINITY;
        for (onset, judged) in [
            (Some(5), Some((1, 0.25, 0.5))),
            (Some(5), Some((2, 0.125, 0.5))),
            (Some(5), Some((1, 0.75, 0.5))),
            (Some(5), Some((1, 0.875, refused))),
            // No room for a third one.
            (Some(5), Some((3, 0.5, 0.5))),
            (None, None),
            (Some(20), None),
            // The next sound follows at once.
            (Some(30), Some((2, 0.375, 0.5))),
        ] {
            scores.window(&window(onset, judged), |scored| heard.push(*scored));
        }
        let told = |heard: &[Scored]| -> Vec<(u16, f32, u64)> {
            let told = heard.iter().map(|s| (s.class.get(), s.score, s.start));
            told.collect()
        };
        assert_eq!(told(&heard), [(1, 0.75, 5), (2, 0.125, 5)]);
        assert_eq!(heard[0].lead(), 0.25);
        scores.end(|scored| heard.push(*scored));
        assert_eq!(told(&heard)[2..], [(2, 0.375, 30)]);
        assert_eq!(scores.sounds(), 3);
        scores.end(|scored| panic!("{scored:?}"));
        scores.reset();
        assert_eq!(scores.sounds(), 0);
    }
}
