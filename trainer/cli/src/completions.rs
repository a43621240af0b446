//! `mtslvr completions`: what a shell needs to complete this program's command lines.

use super::Cli;
use super::examples::examples;
use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;

/// Print the completions of commands and options for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Complete in bash, from the next login on" =>
        "mtslvr completions bash > ~/.local/share/bash-completion/completions/mtslvr",
    "Complete in fish" => "mtslvr completions fish > ~/.config/fish/completions/mtslvr.fish",
))]
pub(super) struct Args {
    /// Shell
    shell: Shell,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "mtslvr", &mut script);
        out!("{}", String::from_utf8(script)?);
        Ok(())
    }
}
