//! The option that chooses the size of the cohort, of `train`, `export` and `pack`.

use mtslvr_pack::{DEFAULT_CENTRES, MOST_CENTRES};

/// Flattened into the arguments of a subcommand.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct CohortChoice {
    /// Number of centres of ordinary audio to pack, 0 for none
    ///
    /// The device compares every sound with them, too: one that is like ordinary audio must be the more
    /// like a class. They are found in the audio that int8 is calibrated on. Each takes as many bytes of
    /// flash as an embedding has values. Where recordings of one thing are known (the column `same` of a
    /// manifest) or are long enough to be cut, each centre also learns how much the parts of an embedding
    /// should count for sounds near it.
    #[arg(
        long = "cohort",
        value_name = "N",
        default_value_t = DEFAULT_CENTRES as u16,
        value_parser = clap::value_parser!(u16).range(0..=MOST_CENTRES as i64)
    )]
    centres: u16,
}

impl CohortChoice {
    /// Returns the number of centres.
    pub(super) fn centres(self) -> usize {
        self.centres.into()
    }

    /// Returns the option's value for a command line, unless it is the default.
    pub(super) fn unusual(self) -> Option<String> {
        let centres = self.centres();
        (centres != DEFAULT_CENTRES).then(|| centres.to_string())
    }
}
