//! A policy or a configuration that vanishes, is half written, or has something else in its place.
//! THE TABLE: what becomes of the files, and what is said of it. Under each what was in force stays, so
//! nobody is let in who was not before; mended, it is taken up.

use std::fs;
use std::os::unix::fs::symlink;

use gw::Policy;
use gw::audit::Comparison;
use serde_json::{Value, json};

use crate::certificate::pipe;
use crate::client::{Asking, Client, Closed, soon};
use crate::process::{POLICY, Place, by_token, guest};

type Spoil = fn(&Place, &str);

const FAULTS: [(&str, &str, Spoil, &str); 17] = [
    (
        "the policy is gone",
        "my.policy",
        gone,
        "there is no such file",
    ),
    (
        "the policy is empty",
        "my.policy",
        |place, name| place.write(name, ""),
        "missing-edition",
    ),
    (
        "the policy is cut off within its default",
        "my.policy",
        cut,
        "unknown-verdict",
    ),
    (
        "the policy has no default yet",
        "my.policy",
        |place, name| place.write(name, POLICY.lines().take(4).collect::<Vec<_>>().join("\n")),
        "default",
    ),
    (
        "the policy is no text",
        "my.policy",
        |place, name| place.write(name, b"gw-policy 1\n\xff\xfe\n"),
        "not UTF-8",
    ),
    (
        "the policy is too large",
        "my.policy",
        |place, name| place.write(name, "# \n".repeat(1 << 20)),
        "larger than",
    ),
    ("the policy is a folder", "my.policy", folder, "folder"),
    ("the policy is a pipe", "my.policy", a_pipe, "it is no file"),
    (
        "the policy is a link to nowhere",
        "my.policy",
        |place, name| link(place, name, "nowhere"),
        "no such file",
    ),
    (
        "the policy is a link to itself",
        "my.policy",
        |place, name| link(place, name, name),
        "cannot be read",
    ),
    (
        "the policy is a device without an end",
        "my.policy",
        |place, name| link(place, name, "/dev/zero"),
        "it is no file",
    ),
    (
        "the policy includes what is not there",
        "my.policy",
        |place, name| {
            place.write(
                name,
                POLICY.replace("guard", "include \"not-there.policy\"\nguard"),
            )
        },
        "not-there.policy",
    ),
    (
        "the configuration is gone",
        "gw.yaml",
        gone,
        "there is no such file",
    ),
    (
        "the configuration is cut off",
        "gw.yaml",
        cut,
        "this is not YAML",
    ),
    (
        "the configuration is a pipe",
        "gw.yaml",
        a_pipe,
        "it is no file",
    ),
    ("the secret is gone", "token", gone, "there is no such file"),
    (
        "the secret is empty",
        "token",
        |place, name| place.write(name, ""),
        "auth.token",
    ),
];

fn gone(place: &Place, name: &str) {
    fs::remove_file(place.path(name)).unwrap();
}

/// All but its last bytes are there.
fn cut(place: &Place, name: &str) {
    let text = fs::read_to_string(place.path(name)).unwrap();
    place.write(name, &text[..text.trim_end().len() - 12]);
}

fn folder(place: &Place, name: &str) {
    gone(place, name);
    fs::create_dir(place.path(name)).unwrap();
}

fn a_pipe(place: &Place, name: &str) {
    gone(place, name);
    pipe(place, name);
}

fn link(place: &Place, name: &str, to: &str) {
    gone(place, name);
    symlink(to, place.path(name)).unwrap();
}

/// Puts a file back as it was.
fn mend(place: &Place, name: &str, bytes: &[u8]) {
    let _ = fs::remove_dir(place.path(name));
    place.replace(name, bytes);
    if name == "token" {
        place.chmod(name, 0o600);
    }
}

async fn reload(owner: &mut Client) -> Value {
    owner.call("policy.reload", json!({})).await.unwrap()
}

async fn status(owner: &mut Client) -> Value {
    owner.call("policy.status", json!({})).await.unwrap()
}

#[tokio::test]
async fn what_cannot_be_loaded_leaves_the_door_as_it_was() {
    let place = Place::new("");
    let gateway = place.serve();
    let mut owner = gateway.owner().await;
    let paired = guest("paired");
    let token = gateway.pair(&mut owner, &paired).await;
    let paired = by_token(&paired, &token);
    let digest = status(&mut owner).await["digest"].clone();
    for (fault, name, spoil, says) in FAULTS {
        let before = fs::read(place.path(name)).unwrap();
        spoil(&place, name);
        let answer = reload(&mut owner).await;
        assert_eq!(answer["reloaded"], false, "{fault}: {answer}");
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(error.contains(says), "{fault}: {answer}");
        let told = status(&mut owner).await;
        assert_eq!(
            (&told["digest"], &told["differs"]),
            (&digest, &json!(true)),
            "{fault}"
        );

        let (_, hello) = gateway.admit(&paired).await;
        assert_eq!(hello["auth"]["scopes"], json!(paired.scopes), "{fault}");
        let mut stranger = gateway.refuse(&guest("stranger")).await;
        let request = json!({ "requestId": stranger.request_id() });
        owner.call("device.pair.reject", request).await.unwrap();
        stranger = gateway
            .refuse(&guest("stranger").auth(json!({ "token": "not the token" })))
            .await;
        assert!(
            stranger.error["details"]["requestId"].is_null(),
            "{fault}: {stranger:?}"
        );

        mend(&place, name, &before);
        let answer = reload(&mut owner).await;
        assert_eq!(answer["error"], Value::Null, "{fault}: {answer}");
        assert_eq!(status(&mut owner).await["differs"], false, "{fault}");
    }
}

/// A link is followed, as deployments turn one from a folder to the next.
#[tokio::test]
async fn a_policy_that_becomes_a_link_is_what_it_leads_to() {
    let place = Place::new("");
    let gateway = place.serve();
    let mut owner = gateway.owner().await;
    let closed = "gw-policy 1\n[owner] transport=unix → approve\ndefault → reject(not-permitted)\n";
    for (number, text) in [closed, POLICY].into_iter().enumerate() {
        let name = format!("next {number}");
        place.write(&name, text);
        symlink(&name, place.path("link")).unwrap();
        fs::rename(place.path("link"), place.path("my.policy")).unwrap();
        let answer = reload(&mut owner).await;
        assert_eq!(answer["error"], Value::Null, "{answer}");
        let refused = gateway.refuse(&guest("stranger")).await;
        let may_ask = refused.error["details"]["requestId"].is_string();
        assert_eq!(may_ask, text == POLICY, "{refused:?}");
    }
}

/// Nobody has to say so: a file that was missing is taken up when it comes.
#[tokio::test]
async fn a_policy_of_several_files_is_taken_up_once_all_are_there() {
    let place = Place::new("");
    let gateway = place.serve();
    let mut owner = gateway.owner().await;
    let token = gateway.pair(&mut owner, &guest("paired")).await;
    let (mut paired, _) = gateway.admit(&by_token(&guest("paired"), &token)).await;
    let including = POLICY
        .replace("guard", "include \"more.policy\"\nguard")
        .replace("pairing=paired", "pairing=paired and desk");
    place.write("my.policy", including);
    let told = async {
        while status(&mut owner).await["differs"] == false {
            tokio::task::yield_now().await;
        }
    };
    soon("word of what is missing", told).await;
    paired.call("health", json!({})).await.unwrap();
    place.write(
        "more.policy",
        "gw-policy 1\ndefine desk = peer in { 192.0.2.0/24 }\n",
    );
    assert_eq!(paired.closed().await, Closed::new(1008, "policy changed"));
    assert_eq!(status(&mut owner).await["differs"], false);
}

/// What is told of a file that was loaded again is what is another one, and nothing else.
#[tokio::test]
async fn what_changed_is_told_as_what_it_is() {
    let place = Place::new("");
    let gateway = place.serve();
    let mut owner = gateway.owner().await;
    let config = fs::read_to_string(place.path("gw.yaml")).unwrap();
    let [settings, policy, later] = [
        "other settings are in force",
        "in force policy=",
        "`metrics` is other in the file than at the start: it counts from the next one",
    ];
    let mut told = Vec::new();
    for (name, text) in [
        ("gw.yaml", format!("{config}trustedProxies: [192.0.2.1]\n")),
        ("my.policy", format!("{POLICY}# another\n")),
        (
            "gw.yaml",
            format!("{config}trustedProxies: [192.0.2.1]\nmetrics: true\n"),
        ),
    ] {
        place.replace(name, text);
        reload(&mut owner).await;
        let said = place.complaints();
        told.push([settings, policy, later].map(|words| said.matches(words).count()));
    }
    assert_eq!(
        told,
        [[1, 0, 0], [1, 1, 0], [1, 1, 1]],
        "{}",
        place.complaints()
    );
    let answer = reload(&mut owner).await;
    assert_eq!(answer["nextStart"], json!(["metrics"]));
    assert_eq!(
        place.complaints().matches(later).count(),
        1,
        "it is told once"
    );
}

/// A configuration that was not there at the start is not taken up by a reload, since the folder that
/// the gateway was started in may be anybody's.
#[tokio::test]
async fn a_configuration_that_appears_is_not_taken_up() {
    let place = Place::new("");
    fs::remove_file(place.path("gw.yaml")).unwrap();
    let mut command = place.serving();
    command.args(["--state", "state", "--token-file", "token"]);
    let gateway = place.start(&mut command).unwrap();
    let page = Asking {
        headers: vec![("origin", "https://page.example".to_owned())],
        ..Asking::default()
    };
    gateway.refuse(&page).await;
    let open = "gw-policy 1\nauth=token → approve\ndefault → require-pairing\n";
    place.write("open.policy", open);
    place.write("gw.yaml", "policy: open.policy\n");
    let (code, said) = place.gw(&["policy", "reload", "--state", "state"]);
    assert_eq!(code, Some(0), "{said}");
    gateway.refuse(&page).await;
}

/// However much of a shipped policy has been written: it does not load, or lets in no more than the
/// whole one does.
#[test]
fn a_half_written_policy_is_no_wider() {
    const NODES: usize = 4_000_000;
    for name in ["default", "docker", "lan"] {
        let shipped = |name: &str| {
            let folder = env!("CARGO_MANIFEST_DIR");
            fs::read_to_string(format!("{folder}/policies/{name}")).unwrap()
        };
        let text = shipped(&format!("{name}.policy"));
        let load = |text: &str| {
            let mut extended = |path: &str, _| {
                let name = path.strip_prefix("built-in:").unwrap_or(path);
                Ok(shipped(name))
            };
            Policy::load(name, text, &mut extended)
        };
        let whole = load(&text).unwrap();
        // Behind its last clause there are only its tests and claims.
        let last = text.lines().rev().find(|line| {
            let is_claim = ["#", "test", "never", "always"].map(|word| line.starts_with(word));
            line.contains('→') && !is_claim.contains(&true)
        });
        let last = last.unwrap();
        let written = text.find(last).unwrap() + last.len();
        let ends = text.match_indices('\n').map(|(at, _)| at);
        for end in ends.filter(|end| *end <= written) {
            if let Ok(part) = load(&text[..end]) {
                let compared = Comparison::new(&whole, &part, NODES).unwrap();
                let wider = compared.direction().unwrap().wider;
                assert!(!wider, "{name}: {}", &text[..end]);
            }
        }
        load(&text[..written]).unwrap();
    }
}
