//! What connections are judged by at one moment: policy and settings together.

use crate::admission::Gate;
use crate::policy::Policy;
use crate::settings::Settings;

/// A policy with settings, as they were put in force. Another policy is another snapshot, so
/// that no connection is judged by the half of each.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) policy: Policy,
    pub(super) settings: Settings,
    /// When it came into force, in Unix milliseconds.
    pub(super) since_ms: i64,
}

impl Snapshot {
    pub(super) fn gate(&self) -> Gate<'_> {
        Gate {
            policy: &self.policy,
            settings: &self.settings,
        }
    }
}
