//! `mtslvr completions`: what a shell needs to complete this program's command lines.

use super::Cli;
use super::examples::examples;
use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell as Generator;

/// Print the completions of commands and options for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Complete in bash, for everybody on this computer" =>
        "mtslvr completions bash > /etc/bash_completion.d/mtslvr",
    "Complete in fish" => "mtslvr completions fish > ~/.config/fish/completions/mtslvr.fish",
))]
pub(super) struct Args {
    /// Shell
    shell: Shell,
}

/// A shell that completes command lines.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Shell {
    /// GNU's shell, that of most Linux systems
    Bash,
    /// That of Elvish
    Elvish,
    /// The friendly interactive shell
    Fish,
    /// That of Windows, and of others
    Powershell,
    /// That of macOS
    Zsh,
}

impl From<Shell> for Generator {
    fn from(shell: Shell) -> Self {
        match shell {
            Shell::Bash => Self::Bash,
            Shell::Elvish => Self::Elvish,
            Shell::Fish => Self::Fish,
            Shell::Powershell => Self::PowerShell,
            Shell::Zsh => Self::Zsh,
        }
    }
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let mut script = Vec::new();
        let shell = Generator::from(self.shell);
        clap_complete::generate(shell, &mut Cli::command(), "mtslvr", &mut script);
        out!("{}", String::from_utf8(script)?);
        Ok(())
    }
}
