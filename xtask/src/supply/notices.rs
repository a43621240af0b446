//! Notices of third parties: what a product holds of others, and the texts that their licences want to go with it.

use super::policy::{Policy, parsed};
use super::selection::Selection;
use crate::workspace;
use anyhow::{Context, Result, ensure};
use cargo_metadata::Package;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Begins the names of files with licences and notices.
const FILES: [&str; 6] = [
    "LICENSE",
    "LICENCE",
    "COPYING",
    "COPYRIGHT",
    "NOTICE",
    "UNLICENSE",
];

/// Makes the notices of a product: Markdown.
///
/// # Errors
/// If cargo fails, or there is no text for a package's licence.
pub fn notices(selection: &Selection) -> Result<String> {
    let policy = Policy::read(&workspace::root().join("deny.toml"))?;
    let product = selection.product()?;
    let others: Vec<&Package> = product
        .linked
        .iter()
        .filter(|package| package.source.is_some())
        .collect();

    let mut text = format!(
        "# Third-party notices of {} {}\n\n{} packages by others are part of it, beside Rust's standard library \
         (MIT OR Apache-2.0, https://www.rust-lang.org). This file names them and holds the texts of their \
         licences.\n\n## Packages\n\n| package | version | licence | source |\n|---|---|---|---|\n",
        product.package.name,
        product.package.version,
        others.len()
    );
    for package in &others {
        let licence = package.license.as_deref().unwrap_or("in its files");
        let source = address(package);
        let _ = writeln!(
            text,
            "| {} | {} | {licence} | {source} |",
            package.name, package.version
        );
    }

    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut with_source = Vec::new();
    for package in &others {
        let licences = chosen(&policy, package)?;
        if licences.iter().any(|licence| licence.is_copyleft()) {
            let names: Vec<_> = licences.iter().map(|licence| licence.name).collect();
            let (names, source) = (names.join(" and "), address(package));
            with_source.push(format!(
                "{} {} ({names}): {source}",
                package.name, package.version
            ));
        }
        let mut own = files(package)?;
        if own.is_empty() {
            own.extend(licences.iter().map(|licence| tidy(licence.text())));
        }
        ensure!(
            !own.is_empty(),
            "{} {} has no licence file, and SPDX no text for {:?}",
            package.name,
            package.version,
            package.license
        );
        for file in own {
            let users = texts.entry(file).or_default();
            let user = format!("{} {}", package.name, package.version);
            if users.last() != Some(&user) {
                users.push(user);
            }
        }
    }

    if !with_source.is_empty() {
        text.push_str(
            "\n## Packages whose source goes with them\n\nTheir licence covers their own files alone, and wants \
             those who get the program to get these files' source. They are used unchanged; the source of each is \
             at the address behind it.\n\n",
        );
        for line in with_source {
            let _ = writeln!(text, "- {line}");
        }
    }

    text.push_str("\n## Texts\n");
    let mut ordered: Vec<_> = texts.into_iter().collect();
    ordered.sort_by(|(text, users), (other, others)| users.cmp(others).then(text.cmp(other)));
    for (licence, users) in ordered {
        // A line of a licence may begin with any mark of Markdown: indented, it stays as it is.
        let _ = write!(text, "\n### {}\n\n", users.join(", "));
        for line in licence.lines() {
            let _ = writeln!(text, "{}", format!("    {line}").trim_end());
        }
    }
    Ok(text)
}

/// Returns the page of a package's version, which has its source.
fn address(package: &Package) -> String {
    format!(
        "https://crates.io/crates/{}/{}",
        package.name, package.version
    )
}

/// Returns the licences that a package is taken under: of those that it offers, the first that deny.toml lists.
fn chosen(policy: &Policy, package: &Package) -> Result<Vec<spdx::LicenseId>> {
    let named = || format!("{} {}", package.name, package.version);
    let stated = package.license.as_deref();
    let stated = stated.with_context(|| format!("{} states no licence", named()))?;
    let needed = parsed(stated)?
        .minimized_requirements(&policy.licences)
        .with_context(|| format!("{}: {stated}", named()))?;
    Ok(needed
        .into_iter()
        .filter_map(|asked| asked.license.id())
        .collect())
}

/// Returns the texts of the licence files that a package brings along, in the order of their names.
fn files(package: &Package) -> Result<Vec<String>> {
    let manifest = package.manifest_path.as_std_path();
    let folder = manifest.parent().context("a manifest lies in a folder")?;
    let mut texts = Vec::new();
    for path in sorted(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_uppercase();
        if !FILES.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        // LICENSES is a folder with a file for each.
        let found = if path.is_dir() {
            sorted(&path)?
        } else {
            vec![path]
        };
        for file in found.iter().filter(|file| file.is_file()) {
            let bytes = fs::read(file).with_context(|| file.display().to_string())?;
            texts.push(tidy(&String::from_utf8_lossy(&bytes)));
        }
    }
    if let Some(file) = package.license_file().filter(|_| texts.is_empty()) {
        let text = fs::read_to_string(&file).with_context(|| file.to_string())?;
        texts.push(tidy(&text));
    }
    Ok(texts)
}

fn sorted(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Returns a text without what makes equal ones differ: ends of lines, and blank lines around it.
fn tidy(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_texts_and_those_with_source_are_named() {
        let notices = notices(&Selection::default()).unwrap();
        assert!(
            notices.starts_with("# Third-party notices of mtslvr "),
            "{notices:.200}"
        );
        let (_, rest) = notices
            .split_once("## Packages whose source goes with them")
            .unwrap();
        let (with_source, texts) = rest.split_once("\n## Texts\n").unwrap();
        assert!(
            with_source.contains("- symphonia ") && with_source.contains("(MPL-2.0): https://")
        );
        assert!(!with_source.contains("- serde "), "{with_source}");
        for text in [
            "Mozilla Public License Version 2.0",
            "Apache License",
            "Permission is hereby granted, free of charge",
        ] {
            assert!(texts.contains(text), "{text}");
        }
        assert!(
            !notices.contains("| mtslvr-runtime |"),
            "this project's own"
        );
    }

    #[test]
    fn equal_texts_become_one() {
        assert_eq!(tidy("\n  a\r\nb  \n\nc\n\n"), tidy("  a\nb\n\nc"));
    }
}
