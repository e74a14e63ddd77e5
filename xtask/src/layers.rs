//! Imports between crates only point to a lower layer: no sideways, no upward arrow.
//!
//! Dev-dependencies are held to the same rule, except that a test may use a sibling: it shows how two
//! parts fit, which neither part may know.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};

use crate::metadata::{self, Package};

pub(crate) fn run(_: &[String]) -> anyhow::Result<()> {
    let packages = metadata::packages()?;
    let mut layers = BTreeMap::new();
    for package in &packages {
        let layer = package
            .layer
            .with_context(|| format!("{} has no [package.metadata.tandem] layer", package.name))?;
        layers.insert(package.name.as_str(), layer);
    }
    let wrong: Vec<String> =
        packages.iter().flat_map(|package| wrong_imports(package, &layers)).collect();
    if !wrong.is_empty() {
        bail!("imports that do not point down:\n  {}", wrong.join("\n  "));
    }
    let top = layers.values().max().copied().unwrap_or(0);
    println!("layers: {} crates in layers 0 to {top}, every import points down", packages.len());
    Ok(())
}

fn wrong_imports(package: &Package, layers: &BTreeMap<&str, u64>) -> Vec<String> {
    let Some(own) = package.layer else { return Vec::new() };
    package
        .imports
        .iter()
        .filter_map(|(import, &tests_only)| {
            let layer = layers.get(import.as_str())?;
            let fits = *layer < own || (tests_only && *layer == own);
            (!fits)
                .then(|| format!("{} (layer {own}) imports {import} (layer {layer})", package.name))
        })
        .collect()
}
