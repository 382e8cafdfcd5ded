//! Policies as choices write them, as text: conditions over every attribute that there is, or over what
//! connections of a test differ in, and every answer that a clause can have.

use std::sync::LazyLock;

use gw::facts::{AttributeId, Kind, Stage};

use super::choices::Choices;

/// Networks that part whole kinds of addresses, and one another.
const NETWORKS: [&str; 8] = [
    "10.0.0.0/8",
    "10.66.0.0/16",
    "127.0.0.0/8",
    "192.168.1.10/32",
    "203.0.113.0/24",
    "::1/128",
    "fd00::/8",
    "0.0.0.0/0",
];

/// Texts that headers and names of systems are compared with.
const HOSTS: [&str; 4] = ["localhost", "gw.example.com", "10.0.0.5", "box.local"];
const ORIGINS: [&str; 2] = ["http://localhost:5173", "https://ui.example.com"];
const PATHS: [&str; 2] = ["/x", "/ws"];
const TEXTS: [&str; 2] = ["linux", "macos 26.4.0"];

const SCOPES: [&str; 7] = [
    "operator.read",
    "operator.write",
    "operator.admin",
    "operator.pairing",
    "operator.approvals",
    "operator.talk",
    "operator.questions",
];

const REFUSALS: [&str; 6] = [
    "reject(not-permitted)",
    "reject(as-found)",
    "reject(origin-not-allowed)",
    "require-pairing",
    "require-pairing(reason=scope-upgrade)",
    "require-pairing(reason=role-upgrade)",
];

/// What connections differ in that come to a gateway, and what is remembered of their devices.
const OF_CONNECTIONS: [&str; 32] = [
    "client=cli",
    "client in { gateway-client, node-host }",
    "client=openclaw-control-ui",
    "mode=webchat",
    "role=node",
    "loopback",
    "same-host",
    "peer in { 192.168.0.0/16 }",
    "forwarded",
    "no-origin",
    "same-origin",
    "auth in { token, password }",
    "auth=device-token",
    "auth=none",
    "device=proven",
    "no-device",
    "scopes includes { operator.admin }",
    "scopes within { operator.read, operator.write }",
    "unknown-scope",
    "outside-role",
    "secret-sent",
    "platform=\"linux\"",
    "node-network",
    "pairing=paired",
    "pairing=unpaired",
    "pairing in { upgrade, key-changed }",
    "role-upgrade",
    "scope-upgrade",
    "metadata-upgrade",
    "pending=none",
    "pending in { asked, wider }",
    "setting.disable-device-auth",
];

static ATTRIBUTES: LazyLock<Vec<AttributeId>> = LazyLock::new(|| AttributeId::all().collect());

/// Those that are known when a connection asks for a WebSocket.
static EARLY: LazyLock<Vec<AttributeId>> = LazyLock::new(|| {
    let all = AttributeId::all();
    all.filter(|id| id.row().stage == Stage::Upgrade).collect()
});

/// What conditions may ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    Anything,
    /// The socket and the head of the request.
    Request,
    /// What connections differ in, and nothing that none of them has.
    Connections,
}

fn listed(words: &[impl AsRef<str>]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.is_empty() {
        true => "{}".to_owned(),
        false => format!("{{ {} }}", words.join(", ")),
    }
}

/// A set of scopes, perhaps of none.
pub(crate) fn scopes(choices: &mut Choices<'_>) -> String {
    listed(&choices.some(&SCOPES))
}

/// One comparison.
fn comparison(choices: &mut Choices<'_>, about: About) -> String {
    let id = *match about {
        About::Anything => choices.one(&ATTRIBUTES),
        About::Request => choices.one(&EARLY),
        About::Connections => {
            let not = if choices.rarely() { "not " } else { "" };
            return format!("{not}{}", choices.one(&OF_CONNECTIONS));
        }
    };
    let name = id.row().name;
    let kind = id.row().kind;
    let words: Vec<&str> = kind.words().iter().map(|word| word.name).collect();
    let quoted = |text: &&str| format!("\"{text}\"");
    let mut members: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    match kind {
        Kind::Flag { .. } => {
            let not = if choices.flag() { "not " } else { "" };
            return format!("{not}{name}");
        }
        Kind::Set { .. } => {
            let operator = choices.one(&["includes", "within", "="]);
            return format!("{name} {operator} {}", scopes(choices));
        }
        Kind::Enum { .. } => {}
        Kind::Address { .. } => members.extend(NETWORKS.map(str::to_owned)),
        Kind::Header { .. } => {
            members.extend(NETWORKS.map(str::to_owned));
            let texts: &[&str] = if name == "host" { &HOSTS } else { &ORIGINS };
            members.extend(texts.iter().map(quoted));
        }
        Kind::Text { .. } => {
            let texts = if name == "path" { &PATHS } else { &TEXTS };
            members.extend(texts.iter().map(quoted));
        }
    }
    let operator = *choices.one(&["=", "!=", "in", "not in"]);
    match operator {
        "=" | "!=" => format!("{name}{operator}{}", choices.one(&members)),
        _ => {
            let mut chosen: Vec<String> = Vec::new();
            for _ in 0..=choices.below(4) {
                let member = choices.one(&members).clone();
                if !chosen.contains(&member) {
                    chosen.push(member);
                }
            }
            format!("{name} {operator} {}", listed(&chosen))
        }
    }
}

/// A condition, nested up to three deep.
fn condition(choices: &mut Choices<'_>, about: About, depth: usize) -> String {
    let joint = match choices.below(if depth == 0 { 1 } else { 6 }) {
        0..=2 => return comparison(choices, about),
        3 => " and ",
        4 => " or ",
        _ => return format!("not ({})", condition(choices, about, depth - 1)),
    };
    let parts: Vec<String> = (0..=choices.below(3) + 1)
        .map(|_| condition(choices, about, depth - 1))
        .map(|part| match part.contains(' ') {
            true => format!("({part})"),
            false => part,
        })
        .collect();
    parts.join(joint)
}

/// An answer that admits.
fn admission(choices: &mut Choices<'_>) -> String {
    let verdict = choices.one(&["approve", "silent-approve"]);
    let bound = match choices.below(6) {
        0..=2 => "requested".to_owned(),
        3 => "none".to_owned(),
        4 => "approved".to_owned(),
        _ => scopes(choices),
    };
    let more = match *verdict {
        "approve" => choices.one(&["", "", ", token=no"]),
        _ => choices.one(&["", "", ", token=no", ", ttl=\"30d\""]),
    };
    format!("{verdict}(scopes={bound}{more})")
}

/// What a rule or the default answers.
fn answer(choices: &mut Choices<'_>) -> String {
    match choices.below(4) {
        0 => (*choices.one(&REFUSALS)).to_owned(),
        _ => admission(choices),
    }
}

/// A guard, without the word.
pub(crate) fn guard(choices: &mut Choices<'_>, about: About) -> String {
    let answer = match choices.below(4) {
        0 => format!("cap(scopes={})", scopes(choices)),
        _ => (*choices.one(&REFUSALS)).to_owned(),
    };
    format!("{} → {answer}", condition(choices, about, 2))
}

/// A whole policy. Where the choices are over, it asks the owner about everybody.
pub(crate) fn policy(choices: &mut Choices<'_>, about: About) -> String {
    let mut text = "gw-policy 1\n".to_owned();
    for _ in 0..choices.below(4) {
        text += &match choices.rarely() {
            true => {
                let condition = condition(choices, About::Request, 2);
                format!("guard at upgrade ({condition}) → reject(not-permitted)\n")
            }
            false => format!("guard {}\n", guard(choices, about)),
        };
    }
    for _ in 0..choices.below(6) {
        let trial = if choices.rarely() { "trial " } else { "" };
        let condition = condition(choices, about, 3);
        text += &format!("{trial}{condition} → {}\n", answer(choices));
    }
    let default = match choices.is_over() {
        true => "require-pairing".to_owned(),
        false => answer(choices),
    };
    text + &format!("default → {default}\n")
}

/// The policy that bytes begin with as it is written, up to a zero byte, and what follows that; none
/// where they begin otherwise.
pub(crate) fn as_it_is(data: &[u8]) -> Option<(String, &[u8])> {
    if !data.starts_with(b"gw-policy") {
        return None;
    }
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let text = String::from_utf8_lossy(parts.next()?).into_owned();
    Some((text, parts.next().unwrap_or_default()))
}
