//! Why there is no certificate to serve with: the key of the configuration, the file, what is
//! wrong with it and what helps. What a running gateway tells of its certificate is elsewhere.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Fingerprint;
use super::date::Date;
use crate::source::shell_word;

/// Why there is no certificate, or not the new one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}{}", self.message(), self.remedy(), Kept(*kept))]
pub struct TlsError {
    /// The key of the configuration.
    pub key: Key,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub trouble: Trouble,
    /// The certificate that stays in force, where one was.
    pub kept: Option<Fingerprint>,
}

impl TlsError {
    /// What is wrong with which file.
    #[must_use]
    pub fn message(&self) -> String {
        format!("`{}`: {} {}", self.key, self.path.display(), self.trouble)
    }

    /// What to do.
    #[must_use]
    pub fn remedy(&self) -> String {
        self.trouble.remedy(self.key, &self.path)
    }
}

/// The keys of the configuration that speak of certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The chain.
    Certificate,
    /// The private key.
    PrivateKey,
    /// A pair that is made.
    Generated,
    /// The names in it.
    Names,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Key::Certificate => "tls.certificate",
            Key::PrivateKey => "tls.key",
            Key::Generated => "tls.autoGenerate",
            Key::Names => "tls.names",
        })
    }
}

/// What is wrong with a file. No variant holds a part of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It cannot be read, and why.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It cannot be written, and why.
    #[error("cannot be written: {0}")]
    Unwritable(String),
    /// It has nothing in it.
    #[error("is empty")]
    Empty,
    /// It has something else in it.
    #[error("holds {found}, and no {wanted} in PEM")]
    Instead {
        /// What should be there.
        wanted: Wanted,
        /// What is there.
        found: Found,
    },
    /// The PEM is cut off, or no base64.
    #[error("is damaged: its {0} cannot be decoded")]
    Damaged(Wanted),
    /// The key needs a passphrase.
    #[error("holds a key that is encrypted with a passphrase")]
    Encrypted,
    /// The key is of a kind or size that TLS cannot use.
    #[error("holds a key that cannot be used for TLS")]
    UnusableKey,
    /// Others may read a key that the gateway made.
    #[error("may be read by others")]
    Exposed,
    /// The first certificate cannot be used.
    #[error("begins with a certificate that is damaged, or not of X.509 version 3")]
    UnusableCertificate,
    /// The certificate and the key do not go together.
    #[error("does not belong to the key in {}", key.display())]
    Mismatch {
        /// The file with the key.
        key: PathBuf,
        /// Which certificate of the file the key belongs to, counted from 1, if one does.
        belongs: Option<usize>,
    },
    /// The certificate is not valid any more.
    #[error("expired at {0}")]
    Expired(Date),
    /// The certificate is not valid yet.
    #[error("is not valid before {0}")]
    NotYetValid(Date),
    /// A text that no certificate can be made for.
    #[error("cannot be made for `{0}`")]
    Name(String),
}

/// What should be in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A certificate.
    Certificate,
    /// A private key.
    PrivateKey,
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wanted::Certificate => "certificate",
            Wanted::PrivateKey => "private key",
        })
    }
}

/// What is in a file instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A certificate.
    Certificate,
    /// A private key.
    PrivateKey,
    /// A private key as OpenSSH keeps it.
    OpenSsh,
    /// A public key.
    PublicKey,
    /// A certificate request.
    Request,
    /// A certificate in DER.
    DerCertificate,
    /// A private key in DER.
    DerKey,
    /// A PKCS #12 container.
    Pkcs12,
    /// Anything else.
    Other,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Found::Certificate => "a certificate",
            Found::PrivateKey => "a private key",
            Found::OpenSsh => "a key of OpenSSH",
            Found::PublicKey => "a public key",
            Found::Request => "a certificate request",
            Found::DerCertificate => "a certificate in DER",
            Found::DerKey => "a private key in DER",
            Found::Pkcs12 => "a PKCS #12 container",
            Found::Other => "something else",
        })
    }
}

impl Trouble {
    /// What to do.
    fn remedy(&self, key: Key, path: &Path) -> String {
        if let Key::Generated = key {
            return self.remedy_of_made(path);
        }
        let path = shell_word(&path.to_string_lossy());
        match self {
            Trouble::Unreadable(_) => {
                "write the path of a file there that the gateway may read".to_owned()
            }
            Trouble::Unwritable(_) => "let the gateway write there".to_owned(),
            Trouble::Empty => "write the file again".to_owned(),
            Trouble::Instead { wanted, found } => instead(*wanted, *found, &path),
            Trouble::Damaged(_) => {
                "write the file again, whole, from `-----BEGIN` to `-----END`".to_owned()
            }
            Trouble::Encrypted => format!(
                "the gateway cannot ask for it, so write the key without one: `(umask 077; openssl pkey -in {path} -out NEW)`"
            ),
            Trouble::UnusableKey => {
                "use an ECDSA key (P-256 or P-384), an Ed25519 key, or an RSA key of 2048 to 8192 bits"
                    .to_owned()
            }
            Trouble::Exposed => format!("run `chmod 600 {path}`"),
            Trouble::UnusableCertificate => {
                "have it issued again, with the names of the gateway as `subjectAltName`".to_owned()
            }
            Trouble::Mismatch {
                belongs: Some(number),
                ..
            } => format!(
                "the key belongs to certificate {number} of the file: put that one first, and those that vouch for it after it"
            ),
            Trouble::Mismatch { belongs: None, .. } => {
                "write the path of the key under `tls.key` that this certificate was issued for"
                    .to_owned()
            }
            Trouble::Expired(_) => "put a renewed one there".to_owned(),
            Trouble::NotYetValid(_) => {
                "look whether the clock of this host is right; until then, put one there that is valid now"
                    .to_owned()
            }
            Trouble::Name(_) => {
                "write names as in `gateway.example.com`, and addresses as in `192.0.2.7`".to_owned()
            }
        }
    }

    /// What to do about a file that the gateway made for itself.
    fn remedy_of_made(&self, path: &Path) -> String {
        match self {
            Trouble::Exposed => format!("run `chmod 600 {}`", shell_word(&path.to_string_lossy())),
            Trouble::Unwritable(_) => {
                "let the gateway write in its state folder, and see that there is room".to_owned()
            }
            Trouble::Unreadable(_)
            | Trouble::Empty
            | Trouble::Instead { .. }
            | Trouble::Damaged(_)
            | Trouble::Encrypted
            | Trouble::UnusableKey
            | Trouble::UnusableCertificate
            | Trouble::Mismatch { .. }
            | Trouble::Expired(_)
            | Trouble::NotYetValid(_)
            | Trouble::Name(_) => {
                "put the one from before back, or remove `tls.crt` and `tls.key`, and another pair is made, with another fingerprint"
                    .to_owned()
            }
        }
    }
}

fn instead(wanted: Wanted, found: Found, path: &str) -> String {
    match (wanted, found) {
        (Wanted::Certificate, Found::PrivateKey) => {
            "write the path of the certificate there, and that of the key under `tls.key`".to_owned()
        }
        (Wanted::PrivateKey, Found::Certificate) => {
            "write the path of the key there, and that of the certificate under `tls.certificate`"
                .to_owned()
        }
        (_, Found::Request) => {
            "have the request signed, and write the path of the certificate that comes back under `tls.certificate`"
                .to_owned()
        }
        (Wanted::Certificate, Found::DerCertificate) => {
            format!("run `openssl x509 -inform der -in {path} -out NEW`, and write `NEW` there")
        }
        (Wanted::PrivateKey, Found::DerKey) => format!(
            "run `(umask 077; openssl pkey -inform der -in {path} -out NEW)`, and write `NEW` there"
        ),
        (Wanted::Certificate, Found::Pkcs12) => {
            format!("run `openssl pkcs12 -nokeys -in {path} -out NEW`, and write `NEW` there")
        }
        (Wanted::PrivateKey, Found::Pkcs12) => format!(
            "run `(umask 077; openssl pkcs12 -nocerts -nodes -in {path} -out NEW)`, and write `NEW` there"
        ),
        (Wanted::PrivateKey, Found::OpenSsh) => format!(
            "run `ssh-keygen -p -m PKCS8 -f {path}` on a copy of it, and write the path of the copy there"
        ),
        (
            Wanted::Certificate,
            Found::Certificate
            | Found::OpenSsh
            | Found::PublicKey
            | Found::DerKey
            | Found::Other,
        )
        | (
            Wanted::PrivateKey,
            Found::PrivateKey | Found::PublicKey | Found::DerCertificate | Found::Other,
        ) => format!("write the path of a {wanted} in PEM there, which begins with `-----BEGIN`"),
    }
}

/// That the one from before stays.
struct Kept(Option<Fingerprint>);

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(kept) => write!(
                f,
                "; until then the certificate from before stays in force, with the fingerprint {kept}"
            ),
            None => Ok(()),
        }
    }
}
