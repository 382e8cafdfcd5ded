//! What a configuration asks of the host that it is read on.

use std::path::Path;

use crate::secret::Secret;

/// The environment and the files of a host, as far as a configuration names them.
pub trait Surroundings {
    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;

    /// Whether the program runs as root.
    fn is_root(&self) -> bool;

    /// The secret in a file.
    ///
    /// # Errors
    ///
    /// Why it cannot be read, in words that go on after "cannot be read: ".
    fn secret_file(&self, path: &Path) -> Result<SecretFile, String>;

    /// The text of constants: a file, or `built-in:NAME`.
    ///
    /// # Errors
    ///
    /// Why it cannot be read, in words that go on after "cannot be read: ".
    fn constants(&self, path: &str) -> Result<String, String>;
}

/// A file that holds a secret.
#[derive(Clone, Debug)]
pub struct SecretFile {
    /// What it holds.
    pub secret: Secret,
    /// Who may do what with it, as a unix mode; nothing where the system has no modes.
    pub mode: Option<u32>,
}
