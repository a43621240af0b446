//! The rules in `deny.toml` that need no database: licences, bans, sources.

use anyhow::{Context, Result, ensure};
use cargo_metadata::{Metadata, PackageId};
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};
use std::fs;
use std::path::Path;

/// The part of cargo-deny's configuration that is checked here.
#[derive(Debug, Deserialize)]
struct Config {
    licenses: Licences,
    bans: Bans,
    sources: Sources,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

/// A crate that nobody may depend on but its wrappers.
#[derive(Debug, Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    #[serde(default)]
    wrappers: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// The rules.
#[derive(Debug)]
pub struct Policy {
    /// Licences that are taken, the preferred ones first.
    pub licences: Vec<Licensee>,
    bans: Vec<Ban>,
    /// Sources as cargo names them.
    sources: Vec<String>,
}

impl Policy {
    /// Reads them from cargo-deny's configuration.
    ///
    /// # Errors
    /// If the file cannot be read, lacks a key or names a licence that SPDX does not know.
    pub fn read(path: &Path) -> Result<Self> {
        let named = || path.display().to_string();
        Self::parse(&fs::read_to_string(path).with_context(named)?).with_context(named)
    }

    fn parse(text: &str) -> Result<Self> {
        let config: Config = toml::from_str(text)?;
        let licences = config.licenses.allow.iter().map(|name| {
            Licensee::parse(name).with_context(|| format!("{name} is no licence of SPDX"))
        });
        let registries = config.sources.allow_registry.iter();
        Ok(Self {
            licences: licences.collect::<Result<_>>()?,
            bans: config.bans.deny,
            sources: registries.map(|url| format!("registry+{url}")).collect(),
        })
    }

    /// Returns what breaks the rules among all packages of a lock file.
    pub fn faults(&self, metadata: &Metadata) -> Vec<String> {
        let mut faults = Vec::new();
        for package in &metadata.packages {
            let name = format!("{} {}", package.name, package.version);
            if let Err(fault) = self.licence(package.license.as_deref()) {
                faults.push(format!("{name}: {fault:#}"));
            }
            if let Some(source) = &package.source
                && !self.sources.contains(&source.repr)
            {
                let allowed = self.sources.join(", ");
                faults.push(format!(
                    "{name}: comes from {source}; allowed are {allowed}"
                ));
            }
            let Some(ban) = self.bans.iter().find(|ban| package.name == ban.name) else {
                continue;
            };
            if ban.wrappers.is_empty() {
                faults.push(format!("{name}: is banned"));
                continue;
            }
            for dependent in dependents(metadata, &package.id) {
                if !ban.wrappers.contains(&dependent) {
                    let allowed = ban.wrappers.join(", ");
                    faults.push(format!(
                        "{name}: {dependent} depends on it; only {allowed} may"
                    ));
                }
            }
        }
        faults
    }

    /// Checks a package's licence.
    fn licence(&self, expression: Option<&str>) -> Result<()> {
        let expression = expression.context("states no licence as an expression of SPDX")?;
        let parsed = parsed(expression)?;
        let allowed = parsed.evaluate(|asked| self.licences.iter().any(|one| one.satisfies(asked)));
        ensure!(
            allowed,
            "its licence, {expression}, is not among those allowed"
        );
        Ok(())
    }
}

/// Reads a licence as packages state it, also in the old form with a slash.
pub fn parsed(expression: &str) -> Result<Expression> {
    Expression::parse_mode(expression, ParseMode::LAX)
        .with_context(|| format!("{expression:?} is no expression of SPDX"))
}

/// Names of the packages that depend on one.
fn dependents(metadata: &Metadata, package: &PackageId) -> Vec<String> {
    let nodes = metadata.resolve.iter().flat_map(|graph| &graph.nodes);
    nodes
        .filter(|node| node.dependencies.contains(package))
        .map(|node| metadata[&node.id].name.to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supply::selection::metadata;

    fn policy(bans: &str) -> Policy {
        let licences = "[licenses]\nallow = ['MIT', 'Apache-2.0', 'MPL-2.0']";
        let sources =
            "[sources]\nallow-registry = ['https://github.com/rust-lang/crates.io-index']";
        Policy::parse(&format!("{licences}\n{sources}\n[bans]\ndeny = [{bans}]")).unwrap()
    }

    #[test]
    fn a_licence_that_is_not_listed_is_a_fault() {
        let policy = policy("");
        for allowed in ["MIT", "MIT/Apache-2.0", "GPL-3.0 OR MIT", "MIT AND MPL-2.0"] {
            policy.licence(Some(allowed)).unwrap();
        }
        for refused in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "Anything",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(policy.licence(Some(refused)).is_err(), "{refused}");
        }
        assert!(policy.licence(None).is_err());
        assert!(Policy::parse("[licenses]\nallow = ['Anything']").is_err());
    }

    #[test]
    fn a_banned_crate_or_dependent_is_a_fault() {
        let metadata = metadata(Path::new("Cargo.toml")).unwrap();
        let of = |bans: &str| {
            let faults = policy(bans).faults(&metadata);
            let banned =
                |fault: &String| fault.contains("banned") || fault.contains("depends on it");
            faults.into_iter().filter(banned).collect::<Vec<_>>()
        };
        assert!(of("").is_empty());
        assert!(of("{ crate = 'no-such-crate' }").is_empty());
        assert_eq!(of("{ crate = 'symphonia' }").len(), 1);
        assert!(of("{ crate = 'symphonia', wrappers = ['mtslvr-audio'] }").is_empty());
        let faults = of("{ crate = 'symphonia', wrappers = ['mtslvr-runtime'] }");
        assert!(
            faults[0].contains("mtslvr-audio depends on it"),
            "{faults:?}"
        );
    }

    #[test]
    fn another_source_is_a_fault() {
        let metadata = metadata(Path::new("Cargo.toml")).unwrap();
        let mut policy = policy("");
        policy.sources = vec!["registry+https://example.org/index".to_owned()];
        let faults = policy.faults(&metadata);
        let source = "comes from registry+https://github.com/rust-lang/crates.io-index";
        assert!(
            faults.iter().any(|fault| fault.contains(source)),
            "{faults:?}"
        );
    }
}
