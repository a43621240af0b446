//! `cargo xtask book`: the guide, and the documents of the repository that it leads to, as one mdBook.
//!
//! mdBook alone would take the pages of `docs/src` and leave their links to other documents and pictures astray. Here
//! the book has the repository's own folders, with each document that a page leads to as a page of its own.

use crate::links::{links, mapped, within};
use crate::{process, workspace};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// Version that builds the book.
const MDBOOK: &str = "0.5.4";

/// The page that the book begins with: it is the one at its root, as mdBook wants it.
const FIRST: &str = "README.md";

/// The pages of the guide, below the root.
const GUIDE: &str = "docs/src";

/// Builds the book in `target/book`, and checks that no link of it leads nowhere. Returns its first page.
pub fn build() -> Result<PathBuf> {
    let folder = workspace::target_dir().join("book");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", shown(&folder)))?;
    }
    let source = folder.join("source");
    let summary = read(Path::new(GUIDE).join("SUMMARY.md").as_path())?;
    let mut pages: Vec<PathBuf> = links(&summary).iter().map(|page| guide(page)).collect();
    pages.push(FIRST.into());
    let documents = gather(&pages, &source)?;
    let summary = whole_summary(&summary, &documents)?;
    write(&source.join("SUMMARY.md"), &summary)?;
    let settings = read(Path::new("docs/book.toml"))?;
    let settings = settings.replace("src = \"src\"", "src = \"source\"");
    write(&folder.join("book.toml"), &settings)?;
    let book = folder.join("html");
    let mdbook = workspace::tool("mdbook", MDBOOK)?;
    process::run(
        Command::new(mdbook)
            .arg("build")
            .arg(&folder)
            .arg("--dest-dir")
            .arg(&book),
    )?;
    check(&book)?;
    Ok(book.join("index.html"))
}

/// Copies `pages`, and all that they lead to, into `source`. Returns the documents beside the pages.
fn gather(pages: &[PathBuf], source: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut taken: BTreeSet<PathBuf> = pages.iter().cloned().collect();
    let mut open: Vec<PathBuf> = pages.to_vec();
    while let Some(path) = open.pop() {
        if path.extension().is_none_or(|extension| extension != "md") {
            let bytes = fs::read(workspace::root().join(&path));
            write(
                &source.join(&path),
                bytes.with_context(|| shown(&path))?.as_slice(),
            )?;
            continue;
        }
        let text = document(&path)?;
        let text = mapped(&text, |link| match within(link) {
            None | Some(("", _)) => link.to_owned(),
            Some((file, anchor)) => {
                let mut target = beside(&path, file);
                let mut link = link.to_owned();
                let is_folder = workspace::root().join(&target).is_dir();
                if is_folder {
                    target.push("README.md");
                }
                // mdBook calls the page of a README index.html, and leaves links to it as they are.
                if target.ends_with("README.md") {
                    let folder = if is_folder {
                        file.trim_end_matches('/')
                    } else {
                        file.trim_end_matches("README.md").trim_end_matches('/')
                    };
                    let folder = if folder.is_empty() { "." } else { folder };
                    link = format!("{folder}/index.html");
                    if !anchor.is_empty() {
                        link = format!("{link}#{anchor}");
                    }
                }
                if taken.insert(target.clone()) {
                    open.push(target);
                }
                link
            }
        });
        write(&source.join(&path), &text)?;
    }
    for page in pages {
        taken.remove(page);
    }
    taken.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    Ok(taken)
}

/// Returns the document at `path`, or the list of files that stands for a README that is not there.
fn document(path: &Path) -> Result<String> {
    if is_listing(path) {
        listing(path)
    } else {
        read(path)
    }
}

/// Whether `path` stands for a folder that has no README.
fn is_listing(path: &Path) -> bool {
    path.ends_with("README.md") && !workspace::root().join(path).exists()
}

/// Returns a page with the files of the folder that `readme` would lie in.
fn listing(readme: &Path) -> Result<String> {
    let folder = readme.parent().unwrap_or(Path::new(""));
    let mut list = Command::new("git");
    list.args(["ls-files", "."])
        .current_dir(workspace::root().join(folder));
    let files = process::output(&mut list)?;
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for file in files.lines() {
        names.insert(file.split('/').next().unwrap_or(file));
    }
    let mut text = format!("# {}\n\n", folder.display());
    for name in names {
        writeln!(text, "- `{name}`")?;
    }
    Ok(text)
}

/// Returns the guide's own summary for the book's folders, and `documents` behind it, by folder.
fn whole_summary(summary: &str, documents: &BTreeSet<PathBuf>) -> Result<String> {
    let mut text = mapped(summary, |page| shown(&guide(page)));
    text = text.replacen("\n\n", &format!("\n\n[At a glance]({FIRST})\n\n"), 1);
    text.push_str("\n# Documents of the repository\n\n");
    for path in documents {
        let document = document(path)?;
        let title = document.lines().find_map(|line| line.strip_prefix("# "));
        let title = title.with_context(|| format!("{}: has no title", path.display()))?;
        writeln!(text, "- [{}]({})", title.replace('`', ""), shown(path))?;
    }
    Ok(text)
}

/// Returns the path of a page that the guide's summary names.
fn guide(page: &str) -> PathBuf {
    Path::new(GUIDE).join(page)
}

/// Returns the path that `link` in the document at `path` leads to, both below the root.
fn beside(path: &Path, link: &str) -> PathBuf {
    let mut target = path.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => {
                target.pop();
            }
            Component::Normal(name) => target.push(name),
            _ => {}
        }
    }
    target
}

/// Checks that every page's links to other files of the book lead to one.
///
/// # Errors
/// Names the links that do not.
fn check(book: &Path) -> Result<()> {
    let mut astray = Vec::new();
    let mut folders = vec![book.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| shown(&folder))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // What is printed at once lies in another folder than the pages whose links it has.
            if path.extension().is_none_or(|extension| extension != "html")
                || path.ends_with("print.html")
                || path.ends_with("404.html")
            {
                continue;
            }
            let page = fs::read_to_string(&path)?;
            for mark in [" href=\"", " src=\""] {
                for link in page.split(mark).skip(1) {
                    let link = link.split('"').next().unwrap_or_default();
                    let Some((file, _)) = within(link).filter(|(file, _)| !file.is_empty()) else {
                        continue;
                    };
                    if !folder.join(file).exists() {
                        astray.push(format!("{}: {link}", shown(&path)));
                    }
                }
            }
        }
    }
    ensure!(
        astray.is_empty(),
        "links of the book that lead nowhere:\n{}",
        astray.join("\n")
    );
    Ok(())
}

/// Returns a path as a link has it.
fn shown(path: &Path) -> String {
    path.display().to_string().replace('\\', "/")
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(workspace::root().join(path)).with_context(|| shown(path))
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| shown(folder))?;
    }
    fs::write(path, bytes).with_context(|| shown(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_the_guide_lead_to_pages_of_the_book() {
        assert_eq!(
            beside(Path::new("docs/src/teach.md"), "../../runtime/FORMAT.md"),
            Path::new("runtime/FORMAT.md")
        );
        assert_eq!(
            beside(Path::new("README.md"), "./docs/src/"),
            Path::new("docs/src")
        );
        assert!(is_listing(Path::new("xtask/README.md")));
        assert!(!is_listing(Path::new("runtime/README.md")));
        let listed = listing(Path::new("xtask/README.md")).unwrap();
        assert!(listed.contains("- `Cargo.toml`\n- `src`\n"), "{listed}");
        let documents = [PathBuf::from("runtime/README.md")].into();
        let summary = whole_summary("# Summary\n\n- [Try it](try.md)\n", &documents).unwrap();
        assert!(summary.contains("[Try it](docs/src/try.md)"), "{summary}");
        assert!(summary.contains("](runtime/README.md)"), "{summary}");
    }
}
