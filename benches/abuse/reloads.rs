//! Reloads: a policy that is changed ten thousand times, every other time into one that does not
//! load, while clients knock. Whatever is decided is decided by one that loaded.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Effort;
use crate::client::Client;
use crate::gateway::{Gateway, Setup};
use crate::honest::beside;
use crate::report::Report;

/// How many clients knock meanwhile.
const HONEST: usize = 4;

/// How much more memory it may take in the end than after a tenth of it.
const MORE: u64 = 24 << 20;

/// Two that load, and say the same of those who knock.
const GOOD: [&str; 2] = [
    "gw-policy 1\n[one] auth=token and loopback → silent-approve\ndefault → require-pairing\n",
    "gw-policy 1\n[other] auth=token and loopback → silent-approve\ndefault → reject(not-permitted)\n",
];

/// Three that do not: a mistake, a claim that fails, and half of a file.
const BAD: [&str; 3] = [
    "gw-policy 1\nauth=tokn → silent-approve\ndefault → silent-approve\n",
    "gw-policy 1\nauth=token → silent-approve\ndefault → silent-approve\n\
     test \"nobody\": auth=none → reject(not-permitted)\n",
    "gw-policy 1\nauth=token → silent-appr",
];

pub(crate) fn run(effort: Effort, report: &mut Report) {
    let reloads = effort.of(10_000, 20);
    let gateway = Setup {
        limits: "unadmittedPerAddress: 1000",
        more: "log: { decisions: { maxBytes: 4294967296, keep: 0 } }",
        policy: Some(GOOD[0]),
        ..Setup::default()
    }
    .start();
    let honest: Vec<Client> = (0..HONEST).map(Client::numbered).collect();
    let owner = Client::numbered(HONEST).with_scopes(&["operator.admin"]);
    let (knocks, changed) = beside(&gateway, &honest, || change(&gateway, &owner, reloads));
    let memory = gateway.resident();
    let left = gateway.is_left_alone();
    let decided = digests(&gateway);
    let loaded: BTreeSet<String> = GOOD.iter().map(|text| digest(text)).collect();

    let mut row = report.row("reloads, every other one broken", reloads);
    row.must(
        knocks.failed.is_empty() && knocks.count() > 0,
        match knocks.failed.first() {
            None => format!("{} handshakes meanwhile, none failed", knocks.count()),
            Some(why) => format!("{} handshakes failed: {why}", knocks.failed.len()),
        },
    );
    row.must(
        decided.by.is_subset(&loaded) && decided.lines > 0,
        format!(
            "{} decisions by {} policies, all of which load",
            decided.lines,
            decided.by.len()
        ),
    );
    row.must(
        changed.differs_wrong == 0,
        format!(
            "{} times `gw_policy_differs` was not what is on the disk",
            changed.differs_wrong
        ),
    );
    row.must(
        changed.answered_wrong == 0,
        format!("{} wrong answers", changed.answered_wrong),
    );
    row.memory(changed.memory, memory, MORE);
    row.must(left, "none left open");
    report.print(row);
}

/// What changing came to.
#[derive(Default)]
struct Changed {
    /// How often the metric said something else than what is so.
    differs_wrong: usize,
    /// How often the owner was told something else than what is so.
    answered_wrong: usize,
    /// Memory after a tenth of it.
    memory: Option<u64>,
}

fn change(gateway: &Gateway, owner: &Client, reloads: usize) -> Changed {
    let stream = std::net::TcpStream::connect(gateway.at).expect("somebody listens");
    let session = owner.try_knock(gateway.at, stream, None);
    let mut session = session.expect("the owner gets in");
    assert!(session.is_admitted(), "{}", session.answer);
    let mut changed = Changed::default();
    for number in 0..reloads {
        let text = match number % 2 {
            0 => BAD.get(number / 2 % BAD.len()),
            _ => GOOD.get(number / 2 % GOOD.len()),
        };
        write(&gateway.policy(), text.expect("a policy"));
        let answer = session.call("policy.reload").expect("an answer");
        let is_good = number % 2 == 1;
        // One that was taken up before it was asked for is not taken up again.
        let is_kept = answer.pointer("/payload/error").is_some();
        if is_kept == is_good || answer.get("ok") != Some(&Value::Bool(true)) {
            changed.answered_wrong += 1;
        }
        let differs = gateway.counted().of("gw_policy_differs");
        if differs != u64::from(!is_good) {
            changed.differs_wrong += 1;
        }
        if number == reloads / 10 {
            changed.memory = gateway.resident();
        }
    }
    changed
}

/// A file is there as a whole.
fn write(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).expect("a file");
    fs::rename(&new, file).expect("a file");
}

/// By which policies connections were decided.
struct Decided {
    lines: usize,
    by: BTreeSet<String>,
}

fn digests(gateway: &Gateway) -> Decided {
    let mut decided = Decided {
        lines: 0,
        by: BTreeSet::new(),
    };
    for line in gateway.log_lines() {
        let line: Value = serde_json::from_str(&line).expect("a line of JSON");
        if line.get("kind").and_then(Value::as_str) == Some("decided") {
            decided.lines += 1;
            let digest = line.pointer("/policy/digest").and_then(Value::as_str);
            decided.by.insert(digest.expect("a digest").to_owned());
        }
    }
    decided
}

fn digest(text: &str) -> String {
    let policy = gw::Policy::parse("door.policy", text).expect("it loads");
    policy.digest().to_string()
}
