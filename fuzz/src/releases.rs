//! Settings with the constants of each release, and with those of none.

use std::sync::LazyLock;

use gw::facts::Facts;
use gw::facts::assumptions::{Assumption, broken};
use gw::settings::compatibility::Approval;
use gw::settings::{Compatibility, Settings};
use serde_json::{Value, json};

use super::scenario::TOKEN;

/// The constants of each release, as they are shipped.
const CONSTANTS: [&str; 4] = [
    include_str!("../../policies/openclaw/2026.3.23.yaml"),
    include_str!("../../policies/openclaw/2026.4.15.yaml"),
    include_str!("../../policies/openclaw/2026.4.22.yaml"),
    include_str!("../../policies/openclaw/2026.9.6.yaml"),
];

/// The constants as settings have them, those of no release first.
pub(crate) static COMPATIBILITY: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let of = |text: &&str| serde_yaml::from_str(text).unwrap();
    let releases = CONSTANTS.iter().map(of);
    std::iter::once(json!({})).chain(releases).collect()
});

/// Settings with each of them, and with the test token.
pub(crate) static SETTINGS: LazyLock<Vec<Settings>> = LazyLock::new(|| {
    let of = |compatibility: &Value| {
        let settings = json!({ "auth": { "token": TOKEN }, "compatibility": compatibility });
        serde_json::from_value(settings).unwrap()
    };
    COMPATIBILITY.iter().map(of).collect()
});

/// The assumptions that hold under the constants of the newest release, and of some others do not.
const ROLES: &str =
    "every known scope is an operator's: a node that asks for one asks outside its role";
const CLIENTS: &str =
    "the client behind a trusted proxy is known and not loopback; behind any other it is not known";

/// Whether the constants are of a release that lets an assumption be broken: one that asks only an
/// owner about roles, or believes a proxy that names a client on this host.
pub(crate) fn is_of_a_release(broken: &Assumption, constants: &Compatibility) -> bool {
    let by_owner = constants.pairing.approval == Approval::Owner;
    broken.says == ROLES && by_owner || broken.says == CLIENTS && constants.loopback_clients
}

/// Whether facts of a connection go together, as far as the constants let them.
pub(crate) fn goes_together(facts: &Facts, constants: &Compatibility) -> bool {
    broken(facts).all(|it| is_of_a_release(it, constants))
}
