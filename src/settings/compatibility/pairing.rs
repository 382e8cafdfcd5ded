//! What is written of devices, and when.

use serde::{Deserialize, Serialize};

use crate::facts::word::words;

/// `compatibility.pairing`: what is written of devices, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PairingRules {
    /// Which repeated requests keep the id of the one that waits.
    pub supersede: Supersede,
    /// What repeating a request does to how long it waits.
    pub repeat: Repeat,
    /// Whether an id that another one replaces is announced as rejected (2026.9).
    pub announce_superseded: bool,
    /// Whether a request says which ids it replaced, so that who has one of them is told the new
    /// one, and how it came where no address is known; and a refusal says what the request asks
    /// for by now, where an earlier connection asked for more. No release does.
    pub request_notes: bool,
    /// What is looked at before a request is approved.
    pub approval: Approval,
    /// Which scopes the tokens of an approval carry.
    pub approved_token: ApprovedToken,
    /// Whether an approval of the owner's replaces the tokens of the roles that it is for, and
    /// whatever a device was told before is worth nothing (up to 2026.9).
    pub approval_replaces_tokens: bool,
    /// Whether an approval for a role whose token was revoked brings back all that was approved
    /// for it before, whatever is asked for (up to 2026.9).
    pub approval_revives: bool,
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
    /// Whether a rotated token is told only to a session that a device token of the same device
    /// let in (2026.9).
    pub withhold_rotated: bool,
}

impl Default for PairingRules {
    fn default() -> Self {
        PairingRules {
            supersede: Supersede::Subset,
            repeat: Repeat::Refresh,
            announce_superseded: true,
            request_notes: true,
            approval: Approval::Everyone,
            approved_token: ApprovedToken::Kept,
            approval_replaces_tokens: false,
            approval_revives: false,
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
        Owner "owner" "that an owner who approves it holds its scopes; without asking nothing is looked at, so a node that is paired silently may get `operator.admin` (2026.3)",
        Everyone "everyone" "that the owner holds its scopes or, without asking, the connection itself asks for them, and that they belong to its roles; that node then waits for the owner (from 2026.4.10)",
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
        Managed "managed" "the same as to its own: a phone with `operator.pairing` may remove your laptop (2026.3)",
        Listed "listed" "it sees them, and approves and rejects what they ask for; that phone may pair another laptop, and not remove yours (2026.4.15)",
        Hidden "hidden" "nothing: that phone does not see that there is a laptop (from 2026.4.22)",
    }
}

words! {
    /// Which list of a record a requested scope has to be covered by. They differ where a
    /// session wrote what it had, or where a file is older than `approvedScopes`.
    ApprovedBaseline {
        Connected "scopes" "`scopes`, and `approvedScopes` where it is missing (up to 2026.3)",
        Approved "approved-scopes" "`approvedScopes`, and `scopes` where it is missing (2026.4 on)",
    }
}
