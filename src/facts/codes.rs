//! The codes of all facts with closed vocabularies at once, for an index over many of them.
//!
//! They are read one behind the other, without asking the table of attributes for each: what is
//! short and fixed becomes a few wide moves.

use super::attributes::AttributeId;
use super::{Facts, Kind};

/// As many places as there are.
const MOST: usize = 64;

/// The code of each attribute that has any, at its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Codes([u8; MOST]);

/// Which attribute stands at which place, and its code.
macro_rules! codes {
    ($($name:literal $code:expr,)*) => {
        const NAMES: &[&str] = &[$($name,)*];

        impl Codes {
            /// The codes of some facts.
            #[inline]
            pub(crate) fn of(facts: &Facts) -> Self {
                let mut codes = [0; MOST];
                let all = [$($code(facts),)*];
                for (to, from) in codes.iter_mut().zip(all) {
                    *to = from;
                }
                Codes(codes)
            }
        }
    };
}

/// The code of a flag, or of a word.
macro_rules! code {
    (flag $($field:ident).+) => { |facts: &Facts| u8::from(facts.$($field).+) };
    (word $($field:ident).+) => { |facts: &Facts| facts.$($field).+.code() };
    (class $field:ident) => { |facts: &Facts| facts.$field.class().code() };
}

// In the order in which the compiler lays them out, as far as it can be known: then what is next to each
// other is moved together. What is found in an enum comes last.
codes! {
    "client" code!(word client),
    "auth-failure" code!(word auth_failure),
    "auth" code!(word auth),
    "mode" code!(word mode),
    "device" code!(word device),
    "pairing" code!(word pairing),
    "pending" code!(word pending),
    "peer-uid" code!(word peer_uid),
    "transport" code!(word transport),
    "ingress" code!(word ingress),
    "setting.allow-insecure-auth" code!(flag setting.allow_insecure_auth),
    "setting.disable-device-auth" code!(flag setting.disable_device_auth),
    "setting.host-header-origin" code!(flag setting.host_header_origin),
    "setting.auto-approve-local" code!(flag setting.auto_approve_local),
    "setting.auth-mode" code!(word setting.auth_mode),
    "setting.bind" code!(word setting.bind),
    "tls" code!(flag tls),
    "same-host" code!(flag same_host),
    "peer-is-own" code!(flag peer_is_own),
    "peer-is-proxy" code!(flag peer_is_proxy),
    "same-origin" code!(flag same_origin),
    "origin-allowed" code!(flag origin_allowed),
    "forwarded" code!(flag forwarded),
    "forwarded-rfc" code!(flag forwarded_rfc),
    "forwarded-for" code!(flag forwarded_for),
    "forwarded-host" code!(flag forwarded_host),
    "forwarded-proto" code!(flag forwarded_proto),
    "forwarded-real-ip" code!(flag forwarded_real_ip),
    "forwarded-other" code!(flag forwarded_other),
    "forwarded-tailscale" code!(flag forwarded_tailscale),
    "proxy-trace" code!(flag proxy_trace),
    "node-network" code!(flag node_network),
    "role" code!(word role),
    "unknown-scope" code!(flag unknown_scope),
    "outside-role" code!(flag outside_role),
    "secret-sent" code!(flag secret_sent),
    "role-upgrade" code!(flag role_upgrade),
    "scope-upgrade" code!(flag scope_upgrade),
    "metadata-upgrade" code!(flag metadata_upgrade),
    "peer" code!(class peer),
    "client-ip" code!(class client_ip),
    "host" code!(class host),
    "origin" code!(class origin),
}

/// The place of what is found for sets, which have no codes of their own: the last one.
pub(crate) const SETS: u8 = 63;
const _: () = assert!(NAMES.len() < MOST);

impl Codes {
    /// Puts down a code that is found for the sets.
    #[inline]
    pub(crate) fn put_sets(&mut self, code: u8) {
        let [.., place] = &mut self.0;
        *place = code;
    }

    /// The code at a place.
    #[inline]
    pub(crate) fn at(&self, place: u8) -> u8 {
        // There are as many places as this can say.
        self.0.get(usize::from(place) % MOST).copied().unwrap_or(0)
    }
}

/// The place of an attribute, and how many codes there are for it; nothing for sets and texts.
pub(crate) fn place(attribute: AttributeId) -> Option<(u8, usize)> {
    let row = attribute.row();
    let count = match row.kind {
        Kind::Flag { .. } => 2,
        Kind::Enum { words, .. } | Kind::Address { words, .. } | Kind::Header { words, .. } => {
            words.len()
        }
        Kind::Set { .. } | Kind::Text { .. } => return None,
    };
    let place = NAMES.iter().position(|name| *name == row.name)?;
    Some((u8::try_from(place).ok()?, count))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decide::tests::facts;

    proptest! {
        /// Whoever adds an attribute adds it here as well.
        #[test]
        fn every_attribute_with_codes_has_its_place(facts in facts()) {
            let codes = Codes::of(&facts);
            for id in AttributeId::all() {
                let code = match id.row().kind {
                    Kind::Flag { get, .. } => u8::from(get(&facts)),
                    Kind::Enum { get, .. } | Kind::Header { class: get, .. } => get(&facts),
                    Kind::Address { get, .. } => get(&facts).class().code(),
                    Kind::Set { .. } | Kind::Text { .. } => continue,
                };
                let (place, count) = place(id).unwrap_or_else(|| panic!("{}", id.row().name));
                prop_assert_eq!(codes.at(place), code, "{}", id.row().name);
                prop_assert!(usize::from(code) < count);
            }
        }
    }
}
