//! Work that gives way: which of this process' threads are served first where there are fewer
//! processors than threads that have something to do. What the work is is not known here.

/// How far a thread gives way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivesWay {
    /// Somebody waits for it, and others are served meanwhile: it has a quarter or a third of what
    /// one of them has.
    Some,
    /// Nobody waits for it: it has what nobody else wants, or a little more.
    Most,
}

/// Has this thread give way to others until it ends; what it did before does not come back. Where
/// the system knows this of whole processes only, nothing happens.
pub fn give_way(how_far: GivesWay) {
    let niceness = match how_far {
        GivesWay::Some => 5,
        GivesWay::Most => 19,
    };
    if cfg!(target_os = "linux") {
        // Without it there is what there was.
        let _ = rustix::process::nice(niceness);
    }
}
