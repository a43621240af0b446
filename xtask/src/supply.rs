//! Lists the packages of others: their licences, where they come from, and which of them are in a product.

mod notices;
mod policy;
mod sbom;
mod selection;

pub use notices::notices;
pub use sbom::sbom;
pub use selection::Selection;

use crate::{process, python, workspace};
use anyhow::{Result, ensure};
use policy::Policy;
use selection::{metadata, names};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Manifests beside a lock file.
pub const MANIFESTS: [&str; 5] = [
    "Cargo.toml",
    "firmware-examples/Cargo.toml",
    "firmware-examples/esp32c3/Cargo.toml",
    "tests/fuzz/Cargo.toml",
    python::MANIFEST,
];

/// Crates that only training needs. CONTRIBUTING.md says who brings them.
const ONLY_TRAINING: [&str; 7] = [
    "candle-core",
    "fs2",
    "gemm",
    "paste",
    "tar",
    "tokenizers",
    "zip",
];

/// Packages that run a backbone, with the features that they may have: free of [`ONLY_TRAINING`].
const WITHOUT_TRAINING: [(&str, &[&str]); 8] = [
    ("mtslvr-runtime", &["--all-features"]),
    ("mtslvr-c", &["--all-features"]),
    ("mtslvr-audio", &["--all-features"]),
    ("mtslvr-listen", &["--all-features"]),
    ("mtslvr-evaluate", &["--all-features"]),
    ("mtslvr-pack", &["--features", "onnx"]),
    ("mtslvr-web", &[]),
    (
        "mtslvr",
        &["--no-default-features", "--features", "containers,mic"],
    ),
];

/// Version of cargo-deny that is built.
const CARGO_DENY: &str = "0.20.2";

/// Checks licences, sources and bans of every lock file, and that what runs a backbone is free of what only training
/// needs.
pub fn check() -> Result<()> {
    let policy = Policy::read(&workspace::root().join("deny.toml"))?;
    for manifest in MANIFESTS {
        let metadata = metadata(Path::new(manifest))?;
        let faults = policy.faults(&metadata);
        ensure!(
            faults.is_empty(),
            "packages of {manifest} break the rules in deny.toml:\n  {}",
            faults.join("\n  ")
        );
    }
    for (package, features) in WITHOUT_TRAINING {
        let tree = names(
            Path::new(MANIFESTS[0]),
            package,
            features,
            "normal,build",
            "all",
        )?;
        let back = only_training(&tree);
        ensure!(
            back.is_empty(),
            "{package} depends on {}, which only training needs: `cargo tree -p {package} {} -e normal,build \
             --target all -i {}` says through whom",
            back.join(", "),
            features.join(" "),
            back[0]
        );
    }
    Ok(())
}

/// Returns those of [`ONLY_TRAINING`] in a tree of names and versions.
fn only_training(tree: &BTreeSet<(String, String)>) -> Vec<&str> {
    tree.iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| ONLY_TRAINING.contains(name))
        .collect()
}

/// Runs cargo-deny on every lock file; it is built into the target folder at the first call. Advisories are checked
/// where their database can be fetched. Returns whether they were, in words.
pub fn cargo_deny() -> Result<String> {
    let program = workspace::tool("cargo-deny", CARGO_DENY)?;
    let deny = |manifest: &str, arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.current_dir(workspace::root());
        command.args(["--manifest-path", manifest, "--locked"]);
        command.args(arguments);
        command
    };
    for manifest in MANIFESTS {
        process::run(&mut deny(
            manifest,
            &["check", "bans", "licenses", "sources"],
        ))?;
    }
    if !process::succeeds(&mut deny(MANIFESTS[0], &["fetch", "db"])) {
        return Ok("advisories were not checked: their database cannot be fetched here".to_owned());
    }
    for manifest in MANIFESTS {
        process::run(&mut deny(manifest, &["check", "advisories"]))?;
    }
    Ok("advisories were checked, too".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_training_needs_is_found_in_a_tree() {
        let tree = |names: &[&str]| {
            let names = names
                .iter()
                .map(|name| ((*name).to_owned(), "1.0.0".to_owned()));
            names.collect::<BTreeSet<_>>()
        };
        assert!(only_training(&tree(&["serde", "zipper", "csv"])).is_empty());
        assert_eq!(only_training(&tree(&["zip", "csv", "fs2"])), ["fs2", "zip"]);
    }

    #[test]
    fn the_rules_are_kept() {
        check().unwrap();
    }

    /// The check sees through features and crates between: with training, all that is looked for is there,
    /// or has gone for good.
    #[test]
    fn training_brings_what_the_check_looks_for() {
        let tree = names(
            Path::new(MANIFESTS[0]),
            "mtslvr",
            &["--features", "tract"],
            "normal,build",
            "all",
        );
        let tree = tree.unwrap();
        let found = only_training(&tree);
        assert_eq!(
            found,
            ["candle-core", "gemm", "paste", "tar", "tokenizers", "zip"]
        );
    }
}
