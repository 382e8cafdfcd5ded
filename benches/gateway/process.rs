//! A child process, ended with this program, and what the kernel says of it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A child process.
pub(crate) struct Process {
    child: Child,
    /// From its start until it said where it listens.
    pub(crate) started_in: Duration,
}

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
        (Process { child, started_in }, line)
    }

    /// Processor time of all its threads so far.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()?;
        let on_cpu = |task: std::fs::DirEntry| {
            let told = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            told.split(' ').next()?.parse::<u64>().ok()
        };
        let spent = tasks.flatten().filter_map(on_cpu).sum();
        (spent > 0).then(|| Duration::from_nanos(spent))
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib * 1_024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
