//! A request to be paired, or to have more than was approved: made, repeated, widened.
//!
//! Whether it may be made, and whether it needs asking, is decided elsewhere.

use std::net::IpAddr;

use super::change::{Change, Decision, Event, Fresh, Write};
use super::key::{PublicKey, same_key};
use super::lists::{MOST_SCOPES, bounded, united, within};
use super::record::{Came, Issuer, Pending};
use super::standing::Standing;
use crate::facts::{Client, Mode, Role, Text};
use crate::settings::Compatibility;
use crate::settings::compatibility::{Repeat, Supersede};

/// How many ids a request remembers that it replaced.
pub const MOST_REPLACED: usize = 8;

/// What a connection says of its device, and asks for it. That it holds the key is proven.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The device id.
    pub device_id: &'a Text,
    /// Its public key, in any spelling.
    pub public_key: &'a str,
    /// The role it asks for.
    pub role: Role,
    /// The scopes it asks for: as sent, or as far as the policy lets it ask.
    pub scopes: &'a [Box<str>],
    /// What it calls itself.
    pub display_name: Option<&'a str>,
    /// The platform it names, as sent.
    pub platform: Option<&'a str>,
    /// The device family it names, as sent.
    pub device_family: Option<&'a str>,
    /// What it says it is.
    pub client: Client,
    /// How it says it works.
    pub mode: Mode,
    /// Where it comes from, where that is known and not this host.
    pub remote_ip: Option<IpAddr>,
    /// How it comes, where that is all there is to tell.
    pub came: Option<Came>,
    /// The page that asks.
    pub browser_origin: Option<&'a str>,
    /// The login that a token for it is to live by: a page's, by the shared secret.
    pub issuer: Option<&'a Issuer>,
    /// When a pairing ends that needs no asking, in Unix milliseconds; never without.
    pub until_ms: Option<i64>,
    /// Whether its device token was what let it in.
    pub by_device_token: bool,
    /// Whether a device token may go back to it.
    pub wants_token: bool,
}

impl<'a> Ask<'a> {
    /// The device family it is kept with: the one it names, or one by its platform
    /// (`pairing.nodeHostFamily`).
    #[must_use]
    pub fn family(&self, rules: &Compatibility) -> Option<&'a str> {
        kept_family(self.client, self.platform, self.device_family, rules)
    }
}

/// The device family that a device is kept and compared with: the one it names, or of a node
/// host one by its platform (`pairing.nodeHostFamily`).
#[must_use]
pub fn kept_family<'a>(
    client: Client,
    platform: Option<&'a str>,
    named: Option<&'a str>,
    rules: &Compatibility,
) -> Option<&'a str> {
    named.or_else(|| {
        let by_platform = rules.pairing.node_host_family && client == Client::NodeHost;
        platform
            .filter(|_| by_platform)
            .and_then(family_of_platform)
    })
}

/// The family of a platform as Node.js names it; only `linux` is recorded.
fn family_of_platform(platform: &str) -> Option<&'static str> {
    match platform {
        "linux" => Some("Linux"),
        "darwin" => Some("Mac"),
        "win32" => Some("Windows"),
        _ => None,
    }
}

/// Leaves a request waiting.
///
/// One that asks for no more than the one that waits keeps its id, and refreshes what it says
/// of the device. One that asks for more gets an id of its own, and asks for what both asked:
/// so nobody approves what they did not see, and nothing that was asked for is lost
/// (`pairing.supersede`; recorded as `sequence/remote-pending-repeat`). It needs asking as soon
/// as one of both did.
#[must_use]
pub fn request(
    standing: &Standing,
    ask: &Ask<'_>,
    silent: bool,
    fresh: &mut Fresh<'_>,
    now_ms: i64,
    rules: &Compatibility,
) -> Change {
    let asked = written(standing, ask, silent, now_ms, rules);
    let waiting = standing
        .waiting(ask.device_id, rules.request_ttl_ms, now_ms)
        .filter(|waiting| same_key(&waiting.public_key, ask.public_key));
    let mut change = Change::none(ask.device_id.clone());
    let Some(waiting) = waiting else {
        let asked = numbered(asked, fresh);
        announce(&mut change, &asked);
        change.pending = Write::Put(asked);
        return change;
    };
    let silent = silent && waiting.silent == Some(true);
    let is_repair = asked.is_repair == Some(true) || waiting.is_repair == Some(true);
    if is_repeat(waiting, &asked, rules.pairing.supersede) {
        let mut kept = Pending {
            display_name: asked.display_name.or(waiting.display_name.clone()),
            platform: asked.platform.or(waiting.platform.clone()),
            device_family: asked.device_family.or(waiting.device_family.clone()),
            client_id: asked.client_id,
            client_mode: asked.client_mode,
            remote_ip: asked.remote_ip.or(waiting.remote_ip.clone()),
            came: asked.came.or(waiting.came),
            browser_origin: asked.browser_origin.or(waiting.browser_origin.clone()),
            silent: Some(silent),
            is_repair: Some(is_repair),
            ..waiting.clone()
        };
        match rules.pairing.repeat {
            Repeat::Restart => kept.ts = now_ms,
            Repeat::Ignore => {}
            Repeat::Refresh => kept.refreshed_at_ms = Some(now_ms),
        }
        if waiting.silent == Some(true) {
            // Nobody was told of it while it needed no asking.
            announce(&mut change, &kept);
        }
        if kept != *waiting {
            change.pending = Write::Put(kept);
        }
        return change;
    }
    if rules.pairing.announce_superseded {
        change.events.push(Event::Resolved {
            request_id: waiting.request_id.clone(),
            device_id: ask.device_id.into(),
            decision: Decision::Rejected,
            at_ms: now_ms,
        });
    }
    let roles = united(waiting.asked_roles(), asked.asked_roles());
    let mut scopes = united(waiting.asked_scopes(), asked.asked_scopes());
    if scopes.len() > MOST_SCOPES {
        // The newest stands alone.
        scopes = bounded(asked.asked_scopes());
    }
    let earlier = [&waiting.request_id].into_iter().chain(&waiting.replaces);
    let replaces = match rules.pairing.request_notes {
        true => earlier.take(MOST_REPLACED).cloned().collect(),
        false => Vec::new(),
    };
    let wider = Pending {
        replaces,
        roles: Some(roles),
        scopes: rules.pairing.list(scopes),
        silent: Some(silent),
        is_repair: Some(is_repair),
        ..asked
    };
    let wider = numbered(wider, fresh);
    announce(&mut change, &wider);
    change.pending = Write::Put(wider);
    change
}

/// The request by itself, still without an id.
fn written(
    standing: &Standing,
    ask: &Ask<'_>,
    silent: bool,
    now_ms: i64,
    rules: &Compatibility,
) -> Pending {
    let role = ask.role.name();
    let known = |record: &super::record::Record| *record.device_id == **ask.device_id;
    Pending {
        request_id: "".into(),
        device_id: ask.device_id.into(),
        public_key: PublicKey::canonical(ask.public_key),
        display_name: ask.display_name.map(Into::into),
        platform: ask.platform.map(Into::into),
        device_family: ask.family(rules).map(Into::into),
        client_id: Some(ask.client.name().into()),
        client_mode: Some(ask.mode.name().into()),
        role: Some(role.into()),
        roles: Some(vec![role.into()]),
        scopes: rules.pairing.list(bounded(ask.scopes)),
        remote_ip: ask.remote_ip.map(|ip| ip.to_string().into()),
        silent: Some(silent),
        is_repair: Some(standing.record.as_ref().is_some_and(known)),
        ts: now_ms,
        refreshed_at_ms: None,
        browser_origin: ask.browser_origin.map(Into::into),
        came: ask.came.filter(|_| rules.pairing.request_notes),
        replaces: Vec::new(),
    }
}

fn numbered(asked: Pending, fresh: &mut Fresh<'_>) -> Pending {
    Pending {
        request_id: (fresh.request_id)(),
        ..asked
    }
}

fn announce(change: &mut Change, pending: &Pending) {
    if pending.silent != Some(true) {
        change
            .events
            .push(Event::Requested(Box::new(pending.clone())));
    }
}

/// Whether whoever approves the waiting request approves this one too, by the rule.
fn is_repeat(waiting: &Pending, asked: &Pending, rule: Supersede) -> bool {
    let roles = |pending: &Pending| united(pending.asked_roles(), [""; 0]);
    let (old_roles, new_roles) = (roles(waiting), roles(asked));
    let (old, new) = (waiting.asked_scopes(), asked.asked_scopes());
    let narrower = within(&new_roles, &old_roles) && within(new, old);
    match rule {
        Supersede::Subset => narrower,
        Supersede::Snapshot => narrower && within(&old_roles, &new_roles) && within(old, new),
    }
}
