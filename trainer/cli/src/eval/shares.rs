//! The option that chooses the shares of the parts, of `eval` and `eval open-set`.

use clap::ValueEnum;
use mtslvr_runtime::fewshot::Shares;

/// Flattened into the arguments of `eval` and its subcommands.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct SharesChoice {
    /// How much each part of the embedding counts in the classifier [default: task for models of more
    /// than two parts, packed for others]
    ///
    /// The published probe (--head paper) knows no parts.
    #[arg(long, value_name = "WHICH")]
    shares: Option<Which>,
}

/// Names of the choices.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// As much as the model says
    Packed,
    /// As much as suits the examples of each task: their kind of sound, as the model has learnt it, and, with
    /// two or more examples of a class, the shares that recognise each example by the others
    Task,
}

impl SharesChoice {
    /// Returns the choice, if one was made.
    pub(super) fn get(self) -> Option<Shares> {
        self.shares.map(|which| match which {
            Which::Packed => Shares::Packed,
            Which::Task => Shares::Task,
        })
    }
}
