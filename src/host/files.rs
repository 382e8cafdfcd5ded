//! How many files this process may have open, since each connection is one, and how large one may be.

/// Lets the process have as many files open as its host allows, and says how many that are;
/// nothing where the system does not say.
#[cfg(unix)]
#[must_use]
pub fn raise_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Without it there is what there was.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current
}

/// Lets the process have as many files open as its host allows, and says how many that are;
/// nothing where the system does not say.
#[cfg(not(unix))]
#[must_use]
pub fn raise_limit() -> Option<u64> {
    None
}

/// The signal that a process gets when it writes to a file that may grow no further.
#[cfg(unix)]
#[must_use]
pub fn too_large() -> i32 {
    rustix::process::Signal::XFSZ.as_raw()
}
