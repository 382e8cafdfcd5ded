//! What the program asks of the host it runs on: its environment, secrets in files, whether files
//! and folders are its user's alone, the token that it makes for itself, that nobody else serves
//! from its state folder, who is at the other end of a socket, whether this is a container, and that
//! work of its own gives way.

pub mod claim;
pub mod container;
pub mod files;
pub mod identity;
pub mod interface;
pub mod own;
pub mod peer;
pub mod priority;
#[cfg(target_os = "linux")]
mod sock_diag;
#[cfg(target_os = "linux")]
mod socket_table;
pub mod token;
pub mod unavailable;
pub mod user;

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use self::container::{Container, Network};
use self::interface::Interface;
use crate::config::{Host, SecretFile, Surroundings};
use crate::secret::Secret;

/// The largest file with a secret, in bytes.
const MAX_SECRET: u64 = 4_096;

/// The largest file with constants, in bytes: there is one short line for each.
const MAX_CONSTANTS: u64 = 1 << 16;

/// This host.
#[derive(Clone, Copy, Debug)]
pub struct Local {
    /// Finds what is part of the program, by `built-in:NAME`.
    pub built_in: fn(&str) -> Option<&'static str>,
}

impl Surroundings for Local {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn is_root(&self) -> bool {
        is_root()
    }

    fn secret_file(&self, path: &Path) -> Result<SecretFile, String> {
        let (text, mode) = read(path, MAX_SECRET, Whose::Anybodys)?;
        let secret = Secret::new(&text);
        Ok(SecretFile { secret, mode })
    }

    fn constants(&self, path: &str) -> Result<String, String> {
        if path.starts_with("built-in:") {
            let text = (self.built_in)(path).ok_or("there is no such release")?;
            return Ok(text.to_owned());
        }
        read(Path::new(path), MAX_CONSTANTS, Whose::Anybodys).map(|(text, _)| text)
    }
}

/// What this host says to `listen.bind`.
///
/// A container counts if its network is known to be its own: there, loopback is reached by nobody
/// outside, and what is published is for the operator to say. With the network of its host, every
/// address would be open to whomever the host's are, and loopback is reached as on the host. A
/// container in a virtual machine of its own looks like that too, and needs `bind: lan`.
#[must_use]
pub fn listening(container: Option<&Container>, interfaces: &[Interface]) -> Host {
    Host {
        container: container.is_some_and(|container| container.network == Network::Own),
        tailnet: interface::tailnet(interfaces),
    }
}

/// Whose a file may be.
#[derive(Clone, Copy, Debug)]
enum Whose {
    /// This user's, at this very path: the gateway made it.
    Ours,
    /// That of whoever the operator has named: secrets are often reached over links.
    Anybodys,
}

/// Reads a text of at most `limit` bytes, with the mode of the file that was read.
fn read(path: &Path, limit: u64, whose: Whose) -> Result<(String, Option<u32>), String> {
    let said = |error: std::io::Error| {
        if error.kind() == ErrorKind::NotFound {
            "there is no such file".to_owned()
        } else if error.kind() == ErrorKind::PermissionDenied {
            "it may not be opened".to_owned()
        } else {
            error.to_string()
        }
    };
    let file = match whose {
        Whose::Ours => own::open(File::options().read(true), path).map_err(said)?,
        Whose::Anybodys => {
            // Opening a pipe would wait for somebody to write into it.
            if !fs::metadata(path).map_err(said)?.is_file() {
                return Err("it is no file".to_owned());
            }
            File::open(path).map_err(said)?
        }
    };
    let metadata = file.metadata().map_err(said)?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(said)?;
    if bytes.len() as u64 > limit {
        return Err(format!("it is larger than {limit} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    Ok((text, mode(&metadata)))
}

#[cfg(unix)]
fn mode(metadata: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    Some(metadata.mode())
}

#[cfg(not(unix))]
fn mode(_: &std::fs::Metadata) -> Option<u32> {
    None
}

#[cfg(unix)]
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_network_of_its_own_opens_a_container() {
        let opens = |network| {
            let container = Container {
                sign: "there is `/.dockerenv`".to_owned(),
                network,
            };
            listening(Some(&container), &[]).container
        };
        assert!(opens(Network::Own));
        assert!(!opens(Network::Host));
        assert!(!opens(Network::Unknown));
        assert_eq!(listening(None, &[]), Host::default());
    }
}
