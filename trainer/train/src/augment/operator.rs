//! Names and numbers of the operators.

/// Number of operators, and so of labels.
pub const OPERATORS: usize = 7;

/// Which operators changed a view, indexed by [`Operator::index`].
pub type Labels = [bool; OPERATORS];

/// An operator on a waveform; the order is that of the labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// Raised or lowered in pitch at the same length, formants with it.
    PitchShift,
    /// Faded in, out or both.
    Fade,
    /// White noise added.
    WhiteNoise,
    /// Noise with a sloping spectrum added.
    ColouredNoise,
    /// A span replaced by the clip's own background.
    TimeMasking,
    /// Slower or faster at the same pitch.
    TimeStretch,
    /// Shifted in time, the end coming round to the start.
    TimeShift,
}

impl Operator {
    /// All operators in the order of their labels.
    pub const ALL: [Self; OPERATORS] = [
        Self::PitchShift,
        Self::Fade,
        Self::WhiteNoise,
        Self::ColouredNoise,
        Self::TimeMasking,
        Self::TimeStretch,
        Self::TimeShift,
    ];

    /// Place of the operator's label.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Name in configuration files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PitchShift => "pitch_shift",
            Self::Fade => "fade",
            Self::WhiteNoise => "white_noise",
            Self::ColouredNoise => "coloured_noise",
            Self::TimeMasking => "time_masking",
            Self::TimeStretch => "time_stretch",
            Self::TimeShift => "time_shift",
        }
    }

    /// The meaning and unit of the operator's value in [`View::parameters`](super::View::parameters).
    pub const fn parameter(self) -> &'static str {
        match self {
            Self::PitchShift => "semitones",
            Self::Fade => "share of the clip under a fade",
            Self::WhiteNoise => "SNR, dB",
            Self::ColouredNoise => "SNR, dB",
            Self::TimeMasking => "share of the clip masked",
            Self::TimeStretch => "rate (2 is twice as fast)",
            Self::TimeShift => "share of the clip, positive is later",
        }
    }
}
