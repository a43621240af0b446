//! The packages in a product.

use crate::{process, workspace};
use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand, Package};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A product: a package of this repository, with its features.
#[derive(Debug, clap::Args)]
pub struct Selection {
    /// The package that is shipped.
    #[arg(long, value_name = "NAME", default_value = "mtslvr")]
    package: String,
    /// Its features, joined with commas.
    #[arg(long, value_name = "LIST", default_value = "")]
    features: String,
    /// Leave its default features out.
    #[arg(long)]
    no_default_features: bool,
    /// The target that it is built for, instead of all of them.
    #[arg(long, value_name = "TARGET", default_value = "all")]
    target: String,
    /// The manifest of its workspace, seen from the root: firmware-examples/Cargo.toml for a firmware.
    #[arg(long, value_name = "FILE", default_value = "Cargo.toml")]
    manifest_path: PathBuf,
}

impl Selection {
    /// Returns the program with these features beside its default ones, joined with commas.
    pub fn of_program(features: &str) -> Self {
        Self {
            features: features.to_owned(),
            ..Self::default()
        }
    }
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            package: "mtslvr".to_owned(),
            features: String::new(),
            no_default_features: false,
            target: "all".to_owned(),
            manifest_path: "Cargo.toml".into(),
        }
    }
}

/// All packages of a product.
pub struct Product {
    /// What cargo knows.
    pub metadata: Metadata,
    /// The product itself.
    pub package: Package,
    /// What becomes part of it, itself left out, by name and version. Macros count.
    pub linked: Vec<Package>,
    /// What only builds it.
    pub build: Vec<Package>,
}

impl Selection {
    /// Finds the packages.
    ///
    /// # Errors
    /// If there is no such package, or cargo fails.
    pub fn product(&self) -> Result<Product> {
        let metadata = metadata(&self.manifest_path)?;
        let package = metadata
            .workspace_packages()
            .into_iter()
            .find(|package| package.name.as_str() == self.package)
            .with_context(|| {
                format!(
                    "{} has no package {}",
                    self.manifest_path.display(),
                    self.package
                )
            })?
            .clone();
        let mut features = vec!["--features", &self.features];
        if self.no_default_features {
            features.push("--no-default-features");
        }
        let named = |edges| {
            names(
                &self.manifest_path,
                &self.package,
                &features,
                edges,
                &self.target,
            )
        };
        let (linked, all) = (named("normal")?, named("normal,build")?);
        let find = |wanted: &dyn Fn(&(String, String)) -> bool| {
            let mut found: Vec<Package> = metadata
                .packages
                .iter()
                .filter(|other| other.id != package.id && wanted(&key(other)))
                .cloned()
                .collect();
            found.sort_by_key(key);
            found
        };
        let build = find(&|key| all.contains(key) && !linked.contains(key));
        let linked = find(&|key| linked.contains(key));
        Ok(Product {
            metadata,
            package,
            linked,
            build,
        })
    }
}

/// Returns what names a package in a tree.
fn key(package: &Package) -> (String, String) {
    (package.name.to_string(), package.version.to_string())
}

/// Returns what cargo knows of all packages in the lock file beside `manifest`, seen from the root.
///
/// # Errors
/// If cargo fails.
pub fn metadata(manifest: &Path) -> Result<Metadata> {
    let output = process::output(
        workspace::host_cargo()?
            .args([
                "metadata",
                "--locked",
                "--all-features",
                "--format-version",
                "1",
            ])
            .arg("--manifest-path")
            .arg(manifest),
    )?;
    Ok(MetadataCommand::parse(output)?)
}

/// Returns names and versions of `package` and all that it depends on by `edges`, for `target`: only cargo's tree
/// has the features of one package.
///
/// # Errors
/// If cargo fails.
pub fn names(
    manifest: &Path,
    package: &str,
    features: &[&str],
    edges: &str,
    target: &str,
) -> Result<BTreeSet<(String, String)>> {
    let tree = process::output(
        workspace::host_cargo()?
            .args(["tree", "--locked", "--prefix", "none", "--format", "{p}"])
            .args(["--package", package, "--edges", edges, "--target", target])
            .args(features)
            .arg("--manifest-path")
            .arg(manifest),
    )?;
    Ok(tree.lines().filter_map(named).collect())
}

/// Returns name and version in a line of cargo's tree.
fn named(line: &str) -> Option<(String, String)> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let version = words.next()?.strip_prefix('v')?;
    Some((name.to_owned(), version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_tree_are_read() {
        let named = |line| named(line).map(|(name, version)| format!("{name} {version}"));
        assert_eq!(
            named("toml v1.2.1+spec-1.1.0").unwrap(),
            "toml 1.2.1+spec-1.1.0"
        );
        assert_eq!(
            named("paste v1.0.15 (proc-macro) (*)").unwrap(),
            "paste 1.0.15"
        );
        assert_eq!(named("[build-dependencies]"), None);
        assert_eq!(named(""), None);
    }

    #[test]
    fn the_lean_program_has_less_than_the_whole_one() {
        let whole = Selection::default().product().unwrap();
        let lean = Selection {
            no_default_features: true,
            ..Selection::default()
        };
        let lean = lean.product().unwrap();
        let has = |product: &Product, name: &str| {
            product.linked.iter().any(|part| part.name.as_str() == name)
        };
        assert!(has(&whole, "candle-core") && has(&whole, "symphonia"));
        assert!(!has(&lean, "candle-core") && has(&lean, "symphonia"));
        assert!(!has(&lean, "proptest"), "what only tests need");
        assert!(!has(&lean, "mtslvr"), "itself");
    }

    #[test]
    fn a_package_that_is_not_there_is_named() {
        let selection = Selection {
            package: "nothing".to_owned(),
            ..Selection::default()
        };
        let said = selection.product().err().unwrap().to_string();
        assert_eq!(said, "Cargo.toml has no package nothing");
    }
}
