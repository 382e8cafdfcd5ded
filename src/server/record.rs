//! What is told of connections: lines of the log, counts, and the last of them to look at.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::decision_log::DecisionLog;
use super::gateway::lock;
use super::metrics::{Limit, Metrics, Outcome};
use super::snapshot::Snapshot;
use crate::admission::{Admission, Reply};
use crate::journal::{Connection, Finish, Line, Unfinished, read};
use crate::verdict::VerdictKind;
use crate::wire::reply::HttpReason;

/// How many lines may be looked at without the log.
const RECENT: usize = 256;

/// Tells of connections.
#[derive(Debug, Default)]
pub(super) struct Record {
    log: Option<DecisionLog>,
    pub(super) metrics: Metrics,
    recent: Mutex<VecDeque<Recent>>,
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
    pub(super) fn new(log: Option<DecisionLog>) -> Self {
        Record {
            log,
            ..Record::default()
        }
    }

    /// Writes a line, and gives it back.
    pub(super) fn write(&self, line: &Line, snapshot: Option<&Arc<Snapshot>>) -> Recent {
        let recent = Recent {
            text: line.text().into(),
            snapshot: snapshot.cloned(),
        };
        if let Some(log) = &self.log {
            log.write_text(recent.text.to_string());
            self.metrics.log_lines_dropped(log.dropped());
        }
        let mut kept = lock(&self.recent);
        if kept.len() == RECENT {
            kept.pop_front();
        }
        kept.push_back(recent.clone());
        recent
    }

    /// The last lines, the newest first.
    pub(super) fn recent(&self) -> Vec<Recent> {
        lock(&self.recent).iter().rev().cloned().collect()
    }

    /// A request was answered over HTTP in place of a WebSocket.
    pub(super) fn upgrade_refused(&self, line: &Line, reason: HttpReason, by: &Arc<Snapshot>) {
        self.metrics.http_refused(reason);
        if reason == HttpReason::WaitingSockets {
            self.metrics.limited(Limit::PerAddress);
        }
        self.write(line, Some(by));
    }

    /// A first message was refused before any policy was asked.
    pub(super) fn frame_refused(&self, line: &Line) {
        self.metrics.handshake(Outcome::Invalid, None);
        self.write(line, None);
    }

    /// A connection ended before it was decided.
    pub(super) fn unfinished(&self, connection: &Connection, line: &Line, why: Unfinished) {
        tracing::debug!(connection = %connection.id, peer = ?connection.remote, "closed before connect: {why}");
        self.metrics.handshake(Outcome::Unfinished, None);
        self.write(line, None);
    }

    /// A connection was decided, and so answered.
    pub(super) fn decided(
        &self,
        line: &Line,
        admission: &Admission,
        reply: &Reply,
        by: &Arc<Snapshot>,
        took: Duration,
    ) -> Recent {
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
                scopesTo = list(&upgrade.scopes_to),
                client = %event.client,
                conn = %line.connection,
                "device access upgrade requested"
            );
        }
        tracing::debug!(connection = %line.connection, "{}", admission.event);
        self.write(line, Some(by))
    }

    /// A session ended.
    pub(super) fn session_ended(&self, line: &Line, why: Finish) {
        self.metrics.session_ended(why);
        self.write(line, None);
    }

    /// Whatever is not written yet is written, if that does not take too long.
    pub(super) fn close(&self, deadline: Duration) {
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
