//! What was decided, by which clause, and by which law that no policy can lift.

use crate::compile::ClauseId;
use crate::facts::word::words;
use crate::verdict::Verdict;

words! {
    /// What holds for every policy, and is applied after all of it.
    Law {
        Barred "barred" "an authentication or a device proof that failed is refused",
        DeviceRequired "device-required" "without a device there is nothing to keep a request for",
        NothingToRecord "nothing-to-record" "without a device nothing can be recorded",
        OutsideRole "outside-role" "a scope that is not the role's cannot be approved, so nothing is silent",
        RequestWaits "request-waits" "an earlier request of this device waits for the owner, so nothing is silent",
    }
}

/// What was decided of a connection. It is a plain value, and nothing more is needed to
/// carry it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// The clause whose answer it is: the deciding rule, the default, or the guard that
    /// restricted it.
    pub by: ClauseId,
    /// The first rule that matched, or the default.
    pub rule: ClauseId,
    /// The law that changed the clause's answer, if one did.
    pub law: Option<Law>,
    /// The trial that would have decided, with what would have come of it.
    pub trial: Option<(ClauseId, Verdict)>,
}
