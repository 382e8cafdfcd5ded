//! Whether a policy lets the owner in to approve others: the connections that the owner's tools
//! make ([`reach`]), decided before anybody makes one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;

use serde_json::{Value, json};

use super::{constants, load, reach};
use crate::client::{Device, Knock};
use crate::config::Config;
use crate::decide::{Decision, decide};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::facts::scopes::covers;
use crate::facts::{AuthMode, PeerUid, Role, Scope, Transport};
use crate::handshake::{Challenge, Handshake, Http, Socket, observe};
use crate::lang::checked;
use crate::pairing::Standing;
use crate::pairing::store::{Among, Store};
use crate::policy::Policy;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::wire::{Schema, connect};

/// The line of a policy that lets the user in who runs the gateway, and nobody else.
pub(super) const RULE: &str = "[owner] transport=unix and peer-uid=same-user and no-origin and not forwarded and not proxy-trace → approve";

/// A secret of a gateway that has not made its own yet.
const STAND_IN: &str = "stands in for the token that is made";

/// A key for a device that nobody has: 32 bytes without a one among them.
const SEED: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// When these connections are made, in Unix milliseconds: any time will do.
const NOW_MS: u64 = 1_770_000_000_000;
const NONCE: &str = "nonce";

/// Who comes in by a policy to approve others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WayIn {
    /// The owner, whatever is remembered.
    Owner,
    /// Who is paired already with all that it takes.
    Paired,
    /// Nobody.
    Nobody,
}

/// One connection of the owner's tools.
#[derive(Clone, Copy)]
struct Coming {
    socket: bool,
    /// Whether it brings a device and the secret; else nothing.
    proof: bool,
    paired: bool,
}

/// Who comes in by a policy, and what it decides of the user who runs the gateway at its socket.
pub(super) fn way_in(policy: &Policy, settings: &Settings) -> (WayIn, Option<Decision>) {
    let settings = with_secret(settings);
    let may = |coming| decided(policy, &settings, coming).is_some_and(|(_, may)| may);
    let at_socket = Coming {
        socket: true,
        proof: false,
        paired: false,
    };
    let others = |paired| {
        [true, false].map(|socket| Coming {
            socket,
            proof: true,
            paired,
        })
    };
    let found = decided(policy, &settings, at_socket);
    let way = if found.is_some_and(|(_, may)| may) || others(false).into_iter().any(may) {
        WayIn::Owner
    } else if others(true).into_iter().any(may) {
        WayIn::Paired
    } else {
        WayIn::Nobody
    };
    (way, found.map(|(decision, _)| decision))
}

/// Whether the policy that a configuration names pairs the owner's tools over loopback, unpaired as
/// they are, with all that they could want.
pub(super) fn is_paired_silently(config: &Config) -> bool {
    let Ok(policy) = load::policy(&config.policy, false) else {
        return false;
    };
    let settings = with_secret(&constants::settings(config));
    let over_loopback = Coming {
        socket: false,
        proof: true,
        paired: false,
    };
    decided(&policy, &settings, over_loopback).is_some_and(|(_, may)| may)
}

/// What is wrong with a policy under which the owner cannot approve.
pub(super) fn warning(policy: &Policy, settings: &Settings) -> Option<Diagnostic> {
    let (way, decision) = way_in(policy, settings);
    let message = match way {
        WayIn::Owner => return None,
        WayIn::Paired => {
            "of a new gateway nobody can approve a device: the owner's own tools come in only once \
             they are paired"
        }
        WayIn::Nobody => {
            "nobody can approve a device: the owner's own tools do not come in, neither at the \
             gateway's socket nor with the secret"
        }
    };
    let mut found = Diagnostic::error(Code::NoWayIn, message).with_severity(Severity::Warning);
    let clause = decision.map(|decision| policy.clause(decision.by));
    if let Some(clause) = clause {
        found = found.label(
            clause.span,
            "decides about the owner at the gateway's socket",
        );
    }
    let guard = clause.is_some_and(|clause| matches!(clause.role, checked::Role::Guard(_)));
    Some(found.help(match guard {
        true => format!(
            "leave the owner out of this guard, `and not (transport=unix and peer-uid=same-user)`, \
             and have the rule: {RULE}"
        ),
        false => format!("write above it: {RULE}"),
    }))
}

/// The same, of a gateway that remembers something: a policy that lets paired devices in is enough
/// where one is paired that may approve.
pub(super) fn warning_of(
    policy: &Policy,
    settings: &Settings,
    store: &dyn Store,
) -> Option<Diagnostic> {
    match way_in(policy, settings) {
        (WayIn::Paired, _) if is_approver_paired(settings, store) => None,
        (WayIn::Owner | WayIn::Paired | WayIn::Nobody, _) => warning(policy, settings),
    }
}

/// Whether a device is paired that may approve others. While the store cannot be read nobody comes
/// in anyway, and nothing is said of it.
fn is_approver_paired(settings: &Settings, store: &dyn Store) -> bool {
    let mut found = false;
    let visited = store.visit(Among::Approvers, &mut |standing, _| {
        found = may_approve(standing, settings);
        match found {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    found || visited.is_err()
}

/// Whether a device has what it takes to approve others.
fn may_approve(standing: &Standing, settings: &Settings) -> bool {
    let (rule, operator) = (settings.compatibility.scope_rule, Role::Operator.name());
    standing.record.as_ref().is_some_and(|record| {
        let pairing = [Scope::Pairing.name()];
        record.token(operator).is_some()
            && covers(rule, operator, &pairing, record.baseline()).is_ok()
    })
}

/// The settings, with a token where the gateway will have made one.
fn with_secret(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    if settings.auth.mode() == AuthMode::Token && settings.auth.token().is_none() {
        settings.auth.token = Some(Secret::new(STAND_IN));
    }
    settings
}

/// What is decided of a connection, and whether it may approve whatever is asked for.
fn decided(policy: &Policy, settings: &Settings, coming: Coming) -> Option<(Decision, bool)> {
    let handshake = handshake(settings, coming)?;
    let facts = observe(&handshake).facts;
    let decision = decide(policy.program(), &facts);
    let admin = Scope::Admin.name();
    let rule = settings.compatibility.scope_rule;
    let approved = match coming.paired {
        true => &[admin][..],
        false => &[],
    };
    let granted = decision.verdict.grant().map(|grant| {
        grant
            .granted(&[admin], Role::Operator, approved, rule)
            .into_iter()
            .copied()
            .collect()
    });
    let granted: Vec<&str> = granted.unwrap_or_default();
    let may = covers(rule, Role::Operator.name(), &[admin], &granted).is_ok();
    Some((decision, may))
}

/// A connection, as the gateway sees it. `None` where the constants of a release have no such
/// client.
fn handshake(settings: &Settings, coming: Coming) -> Option<Handshake> {
    let device = Device::from_seed(&Secret::new(SEED)).filter(|_| coming.proof);
    let mut knock = reach::knock_for(&[Scope::Admin]);
    if coming.proof {
        knock = Knock {
            token: settings.auth.token().cloned(),
            password: settings.auth.password().cloned(),
            ..knock
        };
    }
    let request = knock.request(device.as_ref(), NONCE, NOW_MS);
    let standing = match (&device, coming.paired) {
        (Some(device), true) => paired(device, &request),
        (_, _) => Standing::default(),
    };
    let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let socket = match coming.socket {
        true => Socket {
            transport: Transport::Unix,
            peer: None,
            local: None,
            tls: false,
            peer_uid: PeerUid::SameUser,
            own_addresses: [].into(),
        },
        false => Socket {
            transport: Transport::Tcp,
            peer: Some(loopback(51_000)),
            local: Some(loopback(18_789)),
            tls: false,
            peer_uid: PeerUid::SameUser,
            own_addresses: [].into(),
        },
    };
    let host = match coming.socket {
        true => "localhost",
        false => "127.0.0.1:18789",
    };
    Some(Handshake {
        note: None,
        settings: settings.clone(),
        socket,
        http: Http {
            headers: vec![("Host".into(), host.into())],
            ..Http::default()
        },
        challenge: Some(Challenge {
            nonce: NONCE.into(),
            ts: None,
        }),
        connect: connect::parse(&request, &Schema::of(&settings.compatibility)).ok()?,
        pairing: standing,
        time_ms: i64::try_from(NOW_MS).unwrap_or_default(),
    })
}

/// The record of a device that may approve everything.
fn paired(device: &Device, request: &Value) -> Standing {
    let operator = Role::Operator.name();
    let admin = [Scope::Admin.name()];
    let sent = |place: &str| request.pointer(place).cloned().unwrap_or_default();
    let record = json!({
        "deviceId": device.id(),
        "publicKey": sent("/params/device/publicKey"),
        "platform": sent("/params/client/platform"),
        "clientId": sent("/params/client/id"),
        "clientMode": sent("/params/client/mode"),
        "role": operator,
        "roles": [operator],
        "scopes": admin,
        "approvedScopes": admin,
        "tokens": { operator: { "token": STAND_IN, "role": operator, "scopes": admin, "createdAtMs": NOW_MS } },
        "createdAtMs": NOW_MS,
        "approvedAtMs": NOW_MS,
    });
    serde_json::from_value(json!({ "record": record })).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::{Search, lint};

    #[test]
    fn whoever_can_approve_is_found_by_deciding() {
        let pairs = [
            ("default → require-pairing", WayIn::Nobody),
            ("default → approve", WayIn::Owner),
            (
                "[known] pairing=paired → approve\ndefault → require-pairing",
                WayIn::Paired,
            ),
            (
                "[owner] transport=unix → approve\ndefault → require-pairing",
                WayIn::Owner,
            ),
            (
                "[owner] transport=unix and peer-uid=root → approve\ndefault → require-pairing",
                WayIn::Nobody,
            ),
            (
                "[reads] transport=unix → approve(scopes={ operator.read })\ndefault → require-pairing",
                WayIn::Nobody,
            ),
            (
                "[cli] client=cli and auth=token and loopback → silent-approve\ndefault → require-pairing",
                WayIn::Owner,
            ),
            (
                "guard [keys] no-device → reject(device-required)\n[owner] transport=unix → approve\ndefault → require-pairing",
                WayIn::Owner,
            ),
            (
                "guard [all] client=cli → reject(device-required)\n[owner] transport=unix → approve\ndefault → require-pairing",
                WayIn::Nobody,
            ),
        ];
        for (rules, way) in pairs {
            let policy = Policy::parse("my.policy", &format!("gw-policy 1\n{rules}\n")).unwrap();
            assert_eq!(way_in(&policy, &Settings::default()).0, way, "{rules}");
        }
    }

    #[test]
    fn the_line_that_is_named_lets_the_owner_in() {
        let text = format!("gw-policy 1\n{RULE}\ndefault → require-pairing\n");
        let policy = Policy::parse("my.policy", &text).unwrap();
        assert_eq!(warning(&policy, &Settings::default()), None);
        let found = lint(&policy, Search::usual(1_000_000));
        let found: Vec<_> = found.iter().map(|it| it.code).collect();
        assert_eq!(found, [Code::SilentReject], "of the default");
    }
}
