//! Which vector instructions a convolution's register tiles are made of.

use pulp::{Simd, WithSimd};

/// An instruction set whose vectors divide a number of channels.
#[derive(Clone, Copy, Debug)]
pub(super) enum Vectors {
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    #[cfg(target_arch = "aarch64")]
    Neon(pulp::aarch64::Neon),
}

impl Vectors {
    /// The widest vectors of this processor of which `channels` are a whole number, if any.
    pub(super) fn for_channels(channels: usize) -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        {
            if channels.is_multiple_of(16)
                && let Some(simd) = pulp::x86::V4::try_new()
            {
                return Some(Self::Avx512(simd));
            }
            if channels.is_multiple_of(8)
                && let Some(simd) = pulp::x86::V3::try_new()
            {
                return Some(Self::Avx2(simd));
            }
        }
        #[cfg(target_arch = "aarch64")]
        if channels.is_multiple_of(4)
            && let Some(simd) = pulp::aarch64::Neon::try_new()
        {
            return Some(Self::Neon(simd));
        }
        let _ = channels;
        None
    }

    /// Every instruction set that this processor has and whose vectors divide `channels`.
    #[cfg(test)]
    pub(super) fn all_for_channels(channels: usize) -> Vec<Self> {
        let widest = Self::for_channels(channels);
        #[cfg(target_arch = "x86_64")]
        if let Some(Self::Avx512(_)) = widest {
            let narrower = pulp::x86::V3::try_new().map(Self::Avx2);
            return widest.into_iter().chain(narrower).collect();
        }
        widest.into_iter().collect()
    }

    /// Values of a vector.
    pub(super) fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => 16,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => 8,
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => 4,
        }
    }

    /// Runs `op` compiled for these instructions.
    pub(super) fn run<R>(self, op: impl WithSimd<Output = R>) -> R {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => Simd::vectorize(simd, op),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => Simd::vectorize(simd, op),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(simd) => Simd::vectorize(simd, op),
        }
    }
}

/// Most vectors of channels in a register tile.
pub(super) const MOST_VECTORS: usize = 4;

/// `vectors` split into tiles of about the same size: `(first vector, vectors)`.
pub(super) fn channel_tiles(vectors: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
    let tiles = vectors.div_ceil(MOST_VECTORS);
    (0..tiles).map(move |t| {
        let (first, end) = (t * vectors / tiles, (t + 1) * vectors / tiles);
        (first, end - first)
    })
}
