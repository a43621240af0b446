//! Detects from times of arrival that samples were lost between the microphone and memory.
//!
//! A microphone's driver that is blocked, for instance while flash is erased, overwrites samples before
//! anybody has read them and does not report it. Only the clock tells.

/// Watches the arrival of blocks of samples: a block that comes a whole block too late means that one
/// was lost.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Microseconds of a block.
    block: u64,
    /// When the last block was due, in units of [`FINE`] a microsecond.
    due: Option<u64>,
}

/// Divisor of a block's lateness: that part of it counts as drift of the two clocks.
const FINE: u64 = 64;

impl Pace {
    /// Starts to watch blocks of `samples` at `rate` a second.
    pub const fn new(samples: u32, rate: u32) -> Self {
        Self {
            block: samples as u64 * 1_000_000 / rate as u64,
            due: None,
        }
    }

    /// Takes the time at which a block arrived, microseconds on a clock that never goes back;
    /// returns how many blocks were lost before it.
    pub fn arrived(&mut self, now: u64) -> u32 {
        let now = now * FINE;
        let block = self.block * FINE;
        let Some(last) = self.due else {
            self.due = Some(now);
            return 0;
        };
        let due = last + block;
        // An early block means that the last one was late, or that this clock is slow.
        let Some(late) = now.checked_sub(due) else {
            self.due = Some(now);
            return 0;
        };
        let lost = late / block;
        let due = due + lost * block;
        self.due = Some(due + (now - due) / FINE);
        u32::try_from(lost).unwrap_or(u32::MAX)
    }
}

/// Watches a ring that is filled without end, and emptied now and then.
#[derive(Clone, Copy, Debug)]
pub struct Laps {
    /// Samples in the ring.
    len: u32,
    /// Samples a second.
    rate: u32,
    /// When it was emptied last, microseconds.
    last: Option<u64>,
}

impl Laps {
    /// Starts to watch a ring of `len` samples that come at `rate` a second.
    pub const fn new(len: u32, rate: u32) -> Self {
        Self {
            len,
            rate,
            last: None,
        }
    }

    /// Takes the time at which the ring was emptied, microseconds on a clock that never goes back, and
    /// the number of samples in it; returns how many were overwritten before.
    pub fn collected(&mut self, now: u64, samples: u32) -> u32 {
        let Some(last) = self.last.replace(now) else {
            return 0;
        };
        let passed = (now - last) * u64::from(self.rate) / 1_000_000;
        let len = u64::from(self.len);
        // Only whole laps are missing; the rest of a lap was counted, up to the small difference of the
        // clocks.
        let missing = passed.saturating_sub(samples.into());
        u32::try_from((missing + len / 2) / len * len).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of 128 ms.
    const SAMPLES: u32 = 2_048;
    const BLOCK: u64 = 128_000;

    fn lost(arrivals: impl IntoIterator<Item = u64>) -> u32 {
        let mut pace = Pace::new(SAMPLES, 16_000);
        arrivals.into_iter().map(|now| pace.arrived(now)).sum()
    }

    #[test]
    fn a_late_block_is_not_a_lost_one() {
        assert_eq!(lost((0..100).map(|i| i * BLOCK)), 0);
        // An erase of 85 ms, again and again.
        assert_eq!(lost((0..100).map(|i| i * BLOCK + i % 3 / 2 * 85_000)), 0);
        assert_eq!(lost((0..1_000).map(|i| i * BLOCK + i * 7_919 % 120_000)), 0);
    }

    #[test]
    fn lost_blocks_are_counted() {
        // Two gaps: of one block, and of three with the next one late besides.
        let arrivals = (0..50).map(|i| match i {
            ..10 => i * BLOCK,
            10..20 => (i + 1) * BLOCK,
            20 => (i + 4) * BLOCK + 60_000,
            _ => (i + 4) * BLOCK,
        });
        assert_eq!(lost(arrivals), 4);
    }

    #[test]
    fn clocks_may_drift() {
        // An hour with clocks that differ by 500 parts in a million, either way.
        for block in [BLOCK - 64, BLOCK + 64] {
            assert_eq!(lost((0..30_000).map(|i| i * block + i % 5 * 9_000)), 0);
        }
    }

    #[test]
    fn laps_of_a_ring_are_counted() {
        const LEN: u32 = 8_192;
        let mut laps = Laps::new(LEN, 16_000);
        let mut now = 0;
        // What was collected after so many milliseconds, and what was lost by then.
        for (ms, samples, lost) in [
            (500, 0, 0),
            (10, 160, 0),
            (10, 159, 0),
            (500, 8_000, 0),
            (520, 128, LEN),
            (10, 160, 0),
            (2_000, 32_000 - 3 * LEN, 3 * LEN),
            // The clocks differ.
            (511, 8_180, 0),
            (513, 14, LEN),
        ] {
            now += ms * 1_000;
            assert_eq!(laps.collected(now, samples), lost, "{samples} in {ms} ms");
        }
    }
}
