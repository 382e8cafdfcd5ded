//! A child process, ended with this program, and what the kernel says of it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A child process.
pub(crate) struct Process {
    child: Child,
    /// From its start until it said where it listens.
    pub(crate) started_in: Duration,
    /// Whether processes that it started count as it.
    helped: bool,
}

/// How long it may take until it is ready.
const START: Duration = Duration::from_secs(180);

/// How many ticks of processor time the kernel counts a second, in what it tells of processes.
const TICKS: u64 = 100;

impl Process {
    /// Starts one, and waits for the first line that it prints.
    pub(crate) fn start(command: &mut Command) -> (Self, String) {
        let began = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let printed = child.stdout.take().expect("its output is piped");
        let mut line = String::new();
        let mut printed = BufReader::new(printed);
        printed.read_line(&mut line).expect("it prints a line");
        let started_in = began.elapsed();
        // What else it prints is read, so that it never waits for a reader.
        std::thread::spawn(move || std::io::copy(&mut printed, &mut std::io::sink()));
        let process = Process {
            child,
            started_in,
            helped: false,
        };
        (process, line)
    }

    /// Starts one that helpers of its own may help, and waits until it is ready.
    pub(crate) fn start_with_helpers(command: &mut Command, is_ready: impl Fn() -> bool) -> Self {
        let began = Instant::now();
        let child = command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process {
            child: child.spawn().expect("it starts"),
            started_in: Duration::ZERO,
            helped: true,
        };
        while !is_ready() {
            let ended = process.child.try_wait().expect("a child");
            assert!(ended.is_none(), "it ended: {ended:?}");
            assert!(began.elapsed() < START, "it does not let anybody in");
            std::thread::sleep(Duration::from_millis(200));
        }
        process.started_in = began.elapsed();
        process
    }

    /// Processor time of all its threads so far, those that have ended among them, to a tick.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        let ticks: u64 = self.tree().into_iter().filter_map(ticks).sum();
        (ticks > 0).then(|| Duration::from_millis(ticks * 1_000 / TICKS))
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> Option<u64> {
        let each = self.tree().into_iter().map(resident);
        each.sum()
    }

    /// How many files it has open.
    pub(crate) fn files(&self) -> Option<usize> {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).ok()?;
        Some(files.count())
    }

    /// Closes what it reads, and waits until it has ended.
    pub(crate) fn end(mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }

    /// It, and where helpers count all that were started by it and by them.
    fn tree(&self) -> Vec<u32> {
        let mut tree = vec![self.child.id()];
        let mut at = 0;
        while let (true, Some(&process)) = (self.helped, tree.get(at)) {
            at += 1;
            let Ok(tasks) = std::fs::read_dir(format!("/proc/{process}/task")) else {
                continue;
            };
            let children = tasks.flatten().filter_map(|task| {
                let children = std::fs::read_to_string(task.path().join("children"));
                children.ok()
            });
            let children: Vec<String> = children.collect();
            let ids = children.iter().flat_map(|ids| ids.split_whitespace());
            tree.extend(ids.filter_map(|id| id.parse::<u32>().ok()));
        }
        tree
    }
}

/// What a process took so far, with its threads that have ended.
fn ticks(process: u32) -> Option<u64> {
    let told = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program may hold anything; what follows it is numbers.
    let (_, numbers) = told.rsplit_once(')')?;
    let mut numbers = numbers.split_whitespace().skip(11);
    let user: u64 = numbers.next()?.parse().ok()?;
    let system: u64 = numbers.next()?.parse().ok()?;
    Some(user + system)
}

fn resident(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1_024)
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
