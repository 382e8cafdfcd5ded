//! The two files of a pair: read, and told apart from what else may be in them. Whether the pair
//! is of use is not asked here.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;

use crate::host::own;

use super::error::{Found, Key, TlsError, Trouble, Wanted};

/// The largest file, in bytes: a long chain has 20,000.
const LARGEST: u64 = 1 << 20;

/// The bits of a unix mode that let others in.
const OTHERS: u32 = 0o077;

/// Where a pair is, and the keys of the configuration that say so.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// The chain.
    pub(super) certificate: PathBuf,
    /// Its private key.
    pub(super) key: PathBuf,
    /// Whether the gateway made them for itself.
    pub(super) made: bool,
}

impl Files {
    /// That the certificate is not as it should be.
    pub(super) fn bad_certificate(&self, trouble: Trouble) -> TlsError {
        self.bad(Key::Certificate, &self.certificate, trouble)
    }

    /// That the key is not as it should be.
    pub(super) fn bad_key(&self, trouble: Trouble) -> TlsError {
        self.bad(Key::PrivateKey, &self.key, trouble)
    }

    fn bad(&self, key: Key, path: &Path, trouble: Trouble) -> TlsError {
        TlsError {
            key: if self.made { Key::Generated } else { key },
            path: path.to_owned(),
            trouble,
            kept: None,
        }
    }

    /// The certificates of the chain, at least one.
    pub(super) fn read_chain(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let (bytes, _) = read(&self.certificate, self.made)
            .map_err(|error| self.bad_certificate(Trouble::Unreadable(error)))?;
        chain(&bytes).map_err(|trouble| self.bad_certificate(trouble))
    }

    /// The private key, and whether others may read it.
    pub(super) fn read_key(&self) -> Result<(PrivateKeyDer<'static>, bool), TlsError> {
        let (bytes, mode) =
            read(&self.key, self.made).map_err(|error| self.bad_key(Trouble::Unreadable(error)))?;
        let key = private_key(&bytes).map_err(|trouble| self.bad_key(trouble))?;
        Ok((key, mode.is_some_and(|mode| mode & OTHERS != 0)))
    }
}

fn chain(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, Trouble> {
    let wanted = Wanted::Certificate;
    let chain: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(bytes).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(none(bytes, wanted)),
        Ok(chain) => Ok(chain),
        Err(_) => Err(Trouble::Damaged(wanted)),
    }
}

fn private_key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, Trouble> {
    let wanted = Wanted::PrivateKey;
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| {
        if is_encrypted(bytes) {
            Trouble::Encrypted
        } else if matches!(error, PemError::NoItemsFound) {
            none(bytes, wanted)
        } else {
            Trouble::Damaged(wanted)
        }
    })
}

/// Why there is nothing of what is wanted.
fn none(bytes: &[u8], wanted: Wanted) -> Trouble {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Trouble::Empty;
    }
    let found = found(bytes);
    match (wanted, found) {
        // What looks like it and was not read as it: a label that is indented, or of another kind.
        (Wanted::Certificate, Found::Certificate) | (Wanted::PrivateKey, Found::PrivateKey) => {
            Trouble::Damaged(wanted)
        }
        _ => Trouble::Instead { wanted, found },
    }
}

fn found(bytes: &[u8]) -> Found {
    let labels = labels(bytes);
    let any = |ending: &str| labels.iter().any(|label| label.ends_with(ending));
    if any("OPENSSH PRIVATE KEY") {
        Found::OpenSsh
    } else if any("PRIVATE KEY") {
        Found::PrivateKey
    } else if any("CERTIFICATE") {
        Found::Certificate
    } else if any("CERTIFICATE REQUEST") {
        Found::Request
    } else if any("PUBLIC KEY") {
        Found::PublicKey
    } else if !labels.is_empty() {
        Found::Other
    } else if ParsedCertificate::try_from(&CertificateDer::from(bytes)).is_ok() {
        Found::DerCertificate
    } else if is_pkcs12(bytes) {
        Found::Pkcs12
    } else if PrivateKeyDer::try_from(bytes).is_ok() {
        Found::DerKey
    } else {
        Found::Other
    }
}

/// What the sections of a PEM file call themselves.
fn labels(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    text.split("-----BEGIN ")
        .skip(1)
        .filter_map(|rest| rest.split_once("-----"))
        .map(|(label, _)| label.to_owned())
        .collect()
}

fn is_encrypted(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().map(str::trim);
    // PKCS #8 says it in the label, the older form in a header.
    labels(bytes)
        .iter()
        .any(|label| label == "ENCRYPTED PRIVATE KEY")
        || lines
            .filter_map(|line| line.strip_prefix("Proc-Type:"))
            .any(|value| value.ends_with("ENCRYPTED"))
}

/// Whether it begins as a container does: a sequence whose first part is the number 3.
fn is_pkcs12(bytes: &[u8]) -> bool {
    let version = |rest: &[u8]| rest.starts_with(&[2, 1, 3]);
    match bytes {
        [0x30, 0x80, rest @ ..] => version(rest),
        [0x30, 0x81, _, rest @ ..] => version(rest),
        [0x30, 0x82, _, _, rest @ ..] => version(rest),
        [0x30, 0x83, _, _, _, rest @ ..] => version(rest),
        _ => false,
    }
}

/// The bytes of a file, and its mode where there are modes.
/// Reads a file; one that the gateway `made` is this user's, and no link.
fn read(path: &Path, made: bool) -> Result<(Vec<u8>, Option<u32>), String> {
    let said = |error: std::io::Error| {
        if error.kind() == ErrorKind::NotFound {
            "there is no such file".to_owned()
        } else if error.kind() == ErrorKind::PermissionDenied {
            "it may not be opened".to_owned()
        } else {
            error.to_string()
        }
    };
    let file = if made {
        own::open(File::options().read(true), path).map_err(said)?
    } else {
        // Opening a pipe would wait for somebody to write into it.
        if !fs::metadata(path).map_err(said)?.is_file() {
            return Err("it is no file".to_owned());
        }
        File::open(path).map_err(said)?
    };
    let mode = mode(&file.metadata().map_err(said)?);
    let mut bytes = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(said)?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it is larger than {LARGEST} bytes"));
    }
    Ok((bytes, mode))
}

#[cfg(unix)]
fn mode(metadata: &fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    Some(metadata.mode())
}

#[cfg(not(unix))]
fn mode(_: &fs::Metadata) -> Option<u32> {
    None
}
