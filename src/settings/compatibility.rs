//! `compatibility`: where releases read or answer the same request differently.
//!
//! The defaults are those of the newest release, or of an older one that is stricter. A
//! release's own values stand beside its policy, as `policies/openclaw/VERSION.yaml`; nothing
//! here names a release in code.

use serde::Deserialize;

use crate::facts::Client;
use crate::facts::forwarding::ForwardingRule;
use crate::facts::metadata::MetadataRule;
use crate::facts::origin::OriginSyntax;
use crate::facts::scopes::ScopeRule;
use crate::facts::word::words;

/// What follows one release or another.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Compatibility {
    /// Which protocol versions are spoken.
    pub protocol: Protocol,
    /// Client ids that the schema does not know, although this crate does.
    pub unknown_clients: Vec<Client>,
    /// How the schema's complaints are worded.
    pub schema_wording: SchemaWording,
    /// How much the refusals say, other than those that wait for the owner.
    pub refusal_wording: RefusalWording,
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
    /// Whether wrong setup codes count (2026.9).
    pub count_setup_codes: bool,
    /// Whether a loopback client that is never locked out has to wait for its refusal
    /// (2026.9).
    pub delay_loopback: bool,

    /// Which approved scopes cover a requested one.
    pub scope_rule: ScopeRule,
    /// Whether a role counts as approved only while it has a token that is not revoked
    /// (from 2026.4.10).
    pub roles_need_tokens: bool,
    /// When a device that describes itself otherwise than when it was approved is another one.
    pub metadata_rule: MetadataRule,
    /// How long a request waits for the owner, in milliseconds.
    pub request_ttl_ms: i64,
    /// What is written of devices, and when.
    pub pairing: PairingRules,
    /// Whether a node is refused whose pairing was passed over: nobody would know whose
    /// commands it serves (2026.9).
    pub nodes_need_records: bool,

    /// How much a client is told of what it has to wait for.
    pub pairing_details: PairingDetails,
    /// What the answer to an admitted client says of its authentication.
    pub hello_auth: HelloAuth,
    /// Which scopes that answer names.
    pub hello_scopes: HelloScopes,
}

impl Default for Compatibility {
    fn default() -> Self {
        Compatibility {
            protocol: Protocol::default(),
            unknown_clients: Vec::new(),
            schema_wording: SchemaWording::Plain,
            refusal_wording: RefusalWording::Guided,
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
            setup_code_first: true,
            discard_flagged_device: false,
            always_limited: true,
            shared_failures: SharedFailures::Settled,
            count_by_origin: true,
            count_setup_codes: true,
            delay_loopback: true,
            scope_rule: ScopeRule::RoleBound,
            roles_need_tokens: true,
            metadata_rule: MetadataRule::Exact,
            request_ttl_ms: 86_400_000,
            pairing: PairingRules::default(),
            nodes_need_records: true,
            pairing_details: PairingDetails::Retryable,
            hello_auth: HelloAuth::Method,
            hello_scopes: HelloScopes::Session,
        }
    }
}

/// `compatibility.pairing`: what is written of devices, and when (reference 6.7, 7.2 to 7.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PairingRules {
    /// Which repeated requests keep the id of the one that waits.
    pub supersede: Supersede,
    /// What repeating a request does to how long it waits.
    pub repeat: Repeat,
    /// Whether an id that another one replaces is announced as rejected (2026.9).
    pub announce_superseded: bool,
    /// What is looked at before a request is approved.
    pub approval: Approval,
    /// Which scopes the tokens of an approval carry.
    pub approved_token: ApprovedToken,
    /// Whether a token is good only while the record approves all that it carries
    /// (from 2026.4.15).
    pub token_within_approval: bool,
    /// Whether a session that the policy lets past pairing gets a token for a role that the
    /// record does not have (2026.3).
    pub token_without_role: bool,
    /// Whether the tokens of pages that came in by the shared secret die with it (2026.9).
    pub page_tokens_follow_secret: bool,
    /// Whether an admitted session leaves its role and scopes in the record, approved or not
    /// (2026.3).
    pub sessions_leave_scopes: bool,
    /// Whether a role that needs no asking is recorded, and with it what was asked for, before
    /// the owner is asked about the scopes (2026.4). The next connection then has them.
    pub role_before_scopes: bool,
    /// Whether a list of scopes without any is written, or left out (2026.3).
    pub empty_lists: bool,
    /// Whether a record says who approved it, and when it was last connected (2026.9).
    pub provenance: bool,
    /// Whether a node host that names no device family gets one by its platform (2026.9).
    pub node_host_family: bool,
    /// Where it is kept that a node wants its commands approved.
    pub node_surface: NodeSurface,
    /// Whether removing a device removes the request that waits for it (from 2026.4.20).
    pub remove_requests: bool,
    /// What a session that a device token admitted may do to other devices, without `admin`.
    pub other_devices: OtherDevices,
    /// Whether only `admin` manages what is not an operator (2026.9).
    pub roles_need_admin: bool,
    /// Whether a rotated token is told only to a session of that very token (2026.9).
    pub withhold_rotated: bool,
}

impl Default for PairingRules {
    fn default() -> Self {
        PairingRules {
            supersede: Supersede::Subset,
            repeat: Repeat::Refresh,
            announce_superseded: true,
            approval: Approval::Everyone,
            approved_token: ApprovedToken::Kept,
            token_within_approval: true,
            token_without_role: false,
            page_tokens_follow_secret: true,
            sessions_leave_scopes: false,
            role_before_scopes: false,
            empty_lists: true,
            provenance: true,
            node_host_family: true,
            node_surface: NodeSurface::Record,
            remove_requests: true,
            other_devices: OtherDevices::Hidden,
            roles_need_admin: true,
            withhold_rotated: true,
        }
    }
}

words! {
    /// Which repeated requests keep the id of the one that waits.
    Supersede {
        Snapshot "snapshot" "one that asks for exactly the same; any other gets a new id (2026.3 to 2026.5)",
        Subset "subset" "one that asks for no more: whoever approves it has seen all of it (from 2026.7)",
    }
}

words! {
    /// What repeating a request does to how long it waits.
    Repeat {
        Restart "restart" "it counts as made anew (2026.3)",
        Ignore "ignore" "nothing: its id changes when the time is over (2026.4)",
        Refresh "refresh" "it waits anew, and still says when it was made (2026.9)",
    }
}

words! {
    /// What is looked at before a request is approved.
    Approval {
        Owner "owner" "that the owner holds its scopes; a policy approves all (2026.3)",
        Everyone "everyone" "that the owner or the connection holds its scopes, and that they belong to its roles (from 2026.4.10)",
    }
}

words! {
    /// Which scopes the tokens of an approval carry.
    ApprovedToken {
        Asked "asked" "all that are asked for, whatever the role (2026.3)",
        OfRole "of-role" "those asked for that belong to the role (2026.4)",
        Kept "kept" "the same, and what the earlier token carried (2026.9)",
    }
}

words! {
    /// Where it is kept that a node wants its commands approved.
    NodeSurface {
        None "none" "nowhere: nodes serve what their platform allows (2026.3)",
        Request "request" "in a request of its own (2026.4)",
        Record "record" "in the record of the device (2026.9)",
    }
}

words! {
    /// What a session that a device token admitted may do to other devices, without `admin`.
    OtherDevices {
        Managed "managed" "the same as to its own (2026.3)",
        Listed "listed" "it sees them, and approves and rejects what they ask for (2026.4.15)",
        Hidden "hidden" "nothing (from 2026.4.22)",
    }
}

/// `compatibility.protocol`: which versions of the protocol are spoken (reference 1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Protocol {
    /// The newest, which gives the schema too: 3 or 4.
    pub current: u64,
    /// The oldest that any client may speak.
    pub oldest: u64,
    /// The oldest that a probe, or a node in the role node, may speak.
    pub oldest_for_probes_and_nodes: u64,
}

impl Default for Protocol {
    fn default() -> Self {
        Protocol {
            current: 4,
            oldest: 3,
            oldest_for_probes_and_nodes: 3,
        }
    }
}

words! {
    /// When a wrong shared secret counts against the address that sent it.
    SharedFailures {
        Hidden "hidden" "not where a device token, or the secret as one, is tried next (2026.3)",
        Counted "counted" "at once; a device token that holds clears the count (2026.4)",
        Settled "settled" "when the device token that is tried next fails too (2026.9)",
    }
}

words! {
    /// How the schema's complaints are worded.
    SchemaWording {
        Constants "constants" "a word that is not listed fails against each constant (up to 2026.4.15)",
        Enumerated "enumerated" "a word that is not listed is not one of the allowed values (2026.4.22)",
        Plain "plain" "the same, with `must not` in lower case (2026.9)",
    }
}

words! {
    /// How much the refusals say, other than those that wait for the owner.
    RefusalWording {
        Brief "brief" "a version mismatch names the version that is spoken here (2026.3, 2026.4)",
        Guided "guided" "also the versions that the client spoke, what helps a client of this host, and when to try again (2026.9)",
    }
}

words! {
    /// How much a client is told of what it has to wait for.
    PairingDetails {
        Brief "brief" "the reason and the request id (2026.3)",
        Full "full" "also what it asks for, what was approved, and a hint (from 2026.4.20)",
        Retryable "retryable" "also whether to go on trying by itself (2026.9)",
    }
}

words! {
    /// What the answer to an admitted client says of its authentication.
    HelloAuth {
        Issued "issued" "nothing, unless a device token goes with it (up to 2026.4.15)",
        Always "always" "role and scopes (from 2026.4.18)",
        Method "method" "role, scopes, and the authentication that held (2026.9)",
    }
}

words! {
    /// Which scopes the answer to an admitted client names.
    HelloScopes {
        Token "token" "those of the device token, where one goes with it (up to 2026.4)",
        Session "session" "those of this very connection (2026.9)",
    }
}
