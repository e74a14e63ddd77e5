//! What cargo knows of the workspace.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::Value;

use crate::shell;

/// One crate of the workspace.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    /// `[package.metadata.tandem] layer`.
    pub(crate) layer: Option<u64>,
    /// Names of the workspace's crates it imports, and whether only its tests do.
    pub(crate) imports: BTreeMap<String, bool>,
}

/// All crates of the workspace.
pub(crate) fn packages() -> anyhow::Result<Vec<Package>> {
    let text =
        shell::output(shell::cargo(&["metadata", "--locked", "--format-version=1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&text).context("read cargo metadata")?;
    let packages = metadata["packages"].as_array().context("cargo metadata has packages")?;
    packages.iter().map(package).collect()
}

fn package(value: &Value) -> anyhow::Result<Package> {
    let name = value["name"].as_str().context("a package has a name")?.to_owned();
    let manifest =
        PathBuf::from(value["manifest_path"].as_str().context("a package has a manifest")?);
    let folder = manifest.parent().context("a manifest lies in a folder")?.to_path_buf();
    let mut imports = BTreeMap::new();
    for dependency in value["dependencies"].as_array().into_iter().flatten() {
        // Only crates of this workspace have a path.
        let (Some(_), Some(import)) = (dependency["path"].as_str(), dependency["name"].as_str())
        else {
            continue;
        };
        let tests_only = dependency["kind"].as_str() == Some("dev");
        let known = imports.entry(import.to_owned()).or_insert(tests_only);
        *known &= tests_only;
    }
    let layer = value["metadata"]["tandem"]["layer"].as_u64();
    Ok(Package { name, folder, layer, imports })
}
