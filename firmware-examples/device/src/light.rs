//! Shows notices on one light.

/// A number of long flashes, then of short ones, then of very short ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flashes {
    /// Flashes of [`LONG_MS`].
    pub long: u8,
    /// Flashes of [`SHORT_MS`], which the user counts.
    pub short: u8,
    /// Flashes of [`FLICKER_MS`], which nobody counts.
    pub flicker: u8,
}

/// Milliseconds of a long flash.
pub const LONG_MS: u32 = 800;
/// Milliseconds of a short flash.
pub const SHORT_MS: u32 = 150;
/// Milliseconds of a very short flash.
pub const FLICKER_MS: u32 = 50;
/// Milliseconds of darkness behind a long or short flash.
const PAUSE_MS: u32 = 250;

/// The light on, then off, milliseconds each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flash {
    /// Milliseconds of light.
    pub on_ms: u32,
    /// Milliseconds of darkness.
    pub off_ms: u32,
}

impl Flashes {
    /// Returns the flashes in their order.
    pub fn iter(self) -> impl Iterator<Item = Flash> {
        let of = |count: u8, on_ms: u32| {
            let off_ms = if on_ms < SHORT_MS { on_ms } else { PAUSE_MS };
            (0..count).map(move |_| Flash { on_ms, off_ms })
        };
        of(self.long, LONG_MS)
            .chain(of(self.short, SHORT_MS))
            .chain(of(self.flicker, FLICKER_MS))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec::Vec;

    #[test]
    fn long_flashes_come_before_short_ones() {
        let flashes = Flashes {
            long: 1,
            short: 2,
            flicker: 1,
        };
        let on: Vec<u32> = flashes.iter().map(|flash| flash.on_ms).collect();
        assert_eq!(on, [LONG_MS, SHORT_MS, SHORT_MS, FLICKER_MS]);
        assert!(flashes.iter().all(|flash| flash.off_ms > 0));
        assert_eq!(Flashes::default().iter().count(), 0);
    }
}
