//! Certificates for tests: made anew each time, valid when the test says, for the names it says.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::Certificates;
use crate::config::Tls;

/// A point in time in the years that samples are valid in.
pub(crate) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// A certificate with its key, in PEM.
pub(crate) struct Sample {
    pub(crate) certificate: String,
    pub(crate) der: Vec<u8>,
    pub(crate) key: String,
    pub(crate) key_der: Vec<u8>,
}

/// One for `localhost` and 127.0.0.1, valid from 2020 until 2080.
pub(crate) fn sample() -> Sample {
    valid(2020, 2080)
}

/// One that is valid from the beginning of a year until that of another.
pub(crate) fn valid(from: i32, until: i32) -> Sample {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    Sample {
        certificate: certificate.pem(),
        der: certificate.der().to_vec(),
        key: key.serialize_pem(),
        key_der: key.serialize_der(),
    }
}

/// Where a folder has its pair.
pub(crate) fn files(folder: &Path) -> (PathBuf, PathBuf) {
    (folder.join("gw.crt"), folder.join("gw.key"))
}

/// Writes a pair into a folder, the key for its owner alone.
pub(crate) fn write(folder: &Path, sample: &Sample) -> Tls {
    let (certificate, key) = files(folder);
    fs::write(&certificate, &sample.certificate).unwrap();
    fs::write(&key, &sample.key).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    }
    Tls::Files { certificate, key }
}

/// What a listener with this pair serves with.
pub(crate) fn open(folder: &Path, sample: &Sample) -> Certificates {
    let tls = write(folder, sample);
    Certificates::open(&tls, folder, None, now())
        .unwrap()
        .unwrap()
}
