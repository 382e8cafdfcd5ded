//! `compatibility`: where releases read or answer the same request differently.
//!
//! The defaults are those of the newest release, or of an older one that is stricter. A
//! release's own values stand beside its policy, as `policies/openclaw/VERSION.yaml`; nothing
//! here names a release in code.

use serde::Deserialize;

use crate::facts::Client;
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
    /// How much of a URL is taken for an origin.
    pub origin_syntax: OriginSyntax,
    /// The build of the dashboard that is served, which a dashboard from the gateway's own
    /// origin must carry (2026.9); without one nothing is compared.
    pub control_ui_build: Option<Box<str>>,

    /// How far from now a device may have signed, in milliseconds, before or after.
    pub device_skew_ms: u64,
    /// Whether the shared secret counts in the field of the other mode, where its own field
    /// is not sent (2026.9.6).
    pub either_secret_field: bool,
    /// Whether a trusted proxy is believed that speaks from an address of this host
    /// (before 2026.9.6).
    pub proxy_on_own_address: bool,

    /// Which approved scopes cover a requested one.
    pub scope_rule: ScopeRule,
    /// Whether a role counts as approved only while it has a token that is not revoked
    /// (from 2026.4.10).
    pub roles_need_tokens: bool,
    /// How long a request waits for the owner, in milliseconds.
    pub request_ttl_ms: i64,

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
            origin_syntax: OriginSyntax::Strict,
            control_ui_build: None,
            device_skew_ms: 120_000,
            either_secret_field: false,
            proxy_on_own_address: false,
            scope_rule: ScopeRule::RoleBound,
            roles_need_tokens: true,
            request_ttl_ms: 86_400_000,
            pairing_details: PairingDetails::Retryable,
            hello_auth: HelloAuth::Method,
            hello_scopes: HelloScopes::Session,
        }
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
    /// How the schema's complaints are worded.
    SchemaWording {
        Constants "constants" "a word that is not listed fails against each constant (2026.3)",
        Enumerated "enumerated" "a word that is not listed is not one of the allowed values (2026.4)",
        Plain "plain" "the same, with `must not` in lower case (2026.9)",
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
