//! The ways in which the features of other projects differ from the plain ones.

/// How a frontend differs from the plain one. It travels inside the model, too.
///
/// [`FrontendForm::PLAIN`] is that of this project's own backbones. Features that librosa, torchaudio and
/// TensorFlow make are described by the others; logarithms to another base and decibels are a matter of
/// [`mean`](super::FrontendConfig::mean) and [`scale`](super::FrontendConfig::scale).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FrontendForm {
    /// Length of the Fourier transform, a power of two of at least 64 samples. Zeros follow a window that is
    /// shorter. `None`: as long as the window.
    pub transform: Option<u16>,
    /// Value of a bin that the filters add up.
    pub spectrum: Spectrum,
    /// Where bands lie.
    pub mel_scale: MelScale,
    /// How much a band weighs.
    pub band_norm: BandNorm,
    /// Rule that keeps the logarithm from zero.
    pub floor_rule: FloorRule,
    /// Which samples a frame covers.
    pub framing: Framing,
}

impl FrontendForm {
    /// A transform as long as the window, power, HTK mel, peaks of 1, a floor that is added, and frames that
    /// begin where they are counted.
    pub const PLAIN: Self = Self {
        transform: None,
        spectrum: Spectrum::Power,
        mel_scale: MelScale::Htk,
        band_norm: BandNorm::Peak,
        floor_rule: FloorRule::Added,
        framing: Framing::Begin,
    };
}

/// A choice with a name in descriptions of frontends, and a number in packed models.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$text:meta])* $variant:ident = $number:literal $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[repr(u8)]
        pub enum $name {
            $($(#[$text])* $variant = $number,)*
        }

        impl $name {
            /// Every choice, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the name in a description of a frontend.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// Returns the choice with this number in a packed model.
            pub fn from_number(number: u8) -> Option<Self> {
                Self::ALL.get(usize::from(number)).copied()
            }
        }
    };
}

choice! {
    /// Value of a bin that mel filters add up.
    Spectrum {
        /// The squared magnitude of each bin.
        Power = 0 "power",
        /// The magnitude of each bin.
        Magnitude = 1 "magnitude",
    }
}

choice! {
    /// A scale on which mel bands are equally wide.
    MelScale {
        /// `2595 log10(1 + f / 700)` (O'Shaughnessy 1987).
        Htk = 0 "htk",
        /// `3 f / 200` up to 1 kHz, and `15 + 27 ln(f / 1000) / ln 6.4` above (Slaney's Auditory Toolbox),
        /// librosa's default.
        Slaney = 1 "slaney",
    }
}

choice! {
    /// How much a mel band weighs.
    BandNorm {
        /// The filter's peak is 1.
        Peak = 0 "peak",
        /// The filter's area, over Hz, is 1: `norm="slaney"` of librosa and torchaudio.
        Area = 1 "area",
    }
}

choice! {
    /// Rule that keeps the logarithm of a band from that of zero.
    FloorRule {
        /// The floor is added to every band.
        Added = 0 "added",
        /// A band below the floor is raised to it.
        Least = 1 "least",
    }
}

choice! {
    /// Which samples frame `i` covers.
    Framing {
        /// Those from `i * hop` on.
        Begin = 0 "begin",
        /// Those around `i * hop`: `center=True` of librosa and torchaudio, with zeros before the first sample
        /// and behind the last (`pad_mode="constant"`).
        Centre = 1 "centre",
    }
}
