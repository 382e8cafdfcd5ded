//! What is told of connections: lines of the log, counts, and the last of them to look at.
//!
//! Lines of connections that nothing was decided of are a stranger's to make, and so are those of
//! connections that were refused and proved no secret. They are counted by address, and kept apart
//! from the others, which stay as long as if there were none of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::clock::{now_ms, steady_ms};
use super::covered::Covered;
use super::decision_log::{DecisionLog, Share};
use super::gateway::lock;
use super::metrics::{Limit, Metrics, Outcome};
use super::snapshot::Snapshot;
use super::strangers::{LeftOut, Strangers};
use super::waiting::Address;
use crate::admission::{Admission, Reply};
use crate::facts::Auth;
use crate::journal::{Finish, Line, Unfinished, read};
use crate::settings::Settings;
use crate::verdict::VerdictKind;
use crate::wire::reply::HttpReason;

/// How many lines may be looked at without the log.
const RECENT: usize = 256;

/// How many more of connections that nothing was decided of.
const RECENT_STRANGERS: usize = 64;

/// Tells of connections.
#[derive(Debug, Default)]
pub(super) struct Record {
    log: Option<DecisionLog>,
    pub(super) metrics: Metrics,
    strangers: Mutex<Strangers>,
    recent: Mutex<Lines>,
    /// What no line has.
    covered: ArcSwap<Covered>,
}

/// The last lines, each with its number, the oldest first.
#[derive(Debug, Default)]
struct Lines {
    number: u64,
    decided: VecDeque<(u64, Recent)>,
    strangers: VecDeque<(u64, Recent)>,
}

impl Lines {
    fn keep(&mut self, recent: Recent, share: Share) {
        let (lines, most) = match share {
            Share::Whole => (&mut self.decided, RECENT),
            Share::Stranger | Share::LeftOut(_) => (&mut self.strangers, RECENT_STRANGERS),
        };
        if lines.len() == most {
            lines.pop_front();
        }
        lines.push_back((self.number, recent));
        self.number += 1;
    }
}

/// A line, with the policy that it speaks of.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    pub(super) text: Arc<str>,
    pub(super) snapshot: Option<Arc<Snapshot>>,
}

impl Recent {
    /// Whether it says how a connection was decided.
    pub(super) fn is_decision_of(&self, connection: &str) -> bool {
        self.snapshot.is_some()
            && read::line(&self.text).is_ok_and(|line| &*line.connection == connection)
    }
}

impl Record {
    pub(super) fn new(log: Option<DecisionLog>, settings: &Settings) -> Self {
        let record = Record {
            log,
            ..Record::default()
        };
        record.covers(settings);
        record
    }

    /// No line has the secrets of these settings from now on.
    pub(super) fn covers(&self, settings: &Settings) {
        self.covered.store(Arc::new(Covered::of(settings)));
    }

    /// Writes a line, and gives it back.
    pub(super) fn write(&self, line: &Line, snapshot: Option<&Arc<Snapshot>>) -> Recent {
        self.put(line, snapshot, Share::Whole)
    }

    fn put(&self, line: &Line, snapshot: Option<&Arc<Snapshot>>, share: Share) -> Recent {
        let recent = Recent {
            text: self.covered.load().cover(line.text()).into(),
            snapshot: snapshot.cloned(),
        };
        if let Some(log) = &self.log {
            log.write_text(Arc::clone(&recent.text), share);
        }
        lock(&self.recent).keep(recent.clone(), share);
        recent
    }

    /// All that is counted, as text: the lines of the log as far as it has got.
    pub(super) fn metrics_page(&self) -> String {
        if let Some(log) = &self.log {
            self.metrics.log_lines_dropped(log.dropped());
            self.metrics.log_lines_left_out(log.take_left_out());
        }
        self.metrics.encode()
    }

    /// Writes a line of a stranger's connection, unless its address has as many as may be.
    fn put_strangers(
        &self,
        whose: Address,
        line: &Line,
        snapshot: Option<&Arc<Snapshot>>,
    ) -> Option<Recent> {
        self.tell_left_out(false);
        let admits = lock(&self.strangers).admits(whose, steady_ms());
        if !admits {
            self.metrics.log_lines_left_out(1);
        }
        admits.then(|| self.put(line, snapshot, Share::Stranger))
    }

    /// Says how many lines were left out, once a second is over; or now, where it `ends`.
    pub(super) fn tell_left_out(&self, ends: bool) {
        let left_out = lock(&self.strangers).left_out(steady_ms(), ends);
        for LeftOut { address, count } in left_out {
            let from = address.map(|address| address.to_string());
            let line = Line::lines_left_out(now_ms(), from.as_deref(), count);
            self.put(&line, None, Share::LeftOut(count));
        }
    }

    /// The last lines, the newest first.
    pub(super) fn recent(&self) -> Vec<Recent> {
        let lines = lock(&self.recent);
        let mut all: Vec<&(u64, Recent)> = lines.decided.iter().chain(&lines.strangers).collect();
        all.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
        all.into_iter().map(|(_, recent)| recent.clone()).collect()
    }

    /// A request was answered over HTTP in place of a WebSocket.
    pub(super) fn upgrade_refused(
        &self,
        whose: Address,
        line: &Line,
        reason: HttpReason,
        by: &Arc<Snapshot>,
    ) {
        self.metrics.http_refused(reason);
        if reason == HttpReason::WaitingSockets {
            self.metrics.limited(Limit::PerAddress);
        }
        let _ = self.put_strangers(whose, line, Some(by));
    }

    /// A first message was refused before any policy was asked.
    pub(super) fn frame_refused(&self, whose: Address, line: &Line) {
        self.metrics.handshake(Outcome::Invalid, None);
        let _ = self.put_strangers(whose, line, None);
    }

    /// A connection ended before it was decided.
    pub(super) fn unfinished(&self, whose: Address, line: &Line, why: Unfinished) {
        tracing::debug!(connection = %line.connection, peer = ?line.remote, "closed before connect: {why}");
        self.metrics.handshake(Outcome::Unfinished, None);
        let _ = self.put_strangers(whose, line, None);
    }

    /// A connection was decided, and so answered. Gives its line, which one that is admitted always
    /// has.
    pub(super) fn decided(
        &self,
        line: &Line,
        admission: &Admission,
        reply: &Reply,
        by: &Arc<Snapshot>,
        took: Duration,
    ) -> Option<Recent> {
        let verdict = admission.decision.verdict;
        self.metrics.decided(verdict);
        let outcome = match (reply, verdict.kind()) {
            (Reply::Admitted(_), _) => Outcome::Admitted,
            (_, VerdictKind::RequirePairing) => Outcome::Waiting,
            (_, _) => Outcome::Refused,
        };
        self.metrics.handshake(outcome, Some(took));
        if let Some(upgrade) = line.upgrade.as_ref() {
            let event = &admission.event;
            // As OpenClaw's operators know it: an address is told wherever one is known.
            let ip = match event.client_ip.ip() {
                Some(_) => event.client_ip,
                None => event.peer,
            };
            tracing::info!(
                reason = %upgrade.reason,
                device = event.device.as_deref().unwrap_or_default(),
                %ip,
                auth = %event.auth,
                roleFrom = list(&upgrade.roles_from),
                roleTo = %upgrade.role_to,
                scopesFrom = list(&upgrade.scopes_from),
                scopesTo = self.covered.load().cover(list(&upgrade.scopes_to)),
                client = %event.client,
                conn = %line.connection,
                "device access upgrade requested"
            );
        }
        tracing::debug!(
            connection = %line.connection,
            "{}",
            self.covered.load().cover(admission.event.to_string())
        );
        let facts = &admission.facts;
        let proved_nothing = matches!(facts.auth, Auth::None | Auth::Failed | Auth::Open);
        match proved_nothing && !verdict.admits() {
            true => {
                let whose = Address::of_client(facts.transport, facts.client_ip);
                self.put_strangers(whose, line, Some(by))
            }
            false => Some(self.write(line, Some(by))),
        }
    }

    /// A session ended.
    pub(super) fn session_ended(&self, line: &Line, why: Finish) {
        self.metrics.session_ended(why);
        self.write(line, None);
    }

    /// Whatever is not written yet is written, if that does not take too long.
    pub(super) fn close(&self, deadline: Duration) {
        self.tell_left_out(true);
        if let Some(log) = &self.log
            && !log.close(deadline)
        {
            tracing::warn!("the log of decisions could not be written to its end");
        }
    }
}

/// Names as the log has them: in order, and `<none>` where there is none.
fn list(names: &[Box<str>]) -> String {
    let mut names: Vec<&str> = names.iter().map(|name| &**name).collect();
    names.sort_unstable();
    match names.is_empty() {
        true => "<none>".to_owned(),
        false => names.join(","),
    }
}
