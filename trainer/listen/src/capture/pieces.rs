//! Cuts a long recording into pieces, in which sounds are found one after the other: memory does not grow
//! with the recording.

use super::take::{Cut, Take};

/// Length of a piece, seconds. A shorter recording is one piece.
const PIECE: usize = 240;

/// How far a piece goes into the next one, seconds: for sounds that begin in it.
const OVERLAP: usize = 15;

/// A sound that begins this early in a piece, seconds, is that of the piece before, which hears more of it.
const EARLY: f64 = 0.5;

/// A part of a recording.
#[derive(Clone, Debug)]
pub struct Piece {
    samples: Vec<f32>,
    start: f64,
    is_first: bool,
    is_last: bool,
}

impl Piece {
    /// Returns its samples.
    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    /// Returns where it begins in the recording, seconds.
    pub fn start(&self) -> f64 {
        self.start
    }

    /// Returns those of the sounds that were found in it, as parts of it, which no other piece has.
    pub fn own<'t>(&self, take: &'t Take) -> impl Iterator<Item = Cut> + use<'t> {
        let (first, last) = (self.is_first, self.is_last);
        let cuts = take.cuts().iter().copied();
        cuts.filter(move |cut| owns(first, last, cut.start))
    }

    /// Returns what part of it a part of the recording is, if it is one of its own.
    pub fn part(&self, cut: Cut) -> Option<Cut> {
        let part = Cut {
            start: cut.start - self.start,
            end: cut.end - self.start,
        };
        owns(self.is_first, self.is_last, part.start).then_some(part)
    }
}

/// Tells whether a sound that begins at `start` belongs to a piece.
fn owns(is_first: bool, is_last: bool, start: f64) -> bool {
    (is_first || start >= EARLY) && (is_last || start < PIECE as f64 + EARLY)
}

/// Iterator over the pieces of a recording.
#[derive(Debug)]
pub struct Pieces<S> {
    source: S,
    rate: usize,
    held: Vec<f32>,
    /// Samples before those held; `None` once the last piece was given.
    before: Option<usize>,
}

impl<S> Pieces<S> {
    /// Cuts what `source` gives, `rate` samples a second.
    pub fn new(source: S, rate: u32) -> Self {
        Self {
            source,
            rate: rate as usize,
            held: Vec::new(),
            before: Some(0),
        }
    }
}

impl<S: Iterator<Item = Result<Vec<f32>, E>>, E> Iterator for Pieces<S> {
    type Item = Result<Piece, E>;

    fn next(&mut self) -> Option<Self::Item> {
        let before = self.before?;
        let (piece, whole) = (PIECE * self.rate, (PIECE + OVERLAP) * self.rate);
        let mut ended = false;
        // One sample more tells that this is not the last piece.
        while self.held.len() <= whole && !ended {
            match self.source.next() {
                Some(Ok(samples)) => self.held.extend(samples),
                Some(Err(error)) => {
                    self.before = None;
                    return Some(Err(error));
                }
                None => ended = true,
            }
        }
        let samples = match ended {
            true => std::mem::take(&mut self.held),
            false => {
                let samples = self.held[..whole].to_vec();
                self.held.drain(..piece);
                samples
            }
        };
        self.before = (!ended).then_some(before + piece);
        Some(Ok(Piece {
            samples,
            start: before as f64 / self.rate as f64,
            is_first: before == 0,
            is_last: ended,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};

    /// A low rate, so that minutes are few samples.
    const FRONTEND: FrontendConfig = FrontendConfig {
        sample_rate: 2_000,
        window: 64,
        hop: 32,
        mels: 16,
        frames: 60,
        f_min: 60.0,
        f_max: 900.0,
        floor: 1e-5,
        mean: -4.0,
        scale: 0.25,
        form: FrontendForm::PLAIN,
    };
    const RATE: usize = FRONTEND.sample_rate as usize;

    /// Faint noise with a tone of half a second at each of these seconds.
    fn recording(seconds: usize, tones: &[f64]) -> Vec<f32> {
        let noise = |n: usize| ((n as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0;
        let mut samples: Vec<f32> = (0..seconds * RATE)
            .map(|n| 1e-3 * (noise(n) - 1.0))
            .collect();
        for &tone in tones {
            let first = (tone * RATE as f64) as usize;
            for (n, sample) in samples[first..][..RATE / 2].iter_mut().enumerate() {
                *sample += 0.5 * (n as f32 * 0.9).sin();
            }
        }
        samples
    }

    fn pieces(samples: &[f32], chunk: usize) -> Vec<Piece> {
        let chunks = samples.chunks(chunk).map(|c| Ok::<_, ()>(c.to_vec()));
        let pieces = Pieces::new(chunks, RATE as u32);
        pieces.map(Result::unwrap).collect()
    }

    #[test]
    fn a_recording_of_one_piece_is_whole() {
        for seconds in [0, 1, PIECE, PIECE + OVERLAP] {
            let samples = recording(seconds, &[]);
            let pieces = pieces(&samples, 999);
            assert_eq!(pieces.len(), 1);
            assert_eq!(pieces[0].samples(), samples);
            assert!(pieces[0].is_first && pieces[0].is_last);
        }
        assert_eq!(pieces(&recording(PIECE + OVERLAP + 1, &[]), 999).len(), 2);
    }

    /// Sounds in the middle of a piece, across its end, in the overlap and at the end of all are each found
    /// once.
    #[test]
    fn each_sound_is_found_once() {
        let end = PIECE as f64;
        let tones = [
            3.0,
            100.0,
            end - 0.2,
            end + 4.0,
            2.0 * end + 0.1,
            2.0 * end + 50.0,
        ];
        let samples = recording(2 * PIECE + 60, &tones);
        for chunk in [1_000, 77_777] {
            let mut found = Vec::new();
            let mut total = 0.0;
            for piece in pieces(&samples, chunk) {
                let take = Take::new(piece.samples(), &FRONTEND).unwrap();
                for cut in piece.own(&take) {
                    let whole = Cut {
                        start: cut.start + piece.start(),
                        end: cut.end + piece.start(),
                    };
                    assert_eq!(
                        piece.part(whole).map(|part| part.start.round()),
                        Some(cut.start.round())
                    );
                    found.push(whole.start);
                }
                total = piece.start() + piece.samples().len() as f64 / RATE as f64;
            }
            assert_eq!(found.len(), tones.len(), "{found:?}");
            for (found, tone) in found.iter().zip(tones) {
                assert!((found - tone).abs() < 0.2, "{found} {tone}");
            }
            assert_eq!(total, (2 * PIECE + 60) as f64);
        }
    }

    #[test]
    fn an_error_ends_the_pieces() {
        let source = [Ok(vec![0.0; 10]), Err("damaged"), Ok(vec![0.0; 10])];
        let mut pieces = Pieces::new(source.into_iter(), 2_000);
        assert_eq!(pieces.next().unwrap().unwrap_err(), "damaged");
        assert!(pieces.next().is_none());
    }
}
