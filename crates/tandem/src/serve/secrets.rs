//! Secrets are read from files, so that they are in no configuration, command line or environment.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use tandem_config::{AuthConfig, MediatorConfig};

/// A secret of more bytes is a wrong file.
const SECRET_BYTES_MAX: usize = 4096;

/// The token that HTTP requests must bring that change something, if one is configured.
pub(crate) fn admin_token(auth: &AuthConfig) -> anyhow::Result<Option<Vec<u8>>> {
    auth.admin_token_file
        .as_deref()
        .map(|path| read(path).context("read the secret of `auth.admin_token_file`"))
        .transpose()
}

/// What a node logs in with at `ZooKeeper` or etcd, if it does.
pub(crate) fn mediator_login(
    mediator: &MediatorConfig,
) -> anyhow::Result<Option<(String, Vec<u8>)>> {
    let (Some(user), Some(path)) = (&mediator.user, &mediator.password_file) else {
        return Ok(None);
    };
    warn_of_readable_file(path);
    let password = read(path).context("read the secret of `switch.mediator.password_file`")?;
    Ok(Some((user.clone(), password)))
}

/// Warns of secrets that other users of the machine can read.
pub(crate) fn warn_of_readable(auth: &AuthConfig) {
    let files = [&auth.password_file, &auth.peer_secret_file, &auth.admin_token_file];
    for path in files.into_iter().flatten() {
        warn_of_readable_file(path);
    }
}

/// Warns if other users of the machine can read it.
pub(crate) fn warn_of_readable_file(path: &Path) {
    let mode = fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o077 != 0 {
        tracing::warn!("{} can be read by other users; run: chmod 600 {0}", path.display());
    }
}

/// The file's content without the line end that editors put there; spaces and `#` belong to the secret.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let secret = trim_line_end(&bytes);
    ensure!(
        !secret.starts_with(b"\xef\xbb\xbf") && !secret.contains(&0),
        "{} begins with a byte order mark or holds a NUL byte, which an editor or a tool put there and which would \
         be part of the secret; write it again as plain text",
        path.display()
    );
    ensure!(!secret.is_empty(), "{} is empty; put the secret there", path.display());
    ensure!(
        secret.len() <= SECRET_BYTES_MAX,
        "{} has more than {SECRET_BYTES_MAX} bytes; is it the right file?",
        path.display()
    );
    ensure!(
        !secret.contains(&b'\n'),
        "{} has more than one line; a secret is one line",
        path.display()
    );
    Ok(secret.to_vec())
}

fn trim_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_one_line_and_may_hold_anything_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for (content, want) in [
            ("s3cret", Some("s3cret")),
            (" s # 3 \n", Some(" s # 3 ")),
            ("s3cret\r\n", Some("s3cret")),
            ("", None),
            ("\n", None),
            ("two\nlines\n", None),
            ("\u{feff}s3cret", None),
            ("s3c\0ret", None),
        ] {
            fs::write(&path, content).unwrap();
            let got = read(&path).ok();
            assert_eq!(got.as_deref(), want.map(str::as_bytes), "{content:?}");
        }
    }
}
