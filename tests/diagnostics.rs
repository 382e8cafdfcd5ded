//! The pages of the diagnostics, `docs/diagnostics/NAME.md`, are run: what stands under
//! **Fires** raises that diagnostic and no other, what stands under **Mended** raises none.
//! The blocks of `docs/language.md` that are whole policies load.
//!
//! A block's info string says what it is: `policy`, `policy FILE` and `json FILE` for policies
//! of several files, of which `main.policy` or the first is loaded; `policy padded=BYTES` for
//! one that is filled up with comments; `yaml FILE` for a configuration or constants; `console` for
//! command lines, each after `$ `, which are run beside the files of their example, if it has any.
//! `answer` is what a listener answers to those after it, and `gateway FLAGS` is a gateway that
//! serves for them: its port is `PORT` there, and its state folder `STATE`.

#![expect(clippy::unwrap_used, reason = "a harness fails loudly")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use gw::Policy;
use gw::diagnostic::render::{Format, render};
use gw::diagnostic::{Code, Diagnostics};
use gw::lang::ReadError;
use gw::source::Sources;
use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

fn main() {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = Code::ALL
        .iter()
        .map(|code| Trial::test(code.name(), || page(*code).map_err(Failed::from)))
        .collect();
    trials.push(Trial::test("every page has a code", || {
        every_page_has_a_code().map_err(Failed::from)
    }));
    trials.push(Trial::test("language.md", || {
        language().map_err(Failed::from)
    }));
    libtest_mimic::run(&arguments, trials).exit();
}

struct Block<'a> {
    info: &'a str,
    text: String,
}

/// The fenced blocks of a text.
fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => {
                open = Some(Block {
                    info,
                    text: String::new(),
                })
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

fn page(code: Code) -> Result<(), String> {
    let page = code.page();
    let (_, examples) = page.split_once("\n**Fires**\n").ok_or("no **Fires**")?;
    let (fires, mended) = examples
        .split_once("\n**Mended**\n")
        .ok_or("no **Mended**")?;
    raises(fires, Some(code)).map_err(|error| format!("under **Fires**:\n{error}"))?;
    raises(mended, None).map_err(|error| format!("under **Mended**:\n{error}"))
}

/// Runs an example and compares what it raises.
fn raises(example: &str, code: Option<Code>) -> Result<(), String> {
    let blocks = blocks(example);
    if blocks.is_empty() {
        return Err("no example".to_owned());
    }
    if blocks.iter().any(|block| block.info == "console") {
        let mut stand_in = StandIn::default();
        for block in &blocks {
            match block.info.split_once(' ').unwrap_or((block.info, "")) {
                ("answer", _) => stand_in = StandIn::answering(&block.text),
                ("gateway", flags) => stand_in = StandIn::gateway(flags),
                ("policy" | "yaml", name) => {
                    fs::write(stand_in.state.path().join(name), &block.text).unwrap();
                    stand_in.has_files = true;
                }
                (_, _) => console(block, &stand_in, code)?,
            }
        }
        return Ok(());
    }
    let (diagnostics, sources) = load(&blocks)?;
    let mut found: Vec<Code> = diagnostics
        .0
        .iter()
        .map(|diagnostic| diagnostic.code)
        .collect();
    found.dedup();
    if found == Vec::from_iter(code) {
        return Ok(());
    }
    let expected = code.map_or("nothing", Code::name);
    let shown = render(&diagnostics, &sources, Format::Human { colour: false });
    Err(format!("raises\n{shown}\nand should raise {expected}"))
}

fn load(blocks: &[Block<'_>]) -> Result<(Diagnostics, Sources), String> {
    let mut files = BTreeMap::new();
    for block in blocks {
        let (kind, rest) = block
            .info
            .split_once(' ')
            .unwrap_or((block.info, "main.policy"));
        if kind != "policy" && kind != "json" {
            return Err(format!("`{kind}` is no kind of block"));
        }
        match rest.strip_prefix("padded=") {
            Some(bytes) => {
                let mut text = format!("{}#", block.text);
                let missing = bytes.parse::<usize>().unwrap() - text.len();
                text.push_str(&"x".repeat(missing));
                files.insert("main.policy", text);
            }
            None => {
                files.insert(rest, block.text.clone());
            }
        }
    }
    let main = files.get("main.policy").ok_or("no main.policy")?.clone();
    let policy = Policy::load("main.policy", &main, &mut |path, _| {
        files.get(path).cloned().ok_or(ReadError::NotFound)
    });
    Ok(match policy {
        Ok(policy) => (policy.warnings().clone(), policy.sources().clone()),
        Err(error) => (error.diagnostics, error.sources),
    })
}

/// Runs `$ gw …`: arguments are separated by spaces, or stand between single quotes.
fn console(block: &Block<'_>, stand_in: &StandIn, code: Option<Code>) -> Result<(), String> {
    let text = block.text.replace("PORT", &stand_in.port);
    for line in text
        .replace("STATE", stand_in.state.path().to_str().unwrap())
        .lines()
        .filter_map(|line| line.strip_prefix("$ gw "))
    {
        let arguments = line.split('\'').enumerate().flat_map(|(index, part)| {
            if index % 2 == 1 {
                vec![part]
            } else {
                part.split_whitespace().collect()
            }
        });
        let mut command = Command::new(env!("CARGO_BIN_EXE_gw"));
        if stand_in.has_files {
            command.current_dir(stand_in.state.path());
        }
        let output = command
            .env("XDG_CONFIG_HOME", stand_in.state.path())
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let raised = code.is_none_or(|code| said.contains(&format!("[{}]", code.name())));
        if output.status.success() != code.is_none() || !raised {
            return Err(format!("{line}\n{}\n{said}", output.status));
        }
    }
    Ok(())
}

/// What command lines meet; nothing, unless they say so.
struct StandIn {
    port: String,
    state: TempDir,
    /// Whether policies stand there: then command lines are run there, too.
    has_files: bool,
    gateway: Option<Child>,
}

impl Default for StandIn {
    fn default() -> Self {
        StandIn {
            port: "1".to_owned(),
            state: tempfile::tempdir().unwrap(),
            has_files: false,
            gateway: None,
        }
    }
}

impl StandIn {
    /// Answers every connection with a text, once something was said.
    fn answering(text: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let answer = text.replace('\n', "\r\n");
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 4_096]);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        let mut stand_in = StandIn::default();
        stand_in.port = port;
        stand_in
    }

    /// Serves with these flags.
    fn gateway(flags: &str) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut gateway = Command::new(env!("CARGO_BIN_EXE_gw"))
            .args(["serve", "--port", "0", "--state"])
            .arg(state.path())
            .args(flags.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut lines = BufReader::new(gateway.stdout.take().unwrap());
        lines.read_line(&mut first).unwrap();
        let port = first.trim().rsplit(':').next().unwrap().to_owned();
        StandIn {
            port,
            state,
            has_files: false,
            gateway: Some(gateway),
        }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let Some(gateway) = &mut self.gateway {
            let _ = gateway.kill();
            let _ = gateway.wait();
        }
    }
}

fn every_page_has_a_code() -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/diagnostics");
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.strip_suffix(".md").and_then(Code::parse).is_none() {
            return Err(format!("{name} is no diagnostic's page"));
        }
    }
    Ok(())
}

/// A `policy` block that begins with its edition is a whole file, and loads; one that does not
/// is a part of one, and loads between an edition and a default. Blocks with file names belong
/// to the last whole file before them.
fn language() -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/language.md");
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let blocks = blocks(&text);
    let mut files = Vec::new();
    for Block { info, text } in &blocks {
        if let Some(name) = info.strip_prefix("policy ") {
            files.push((name.to_owned(), text.clone()));
        }
    }
    let mut checked = 0;
    for Block { info, text } in blocks
        .iter()
        .filter(|block| block.info.starts_with("policy"))
    {
        let mut whole = text.clone();
        if !whole.starts_with("gw-policy 1") {
            whole = format!("gw-policy 1\n{whole}");
        }
        let vocabulary = info
            .strip_prefix("policy ")
            .is_some_and(|name| name.starts_with("names"));
        let answers = |line: &str| line.starts_with("default") || line.starts_with("extends");
        if vocabulary || !whole.lines().any(answers) {
            whole.push_str("default → require-pairing\n");
        }
        let policy = Policy::load("checked.policy", &whole, &mut |path, _| {
            let found = files.iter().find(|(name, _)| name == path);
            found
                .map(|(_, text)| text.clone())
                .ok_or(ReadError::NotFound)
        });
        if let Err(error) = policy {
            let shown = render(
                &error.diagnostics,
                &error.sources,
                Format::Human { colour: false },
            );
            return Err(format!("{whole}\n{shown}"));
        }
        checked += 1;
    }
    if checked == 0 {
        Err("no block is checked".to_owned())
    } else {
        Ok(())
    }
}
