//! The guide in `docs` and the README: their commands run as they are written there.

use crate::workspace;
use anyhow::{Context, Result, bail, ensure};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Says when a block of commands runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// It runs in every test.
    Always,
    /// It runs in every test, and must fail.
    Fails,
    /// It runs where what takes long is asked for.
    Long,
    /// It cannot run in a test. Options of `mtslvr` in it must be in the help texts.
    OptionsOnly,
    /// It cannot run in a test.
    Never,
}

/// A mark behind `sh` in the first line of a block: what it means, and the comment that the block must begin with, so
/// that a reader sees it, too.
struct Mark {
    name: &'static str,
    when: When,
    comment: Option<&'static str>,
}

/// All marks.
const MARKS: [Mark; 7] = [
    Mark::new("", When::Always, None),
    Mark::new("fails", When::Fails, None),
    Mark::new("long", When::Long, Some("# takes minutes")),
    Mark::new("qemu", When::Long, Some("# in the repository, in QEMU")),
    Mark::new("repository", When::Never, Some("# in the repository")),
    Mark::new("board", When::Never, Some("# with the board plugged in")),
    Mark::new("yours", When::OptionsOnly, Some("# with your own files")),
];

impl Mark {
    const fn new(name: &'static str, when: When, comment: Option<&'static str>) -> Self {
        Self {
            name,
            when,
            comment,
        }
    }
}

/// A block of shell commands in a document.
#[derive(Debug)]
struct Block {
    /// Number of its first line.
    line: usize,
    when: When,
    script: String,
    /// Lines that the commands print, as the block of text behind it shows them.
    shown: Vec<String>,
}

/// Runs the commands of every page of the guide and of the README with `program`, each page in an empty folder of its
/// own. `long` asks for those that take minutes and for emulators, too.
///
/// # Errors
/// If a command fails that should not, or prints something else than the page shows, or a block has an unknown mark.
pub fn run_commands(program: &Path, long: bool) -> Result<()> {
    for page in pages()? {
        let text = fs::read_to_string(&page).with_context(|| page.display().to_string())?;
        let named = || page.display().to_string();
        let blocks = blocks(&text).with_context(named)?;
        let shell = Shell::new(program, &page).with_context(named)?;
        for block in &blocks {
            shell
                .run(block, long)
                .with_context(|| format!("{}:{}", page.display(), block.line))?;
        }
    }
    Ok(())
}

/// The README, and the pages of the guide.
fn pages() -> Result<Vec<PathBuf>> {
    let folder = workspace::root().join("docs/src");
    let mut pages = vec![workspace::root().join("README.md")];
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages.sort();
    Ok(pages)
}

/// Returns the blocks of shell commands in a document.
fn blocks(document: &str) -> Result<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<(usize, &str, Vec<&str>)> = None;
    // Whether the next block shows what the last commands print.
    let mut answers = false;
    for (index, line) in document.lines().enumerate() {
        match open.take() {
            None => match line.strip_prefix("```") {
                Some(language) => open = Some((index + 1, language, Vec::new())),
                None => answers &= line.is_empty(),
            },
            Some((first, language, body)) if line == "```" => {
                let mut words = language.splitn(2, ',');
                let shell = words.next() == Some("sh");
                if shell {
                    let mark = words.next().unwrap_or_default();
                    let block = Block::new(first, mark, &body);
                    blocks.push(block.with_context(|| format!("line {first}"))?);
                } else if let (true, "text", Some(block)) = (answers, language, blocks.last_mut()) {
                    block.shown = body.iter().map(|&line| line.to_owned()).collect();
                }
                ensure!(
                    !["bash", "shell", "console"].contains(&language),
                    "line {first}: a block of {language}, expected sh, whose commands are run"
                );
                answers = shell;
            }
            Some((first, language, mut body)) => {
                body.push(line);
                open = Some((first, language, body));
            }
        }
    }
    if let Some((first, ..)) = open {
        bail!("line {first}: a block without an end");
    }
    Ok(blocks)
}

impl Block {
    fn new(line: usize, mark: &str, body: &[&str]) -> Result<Self> {
        let Some(mark) = MARKS.iter().find(|known| known.name == mark) else {
            let known: Vec<_> = MARKS.iter().skip(1).map(|mark| mark.name).collect();
            bail!(
                "a block is marked {mark:?}, expected one of: {}",
                known.join(", ")
            );
        };
        if let Some(comment) = mark.comment {
            let first = body.first().copied().unwrap_or_default();
            ensure!(
                first.starts_with(comment),
                "a block that is marked {:?} begins with {first:?}, expected {comment:?}",
                mark.name
            );
        }
        Ok(Self {
            line,
            when: mark.when,
            script: body.join("\n"),
            shown: Vec::new(),
        })
    }
}

/// A shell in a page's folder, in which `mtslvr` is the program that is tested.
struct Shell<'a> {
    program: &'a Path,
    folder: PathBuf,
}

impl<'a> Shell<'a> {
    /// Makes the folder of `page` anew, with the shipped model in it as in the repository's root.
    fn new(program: &'a Path, page: &Path) -> Result<Self> {
        let name = page.file_stem().context("a page has a name")?;
        // Below the root, where cargo finds the repository.
        let folder = workspace::root().join("target/guide").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let model = Path::new("models/edge-s");
        fs::create_dir_all(folder.join(model))?;
        for file in ["model.onnx", "model.slvr"] {
            let from = workspace::root().join(model).join(file);
            fs::copy(from, folder.join(model).join(file))?;
        }
        Ok(Self { program, folder })
    }

    fn run(&self, block: &Block, long: bool) -> Result<()> {
        match block.when {
            When::Never => return Ok(()),
            When::OptionsOnly => return self.knows_options(&block.script),
            When::Long if !long => return Ok(()),
            When::Always | When::Fails | When::Long => {}
        }
        let (succeeded, said) = self.output(&block.script)?;
        ensure!(
            succeeded == (block.when != When::Fails),
            "these commands {}:\n{}\nThey said:\n{said}",
            if succeeded {
                "succeed and should fail"
            } else {
                "fail"
            },
            block.script
        );
        // The lines that are shown come in their order; others may lie between.
        let mut rest = said.lines();
        for shown in &block.shown {
            ensure!(
                rest.any(|line| is_shown_as(line, shown)),
                "the page shows the line\n{shown}\nand these commands print, from the last line that fits on:\n\
                 {}\n{said}",
                block.script
            );
        }
        Ok(())
    }

    /// Runs `script`, and returns whether it succeeded, and all that it printed.
    fn output(&self, script: &str) -> Result<(bool, String)> {
        let bin = self
            .program
            .parent()
            .context("a program lies in a folder")?;
        let old = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(std::iter::once(bin.to_owned()).chain(env::split_paths(&old)))?;
        let output = Command::new("sh")
            .args(["-c", &format!("set -e\nexec 2>&1\n{script}")])
            .current_dir(&self.folder)
            .env("PATH", &path)
            // The profile goes here, too.
            .env("XDG_DATA_HOME", self.folder.join("data"))
            .env("CARGO_TARGET_DIR", workspace::target_dir())
            .stdin(Stdio::null())
            .output()
            .context("cannot start sh")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok((output.status.success(), said))
    }

    /// Checks that the help texts have the options of `mtslvr` in `script`.
    fn knows_options(&self, script: &str) -> Result<()> {
        for line in whole_lines(script) {
            let mut words = line.split_whitespace().skip_while(|&word| word != "mtslvr");
            let (Some(_), Some(command)) = (words.next(), words.next()) else {
                continue;
            };
            let (_, help) = self.output(&format!("mtslvr {command} --help"))?;
            for option in words.filter(|word| word.starts_with("--")) {
                let name = option.split('=').next().unwrap_or(option);
                ensure!(
                    help.contains(&format!("{name} ")) || help.contains(&format!("{name}\n")),
                    "`mtslvr {command}` has no option {name}"
                );
            }
        }
        Ok(())
    }
}

/// Whether a page may show `line` as `shown`, where … stands for any text.
fn is_shown_as(line: &str, shown: &str) -> bool {
    let (mut line, shown) = (line.trim_end(), shown.trim_end());
    let mut parts = shown.split('…');
    match parts.next().and_then(|begin| line.strip_prefix(begin)) {
        Some(rest) => line = rest,
        None => return false,
    }
    let mut open = false;
    for part in parts {
        match line.find(part) {
            Some(at) => line = &line[at + part.len()..],
            None => return false,
        }
        open = part.is_empty();
    }
    open || line.is_empty()
}

/// Returns the lines of a script without comments; one that ends with a backslash goes on in the next.
fn whole_lines(script: &str) -> Vec<String> {
    let joined = script.replace("\\\n", " ");
    let lines = joined.lines().map(|line| match line.find('#') {
        Some(0) => "",
        Some(at) if line[..at].ends_with(' ') => &line[..at],
        _ => line,
    });
    lines
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

#[cfg(test)]
mod tests;
