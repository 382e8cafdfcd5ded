//! Every command that the docs show, with its output: `TRYCMD=overwrite cargo test --test cli`
//! writes them anew, and the difference is what a user would see. And what no page can show:
//! files too large, links that lead away, and that secrets stay where they are.

#![expect(
    clippy::unwrap_used,
    reason = "this is a test: what is missing fails it"
)]

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn gw(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gw"));
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .output()
        .unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn commands_print_what_the_docs_show() {
    trycmd::TestCases::new()
        .env("NO_COLOR", "1")
        .case("README.md")
        .case("tests/cmd/*.md");
}

/// What commands print that do not end, such as `gw serve`, is shown and not run; the digests in it are
/// those of the policies all the same.
#[test]
fn shown_digests_are_those_of_the_policies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = fs::read_dir(root.join("docs")).unwrap();
    let pages = pages.map(|it| it.unwrap().path());
    let mut seen = 0;
    for page in pages.chain([root.join("README.md")]) {
        let Ok(text) = fs::read_to_string(&page) else {
            continue;
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        for (name, digest) in words.iter().zip(words.iter().skip(1)) {
            let is_digest = digest.len() == 12 && digest.chars().all(|it| it.is_ascii_hexdigit());
            let file = name.rsplit(['/', ':']).next().unwrap();
            let file = format!("policies/{file}");
            if is_digest && root.join(&file).is_file() {
                let checked = gw(&["check-policy", &file]);
                let said = String::from_utf8(checked.stdout).unwrap();
                assert!(said.contains(digest), "{}: {name} {digest}", page.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 0, "the README shows what `gw serve` prints");
}

#[test]
fn a_hundred_megabytes_are_refused_by_their_size() {
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large.json");
    File::create(&large).unwrap().set_len(100 << 20).unwrap();
    for arguments in [
        ["explain", path(&large)],
        ["check-policy", path(&large)],
        ["fmt", path(&large)],
    ] {
        let output = gw(&arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {said}");
        assert!(
            said.contains("larger than 1048576 bytes"),
            "{arguments:?}: {said}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_link_does_not_lead_a_policy_out_of_its_folder() {
    let outside = tempfile::tempdir().unwrap();
    let names = outside.path().join("names.policy");
    fs::write(&names, "gw-policy 1\nset lan = { 10.0.0.0/8 }\n").unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(&names, folder.path().join("names.policy")).unwrap();
    let policy = folder.path().join("my.policy");
    fs::write(
        &policy,
        "gw-policy 1\ninclude \"names.policy\"\ndefault → require-pairing\n",
    )
    .unwrap();
    let output = gw(&["check-policy", "--format", "plain", path(&policy)]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("[include-outside]"), "{said}");
}

/// A recording is read whether it is compressed or not.
#[test]
fn a_recording_need_not_be_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.jsonl");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let stored = File::open(root.join("fixtures/observed/2026.4.22.jsonl.gz")).unwrap();
    let lines = BufReader::new(flate2::read::MultiGzDecoder::new(stored)).lines();
    let lines: Vec<String> = lines.take(3).map(Result::unwrap).collect();
    fs::write(&file, lines.join("\n")).unwrap();
    let output = gw(&["explain", "--recorded", path(&file)]);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "token-loopback/schema/missing-minProtocol\ntoken-loopback/schema/missing-maxProtocol\n"
    );
    let row = "token-loopback/schema/missing-maxProtocol";
    let output = gw(&["explain", "--recorded", path(&file), "--row", row]);
    assert_eq!(output.status.code(), Some(0));
}

/// The constants beside a policy count; without, those of the nearest that it extends.
#[test]
fn constants_of_its_own_come_first() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("base.policy", "gw-policy 1\ndefault → approve\n");
    write("middle.policy", "gw-policy 1\nextends \"base.policy\"\n");
    write("mine.policy", "gw-policy 1\nextends \"middle.policy\"\n");
    let policy = folder.path().join("mine.policy");
    let checked = || {
        let output = gw(&["check-policy", "--format", "plain", path(&policy)]);
        String::from_utf8(output.stderr).unwrap()
    };
    write("base.yaml", "forwarding: bogus\n");
    let said = checked();
    assert!(
        said.contains("`bogus` is no value of `forwarding`"),
        "{said}"
    );
    assert!(said.contains("base.yaml:1:13"), "{said}");
    write("mine.yaml", "forwarding: any\n");
    assert_eq!(checked(), "");
    write("mine.yaml", "forwarding: [\n");
    let said = checked();
    assert!(said.contains("mine.yaml: this is not YAML"), "{said}");
    assert!(said.contains("[invalid-constants]"), "{said}");
}

/// Every recorded handshake of the project, in every form: no secret of it is printed, whole
/// or without its first characters.
#[test]
fn no_output_shows_a_secret() {
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/issues")];
    let mut handshakes = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|ending| ending == "json") {
                handshakes.push(entry);
            }
        }
    }
    let mut secrets = 0;
    for handshake in handshakes
        .iter()
        .filter(|file| !file.ends_with("scenarios.json"))
    {
        let recorded: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(handshake).unwrap()).unwrap();
        let hidden = [
            "/settings/auth/token",
            "/settings/auth/password",
            "/connect/params/auth/token",
            "/connect/params/auth/password",
            "/connect/params/auth/deviceToken",
            "/connect/params/device/signature",
            "/pairing/record/tokens/operator/token",
        ];
        let hidden: Vec<&str> = hidden
            .iter()
            .filter_map(|place| recorded.pointer(place)?.as_str())
            .filter(|secret| secret.len() > 4)
            .collect();
        secrets += hidden.len();
        for format in ["human", "plain", "json"] {
            let output = gw(&["explain", "--all", "--format", format, path(handshake)]);
            assert_eq!(output.status.code(), Some(0), "{}", path(handshake));
            let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            for secret in &hidden {
                let tail = secret.get(4..).unwrap();
                assert!(
                    !printed.contains(tail),
                    "{} as {format} shows `{tail}`",
                    path(handshake)
                );
            }
        }
    }
    assert!(secrets > 100, "only {secrets} secrets were looked for");
}

/// `gw init` writes what `gw config check` and `gw check-policy` take, and nothing over anything.
#[test]
fn what_is_written_to_begin_with_loads() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("gateway");
    let init = ["init", "--with-policy", "--dir", path(&dir)];
    let output = gw(&init);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let (config, policy) = (dir.join("gw.yaml"), dir.join("gw.policy"));
    for arguments in [
        &["config", "check", "--strict", path(&config)][..],
        &["check-policy", path(&policy)],
        &["fmt", "--check", path(&policy)],
        &["config", "show", path(&config)],
    ] {
        let output = gw(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    }
    fs::remove_file(&policy).unwrap();
    fs::write(&config, "metrics: true\n").unwrap();
    let output = gw(&init);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("is there already"), "{said}");
    assert!(!policy.exists());
    assert_eq!(fs::read_to_string(&config).unwrap(), "metrics: true\n");
}

#[cfg(unix)]
#[test]
fn a_secret_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    let config = folder.path().join("gw.yaml");
    fs::write(&token, "3f9a1c77e0b24d58-not-a-secret\n").unwrap();
    fs::write(&config, "auth: { token: { file: token } }\nstate: state\n").unwrap();
    let check = || {
        let output = gw(&["config", "check", "--format", "plain", path(&config)]);
        let said = String::from_utf8([output.stderr, output.stdout].concat()).unwrap();
        assert!(!said.contains("3f9a1c77"), "{said}");
        (output.status.code(), said)
    };
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, said) = check();
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(&format!("run `chmod 600 {}`", path(&token))),
        "{said}"
    );
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let (code, said) = check();
    assert_eq!(code, Some(0), "{said}");
}

/// `gw tail` follows a log into the file that is begun next, and says what it is told at once.
#[cfg(unix)]
#[test]
fn a_log_is_followed_into_the_next_file() {
    use std::io::Write as _;
    use std::process::Stdio;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("decisions.jsonl");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lines = fs::read_to_string(root.join("fixtures/log/decisions.jsonl")).unwrap();
    let mut lines = lines.lines().map(|line| format!("{line}\n"));
    let mut add = || {
        let mut options = fs::OpenOptions::new();
        let mut file = options.create(true).append(true).open(&log).unwrap();
        let line = lines.next().unwrap();
        file.write_all(line.as_bytes()).unwrap();
        line
    };
    let first = add();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gw"));
    let mut child = command
        .args(["tail", "--format", "json", path(&log)])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap());
    let mut next = || {
        let mut line = String::new();
        told.read_line(&mut line).unwrap();
        line
    };
    assert_eq!(next(), first);
    let second = add();
    assert_eq!(next(), second);
    fs::rename(&log, folder.path().join("decisions.jsonl.1")).unwrap();
    let third = add();
    assert_eq!(next(), third);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Every policy of `fixtures/fix` is written as its patch says, once; from standard input the policy
/// itself comes out, and only that.
#[test]
fn what_is_mended_is_written_and_then_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "idle.policy",
        "order.policy",
        "base.policy",
        "opening.policy",
    ] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures/fix")
            .join(name);
        fs::copy(from, folder.path().join(name)).unwrap();
    }
    for name in ["idle.policy", "order.policy", "base.policy"] {
        let file = folder.path().join(name);
        let before = fs::read_to_string(&file).unwrap();
        let print = |file: &Path| {
            let said = gw(&["fingerprint", path(file)]).stdout;
            let said = String::from_utf8(said).unwrap();
            said.split(' ').next().unwrap().to_owned()
        };
        let meaning = print(&file);
        let dry = gw(&["check-policy", "--fix", "--dry-run", path(&file)]);
        assert_eq!(fs::read_to_string(&file).unwrap(), before);
        let done = gw(&["check-policy", "--fix", path(&file)]);
        let after = fs::read_to_string(&file).unwrap();
        assert_eq!(print(&file), meaning, "{name}");
        // What is left to its author stays: a rule that is shadowed, one that opens the door.
        assert_eq!(after != before, name == "idle.policy", "{name}");
        assert_eq!(dry.status.code(), done.status.code());
        gw(&["check-policy", "--fix", path(&file)]);
        assert_eq!(fs::read_to_string(&file).unwrap(), after, "{name}");
        if name == "idle.policy" {
            let mut piped = Command::new(env!("CARGO_BIN_EXE_gw"))
                .args(["check-policy", "--fix", "-"])
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            let mut stdin = piped.stdin.take().unwrap();
            std::io::Write::write_all(&mut stdin, before.as_bytes()).unwrap();
            drop(stdin);
            let printed = piped.wait_with_output().unwrap().stdout;
            assert_eq!(String::from_utf8(printed).unwrap(), after);
        }
    }
}
