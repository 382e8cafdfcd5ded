//! `compatibility`: where releases read or answer the same request differently.
//!
//! A default is the newest release's value, or a stricter one; but protocol 3 is spoken too, a
//! request waits a day, no build of the dashboard is asked for, a page of this host that fails waits
//! and is not locked out, and a device that is known is counted by its key. A release's own values
//! stand beside its policy, as `policies/openclaw/VERSION.yaml`; nothing here names a release in code.
//! The tables of `docs/settings.md` are made of both.

mod answers;
mod limits;
mod pairing;
mod protocol;

use serde::{Deserialize, Serialize};

use crate::facts::Client;
use crate::facts::forwarding::ForwardingRule;
use crate::facts::metadata::MetadataRule;
use crate::facts::origin::OriginSyntax;
use crate::facts::scopes::ScopeRule;

pub use answers::{HelloAuth, HelloScopes, PairingDetails, RefusalWording};
pub use limits::SharedFailures;
pub use pairing::{
    Approval, ApprovedBaseline, ApprovedToken, NodeSurface, OtherDevices, PairingRules, Repeat,
    Supersede,
};
pub use protocol::{Protocol, SchemaWording};

/// What follows one release or another.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Compatibility {
    /// Which protocol versions are spoken.
    pub protocol: Protocol,
    /// Client ids that the schema does not know, although this crate does.
    pub unknown_clients: Vec<Client>,
    /// How the schema's complaints are worded.
    pub schema_wording: SchemaWording,
    /// How much of a URL is taken for an origin.
    pub origin_syntax: OriginSyntax,
    /// The build of the dashboard that is served, which a dashboard from the gateway's own
    /// origin must carry (2026.9); without one nothing is compared.
    pub control_ui_build: Option<Box<str>>,
    /// Which headers show that a request was forwarded.
    pub forwarding: ForwardingRule,
    /// Whether a trusted proxy is believed that names a client on this very host
    /// (before 2026.9).
    pub loopback_clients: bool,

    /// How far from now a device may have signed, in milliseconds, before or after.
    pub device_skew_ms: u64,
    /// Whether the shared secret counts in the field of the other mode, where its own field
    /// is not sent (2026.9.6).
    pub either_secret_field: bool,
    /// Whether a trusted proxy is believed that speaks from an address of this host
    /// (before 2026.9.6).
    pub proxy_on_own_address: bool,
    /// Whether a trusted proxy is believed that speaks over loopback, whatever
    /// `auth.trustedProxy.allowLoopback` says (before 2026.4.5).
    pub proxy_on_loopback: bool,
    /// Whether, in the mode `trusted-proxy`, a client of this very host may come in by the
    /// configured password (from 2026.4.27).
    pub password_beside_proxy: bool,
    /// Whether a device token is good although the record holds another key. The key makes
    /// the id, so such a record was written by hand.
    pub token_of_another_key: bool,
    /// Whether a page's device token is good only where the record says which login issued it
    /// (2026.9).
    pub page_tokens_need_issuer: bool,
    /// Whether a device token that carries too little is told apart from a wrong one
    /// (2026.9).
    pub tell_scope_mismatch: bool,
    /// Whether a client that has proved a secret is told by which line of the policy it is
    /// refused, as `rule` in the details. No release of OpenClaw has such lines.
    pub tell_rule: bool,
    /// Whether a setup code is looked at although the shared secret was right
    /// (from 2026.4.10).
    pub setup_code_first: bool,
    /// Whether `controlUi.dangerouslyDisableDeviceAuth` has the devices of the dashboard and
    /// the terminal interface passed over, as if none had been sent (before 2026.9).
    pub discard_flagged_device: bool,

    /// Whether clients other than browsers are limited where `auth.rateLimit` is not set
    /// (from 2026.7).
    pub always_limited: bool,
    /// When a wrong shared secret counts against the address.
    pub shared_failures: SharedFailures,
    /// Whether each page on this host is counted by itself; else all are counted together
    /// (before 2026.4.5).
    pub count_by_origin: bool,
    /// Whether a device that is known, and has proved its key, is counted by that key, wherever it
    /// comes from: nobody else can keep it out, and it keeps nobody else out (no release).
    pub count_by_device: bool,
    /// Whether wrong setup codes count (2026.9).
    pub count_setup_codes: bool,
    /// Whether a credential that holds makes forgotten what failed before at the address that it
    /// came from (every release); then whoever holds one can go on guessing another.
    pub success_forgives: bool,
    /// Whether a loopback client that is never locked out has to wait for its refusal
    /// (2026.9).
    pub delay_loopback: bool,
    /// Whether a page that this host serves, in a browser on it, waits for its refusal likewise
    /// and is not locked out (no release).
    pub delay_own_pages: bool,

    /// Which approved scopes cover a requested one.
    pub scope_rule: ScopeRule,
    /// Which list of a record a requested scope has to be covered by.
    pub approved_baseline: ApprovedBaseline,
    /// Whether a role counts as approved only while it has a token that is not revoked
    /// (from 2026.4.10).
    pub roles_need_tokens: bool,
    /// When a device that describes itself otherwise than when it was approved is another one.
    pub metadata_rule: MetadataRule,
    /// How long a request waits for the owner, in milliseconds.
    pub request_ttl_ms: i64,
    /// Whether a node is refused whose pairing was passed over: nobody would know whose
    /// commands it serves (2026.9).
    pub nodes_need_records: bool,

    /// How much the refusals say, other than those that wait for the owner.
    pub refusal_wording: RefusalWording,
    /// How much a client is told of what it has to wait for.
    pub pairing_details: PairingDetails,
    /// Whether the close reason says less where the id of the request would not fit else. Releases
    /// cut it in the middle of the id, and some clients show nothing else.
    pub whole_request_id: bool,
    /// What the answer to an admitted client says of its authentication.
    pub hello_auth: HelloAuth,
    /// Which scopes that answer names.
    pub hello_scopes: HelloScopes,

    /// What is written of devices, and when.
    pub pairing: PairingRules,
}

impl Default for Compatibility {
    fn default() -> Self {
        Compatibility {
            protocol: Protocol::default(),
            unknown_clients: Vec::new(),
            schema_wording: SchemaWording::Plain,
            origin_syntax: OriginSyntax::Strict,
            control_ui_build: None,
            forwarding: ForwardingRule::Any,
            loopback_clients: false,
            device_skew_ms: 120_000,
            either_secret_field: false,
            proxy_on_own_address: false,
            proxy_on_loopback: false,
            password_beside_proxy: false,
            token_of_another_key: false,
            page_tokens_need_issuer: true,
            tell_scope_mismatch: true,
            tell_rule: true,
            setup_code_first: true,
            discard_flagged_device: false,
            always_limited: true,
            shared_failures: SharedFailures::Counted,
            count_by_origin: true,
            count_by_device: true,
            count_setup_codes: true,
            success_forgives: false,
            delay_loopback: true,
            delay_own_pages: true,
            scope_rule: ScopeRule::RoleBound,
            approved_baseline: ApprovedBaseline::Approved,
            roles_need_tokens: true,
            metadata_rule: MetadataRule::Exact,
            request_ttl_ms: 86_400_000,
            nodes_need_records: true,
            refusal_wording: RefusalWording::Guided,
            pairing_details: PairingDetails::Retryable,
            whole_request_id: true,
            hello_auth: HelloAuth::Method,
            hello_scopes: HelloScopes::Session,
            pairing: PairingRules::default(),
        }
    }
}

#[cfg(test)]
mod tests;
