//! `mtslvr man`: the help as manual pages.

use super::Cli;
use super::examples::examples;
use anyhow::{Context, Result};
use clap::CommandFactory;
use mtslvr_audio::ShowPath;
use mtslvr_audio::atomic_file::write_bytes;
use std::path::PathBuf;

/// Write the manual pages of all commands to a folder
///
/// The pages are made of the same texts as --help: mtslvr.1, mtslvr-enrol.1 and so on.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Write the pages where man looks for your own" => "mtslvr man ~/.local/share/man/man1",
    "Write them to a folder of this one" =>
        "mtslvr man pages",
))]
pub(super) struct Args {
    /// Folder to write the pages to; it is made if need be
    dir: PathBuf,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let dir = self.dir.shown();
        std::fs::create_dir_all(&self.dir).with_context(|| format!("cannot make {dir}"))?;
        let mut root = Cli::command();
        // Names a subcommand as it is typed, in its page and in those that lead to it.
        root.build();
        let mut written = 0;
        let mut open = vec![("mtslvr".to_owned(), root)];
        while let Some((name, command)) = open.pop() {
            for sub in command.get_subcommands() {
                if sub.get_name() != "help" && !sub.is_hide_set() {
                    open.push((format!("{name}-{}", sub.get_name()), sub.clone()));
                }
            }
            let mut page = Vec::new();
            clap_mangen::Man::new(command.display_name(&name)).render(&mut page)?;
            let path = self.dir.join(format!("{name}.1"));
            write_bytes(&path, &page).with_context(|| format!("cannot write {}", path.shown()))?;
            written += 1;
        }
        outln!("{dir}: {written} manual pages");
        Ok(())
    }
}
