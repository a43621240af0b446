//! The last moments of the microphone, on their way from its interrupt to whoever listens.

use core::sync::atomic::{AtomicI16, AtomicU32, Ordering, fence};

/// A ring of `N` samples, a power of two, that one side writes without ever waiting and the other
/// reads when it has time. Samples are counted from the first one on, modulo 2^32.
#[derive(Debug)]
pub struct Recording<const N: usize> {
    samples: [AtomicI16; N],
    /// Samples whose places are being written or have been.
    begun: AtomicU32,
    /// Samples that are there.
    written: AtomicU32,
}

/// The samples asked for have been overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overwritten {
    /// How many samples it takes from the one asked for to the oldest that is still there.
    pub samples: u32,
}

impl<const N: usize> Recording<N> {
    /// Empty.
    pub const fn new() -> Self {
        assert!(N.is_power_of_two(), "the count of samples wraps at 2^32");
        Self {
            samples: [const { AtomicI16::new(0) }; N],
            begun: AtomicU32::new(0),
            written: AtomicU32::new(0),
        }
    }

    /// Samples written so far.
    pub fn written(&self) -> u32 {
        self.written.load(Ordering::Acquire)
    }

    /// Adds samples, `N` or fewer. There must be only one who does.
    pub fn push(&self, samples: impl ExactSizeIterator<Item = i16>) {
        let start = self.written.load(Ordering::Relaxed);
        let end = start.wrapping_add(samples.len() as u32);
        self.begun.store(end, Ordering::Relaxed);
        // A reader that sees one of the new samples sees that they were begun.
        fence(Ordering::Release);
        let mut place = start as usize;
        for sample in samples {
            self.samples[place % N].store(sample, Ordering::Relaxed);
            place = place.wrapping_add(1);
        }
        self.written.store(end, Ordering::Release);
    }

    /// Copies the samples from number `from` on, which must have been written.
    ///
    /// # Errors
    /// [`Overwritten`] if newer samples have taken the place of some of them.
    pub fn read(&self, from: u32, into: &mut [i16]) -> Result<(), Overwritten> {
        for (i, sample) in into.iter_mut().enumerate() {
            let place = (from as usize).wrapping_add(i) % N;
            *sample = self.samples[place].load(Ordering::Relaxed);
        }
        fence(Ordering::Acquire);
        let behind = self.begun.load(Ordering::Relaxed).wrapping_sub(from);
        match behind.checked_sub(N as u32) {
            None | Some(0) => Ok(()),
            Some(samples) => Err(Overwritten { samples }),
        }
    }
}

impl<const N: usize> Default for Recording<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::thread;
    use std::vec::Vec;

    fn push<const N: usize>(recording: &Recording<N>, samples: &[i16]) {
        recording.push(samples.iter().copied());
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let recording = Recording::<8>::new();
        push(&recording, &[1, 2, 3, 4, 5]);
        push(&recording, &[6, 7, 8, 9, 10]);
        assert_eq!(recording.written(), 10);
        let mut read = [0; 4];
        assert_eq!(recording.read(2, &mut read), Ok(()));
        assert_eq!(read, [3, 4, 5, 6]);
        assert_eq!(
            recording.read(1, &mut read),
            Err(Overwritten { samples: 1 })
        );
        assert_eq!(recording.read(6, &mut read), Ok(()));
        assert_eq!(read, [7, 8, 9, 10]);
    }

    /// After three days of sound.
    #[test]
    fn counting_goes_on_where_the_counter_wraps() {
        let recording = Recording::<16>::new();
        let start = u32::MAX - 3;
        recording.begun.store(start, Ordering::Relaxed);
        recording.written.store(start, Ordering::Relaxed);
        push(&recording, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(recording.written(), 2);
        let mut read = [0; 6];
        assert_eq!(recording.read(start, &mut read), Ok(()));
        assert_eq!(read, [1, 2, 3, 4, 5, 6]);
        push(&recording, &[0; 12]);
        assert_eq!(
            recording.read(start, &mut read),
            Err(Overwritten { samples: 2 })
        );
    }

    /// A reader that is overtaken while it reads is told so, and never takes new samples for old.
    #[test]
    fn reading_while_writing_gives_whole_pieces_or_an_error() {
        const ROUNDS: u32 = 20_000;
        let recording = Recording::<64>::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                for block in 0..ROUNDS {
                    let start = block * 8;
                    recording.push((start..start + 8).map(|n| n as i16));
                }
            });
            let mut next = 0;
            let mut read = [0; 8];
            while next < ROUNDS * 8 {
                if recording.written().wrapping_sub(next) < 8 {
                    std::hint::spin_loop();
                    continue;
                }
                match recording.read(next, &mut read) {
                    Ok(()) => {
                        let expected: Vec<i16> = (next..next + 8).map(|n| n as i16).collect();
                        assert_eq!(read[..], expected);
                        next += 8;
                    }
                    Err(Overwritten { samples }) => next += samples.next_multiple_of(8),
                }
            }
        });
    }
}
