//! The software bill of materials: CycloneDX 1.6 in JSON.

use super::policy::parsed;
use super::selection::{Product, Selection};
use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Package, PackageId};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use spdx::Expression;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Makes the list of a product's materials. The same lock file gives the same bytes: there is no time and no random
/// number in it.
///
/// # Errors
/// If cargo fails or the lock file cannot be read.
pub fn sbom(selection: &Selection) -> Result<String> {
    let product = selection.product()?;
    let lock = product.metadata.workspace_root.join("Cargo.lock");
    let text = fs::read_to_string(&lock).with_context(|| lock.to_string())?;
    let checksums = checksums(&text).with_context(|| lock.to_string())?;
    let component = |package: &Package, scope| component(package, scope, &checksums);
    let linked = product
        .linked
        .iter()
        .map(|part| component(part, Some("required")));
    // They run while it is built, and are not part of what is built.
    let build = product
        .build
        .iter()
        .map(|part| component(part, Some("excluded")));
    let document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": component(&product.package, None)? },
        "components": linked.chain(build).collect::<Result<Vec<_>>>()?,
        "dependencies": dependencies(&product),
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

/// A package in the lock file.
#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// Returns the SHA-256 of packages by name and version.
fn checksums(lock: &str) -> Result<BTreeMap<(String, String), String>> {
    let lock: Lock = toml::from_str(lock)?;
    let packages = lock.package.into_iter();
    Ok(packages
        .filter_map(|package| Some(((package.name, package.version), package.checksum?)))
        .collect())
}

/// Returns the name of a package inside the document: its package URL, where it comes from the registry.
fn reference(package: &Package) -> String {
    // A plus sign in a version would be read as a space.
    let version = package.version.to_string().replace('+', "%2B");
    let start = if package.source.is_some() {
        "pkg:cargo/"
    } else {
        ""
    };
    format!("{start}{}@{version}", package.name)
}

fn component(
    package: &Package,
    scope: Option<&str>,
    checksums: &BTreeMap<(String, String), String>,
) -> Result<Value> {
    let program = package.targets.iter().any(cargo_metadata::Target::is_bin);
    let kind = if scope.is_none() && program {
        "application"
    } else {
        "library"
    };
    let mut component = Map::new();
    let mut put = |key: &str, value: Value| component.insert(key.to_owned(), value);
    put("type", kind.into());
    put("bom-ref", reference(package).into());
    put("name", package.name.as_str().into());
    put("version", package.version.to_string().into());
    if let Some(description) = &package.description {
        put("description", description.trim().into());
    }
    if let Some(scope) = scope {
        put("scope", scope.into());
    }
    let key = (package.name.to_string(), package.version.to_string());
    if let Some(checksum) = checksums.get(&key) {
        put("hashes", json!([{ "alg": "SHA-256", "content": checksum }]));
    }
    if let Some(licence) = &package.license {
        // Old forms with a slash are no expressions any more.
        parsed(licence)?;
        let licence = Expression::canonicalize(licence)?.unwrap_or_else(|| licence.clone());
        put("licenses", json!([{ "expression": licence }]));
    }
    if package.source.is_some() {
        put("purl", reference(package).into());
    }
    if let Some(repository) = &package.repository {
        put(
            "externalReferences",
            json!([{ "type": "vcs", "url": repository }]),
        );
    }
    Ok(component.into())
}

/// Returns who of the product's packages depends on whom.
fn dependencies(product: &Product) -> Vec<Value> {
    let packages = [&product.package];
    let packages = packages
        .into_iter()
        .chain(&product.linked)
        .chain(&product.build);
    let references: BTreeMap<&PackageId, String> = packages
        .map(|package| (&package.id, reference(package)))
        .collect();
    let nodes = product
        .metadata
        .resolve
        .iter()
        .flat_map(|graph| &graph.nodes);
    let edges: BTreeMap<&String, BTreeSet<&String>> = nodes
        .filter_map(|node| {
            let used = node.deps.iter().filter(|used| {
                let mut kinds = used.dep_kinds.iter().map(|info| info.kind);
                kinds.any(|kind| kind != DependencyKind::Development)
            });
            let used = used.filter_map(|used| references.get(&used.pkg));
            Some((references.get(&node.id)?, used.collect()))
        })
        .collect();
    edges
        .into_iter()
        .map(|(package, used)| json!({ "ref": package, "dependsOn": used }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> Value {
        serde_json::from_str(&sbom(&Selection::default()).unwrap()).unwrap()
    }

    #[test]
    fn the_same_lock_file_gives_the_same_bytes() {
        let once = sbom(&Selection::default()).unwrap();
        assert_eq!(once, sbom(&Selection::default()).unwrap());
    }

    #[test]
    fn every_part_has_what_a_reader_looks_up() {
        let document = made();
        assert_eq!(document["metadata"]["component"]["name"], "mtslvr");
        assert_eq!(document["metadata"]["component"]["type"], "application");
        let components = document["components"].as_array().unwrap();
        let of = |name: &str| components.iter().find(|part| part["name"] == name).unwrap();
        let symphonia = of("symphonia");
        assert_eq!(symphonia["licenses"][0]["expression"], "MPL-2.0");
        let sha256 = symphonia["hashes"][0]["content"].as_str().unwrap();
        assert_eq!(sha256.len(), 64);
        let purl = symphonia["purl"].as_str().unwrap();
        assert!(purl.starts_with("pkg:cargo/symphonia@"), "{purl}");
        assert!(
            of("mtslvr-runtime")["purl"].is_null(),
            "this project's own is in no registry"
        );
        for part in components {
            let licence = part["licenses"][0]["expression"].as_str().unwrap();
            Expression::parse(licence).unwrap();
        }
    }

    #[test]
    fn references_name_parts() {
        let document = made();
        let components = document["components"].as_array().unwrap().iter();
        let mut known: BTreeSet<_> = components
            .map(|part| part["bom-ref"].as_str().unwrap())
            .collect();
        known.insert(
            document["metadata"]["component"]["bom-ref"]
                .as_str()
                .unwrap(),
        );
        let dependencies = document["dependencies"].as_array().unwrap();
        assert_eq!(dependencies.len(), known.len());
        for entry in dependencies {
            let used = entry["dependsOn"].as_array().unwrap().iter();
            for name in used.chain([&entry["ref"]]) {
                assert!(known.contains(name.as_str().unwrap()), "{name}");
            }
        }
    }
}
