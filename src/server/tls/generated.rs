//! The self-signed certificate that the gateway makes for itself, and when it makes another one.
//! Whoever connects trusts it by its fingerprint.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SerialNumber, date_time_ymd,
};
use rustls::pki_types::ServerName;

use super::date::Date;
use super::error::{Key, TlsError, Trouble};
use super::files::Files;
use super::fingerprint::Fingerprint;
use super::pair::{Pair, is_for};
use crate::host::token::keep;
use crate::secret::Secret;

/// The chain in the state folder.
pub(super) const CERTIFICATE: &str = "tls.crt";
/// The private key in the state folder.
pub(super) const KEY: &str = "tls.key";
/// What is locked while a pair is being made.
const LOCK: &str = "tls.lock";
/// The certificate that is about to take the place of another one.
const NEXT: &str = "tls.crt.next";

const DAY: u64 = 24 * 60 * 60;
/// How long a certificate is valid. Those who hold its fingerprint must be told of the next one,
/// so it is long; Apple's systems take none that is valid for longer.
const DAYS: u64 = 825;

/// The names that are in every certificate.
const OWN: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A pair that the gateway makes for itself.
#[derive(Clone, Debug)]
pub(super) struct Generated {
    state: PathBuf,
    given: Vec<String>,
    host: Option<String>,
}

/// What came of looking after the pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// It is there, and does.
    Kept,
    /// There was none.
    First,
    /// Another one took the place of the one with this fingerprint.
    Again(Fingerprint, Because),
}

/// Why another certificate had to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// The one from before was valid until then.
    Expired(Date),
    /// A name that is asked for was not in it.
    Name(String),
}

impl Generated {
    /// A pair in the state folder for this host and the names that are asked for.
    pub(super) fn new(
        state: &Path,
        names: &[Box<str>],
        host: Option<&str>,
    ) -> Result<Self, TlsError> {
        let mut given = Vec::new();
        for name in names {
            if asked(name).is_none() {
                return Err(bad_name(state, name));
            }
            given.push(name.to_lowercase());
        }
        // What the host calls itself is nobody's mistake here: left out where it is no name.
        let host = host.map(str::to_lowercase);
        let host = host.filter(|host| asked(host).is_some());
        Ok(Generated {
            state: state.to_owned(),
            given,
            host,
        })
    }

    pub(super) fn files(&self) -> Files {
        Files {
            certificate: self.state.join(CERTIFICATE),
            key: self.state.join(KEY),
            made: true,
        }
    }

    /// Sees to it that there is a pair that is of use now. Whoever does the same at the same time
    /// gets the same pair.
    pub(super) fn ensure(&self, now: Date) -> Result<Made, TlsError> {
        let files = self.files();
        // The key is made first, so a certificate without a key has lost it, and that is told.
        if !files.certificate.exists() && !files.key.exists() {
            self.make_key(&files)?;
        }
        // One at a time looks and makes. A system that cannot lock has one gateway at a state
        // folder all the same, because the store is locked too.
        let _lock = self.lock();
        if !files.certificate.exists() {
            let made = self.make_certificate(&files, now)?;
            return match write(&files.certificate, &made) {
                Ok(()) => Ok(Made::First),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Made::Kept),
                Err(error) => Err(files.bad_certificate(Trouble::Unwritable(error.to_string()))),
            };
        }
        let pair = Pair::read(&files)?;
        let Some(because) = self.outdated(&pair, now) else {
            return Ok(Made::Kept);
        };
        let made = self.make_certificate(&files, now)?;
        let next = self.state.join(NEXT);
        // One that is there was left by somebody who did not come to the end.
        let _ = fs::remove_file(&next);
        write(&next, &made)
            .and_then(|()| fs::rename(&next, &files.certificate))
            .map_err(|error| files.bad_certificate(Trouble::Unwritable(error.to_string())))?;
        Ok(Made::Again(pair.fingerprint, because))
    }

    /// Why the certificate does not do any more. One that is not valid yet stays: it is the clock
    /// that is wrong, and another certificate would be wrong when the clock is right again. The
    /// name of the host is not asked for: in a container it is another one at each start.
    fn outdated(&self, pair: &Pair, now: Date) -> Option<Because> {
        if pair.validity.until < now {
            return Some(Because::Expired(pair.validity.until));
        }
        let missing = self.given.iter().find(|name| {
            let asked = asked(name);
            asked.is_some_and(|name| !pair.is_for(&name))
        });
        missing.map(|name| Because::Name(name.clone()))
    }

    fn make_key(&self, files: &Files) -> Result<(), TlsError> {
        let failed = |error: String| files.bad_key(Trouble::Unwritable(error));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map_err(|error| failed(error.to_string()))?;
        match keep(&files.key, &Secret::new(&key.serialize_pem())) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(failed(error.to_string()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// A new certificate for the key that is there: who pinned the key keeps it.
    fn make_certificate(&self, files: &Files, now: Date) -> Result<String, TlsError> {
        let (key, exposed) = files.read_key()?;
        if exposed {
            return Err(files.bad_key(Trouble::Exposed));
        }
        let unusable = || files.bad_key(Trouble::UnusableKey);
        let key = KeyPair::try_from(&key).map_err(|_| unusable())?;
        let mut names: Vec<String> = OWN.iter().map(|name| (*name).to_owned()).collect();
        for name in self.host.iter().chain(&self.given) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let all = names.join(", ");
        let mut params = CertificateParams::new(names).map_err(|_| bad_name(&self.state, &all))?;
        let mut serial = [0u8; 16];
        aws_lc_rs::rand::fill(&mut serial)
            .map_err(|_| files.bad_certificate(Trouble::Unwritable("no randomness".to_owned())))?;
        // Browsers refuse two certificates of one issuer with one number, and the number would
        // else follow from the key. It must not be negative.
        if let Some(first) = serial.first_mut() {
            *first = *first & 0x7f | 0x40;
        }
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "gw");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let time = |seconds: u64| {
            date_time_ymd(1970, 1, 1) + Duration::from_secs(Date::from_seconds(seconds).seconds())
        };
        // The clocks of others may be behind. The last second counts too.
        params.not_before = time(now.seconds().saturating_sub(DAY));
        params.not_after = time(now.seconds().saturating_add((DAYS - 1) * DAY - 1));
        let certificate = params.self_signed(&key).map_err(|_| unusable())?;
        // A name that no client would find in it, such as `*.com`, would be missing at each start.
        for name in &self.given {
            if !asked(name).is_some_and(|asked| is_for(certificate.der(), &asked)) {
                return Err(bad_name(&self.state, name));
            }
        }
        Ok(certificate.pem())
    }

    fn lock(&self) -> Option<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let file = options.open(self.state.join(LOCK)).ok()?;
        file.lock().ok()?;
        Some(file)
    }
}

/// That no certificate can be made for a name.
fn bad_name(state: &Path, name: &str) -> TlsError {
    TlsError {
        key: Key::Names,
        path: state.join(CERTIFICATE),
        trouble: Trouble::Name(name.to_owned()),
        kept: None,
    }
}

/// Writes a certificate as a whole or not at all.
fn write(path: &Path, pem: &str) -> io::Result<()> {
    keep(path, &Secret::new(pem))
}

/// What a client asks for that wants this name; for a wildcard, one of those that it stands for.
fn asked(name: &str) -> Option<ServerName<'static>> {
    if name.ends_with('.') {
        return None;
    }
    let name = match name.strip_prefix("*.") {
        Some(rest) if rest.parse::<std::net::IpAddr>().is_err() => format!("any.{rest}"),
        _ => name.to_owned(),
    };
    ServerName::try_from(name).ok()
}
