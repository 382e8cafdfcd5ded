//! What is counted: families with labels of closed vocabularies, in the text of OpenMetrics.
//!
//! No label is ever a text of a client's: words come from the tables of verdicts, reasons, kinds
//! of lines and ends. Who serves counts; nothing is looked up here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::auth::limiter::{By, Counts, Guess, Remembered};
use crate::facts::word::words;
use crate::journal::{Finish, http_reason};
use crate::verdict::{Verdict, VerdictKind};
use crate::wire::reply::{HttpReason, HttpRefusal};

/// What `Content-Type` says of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Said of a label where there is nothing to say.
const NONE: &str = "none";

words! {
    /// What came of a handshake.
    Outcome {
        Admitted "admitted" "a session began",
        Waiting "waiting" "a request was kept for the owner",
        Refused "refused" "it was decided, and refused",
        Invalid "invalid" "the first message was refused before any policy was asked",
        Unfinished "unfinished" "it ended before it was decided",
    }
}

words! {
    /// A limit on connections.
    Limit {
        PerAddress "unadmitted-per-address" "too many of one address were waiting for their admission",
        Unadmitted "unadmitted" "too many in all were waiting for their admission, and most of its address",
        Connections "connections" "too many in all",
    }
}

words! {
    /// How the server behind is asked.
    Over {
        WebSocket "websocket" "for a client that is admitted",
        Http "http" "for a page",
    }
}

/// A family of counters with one label, or with two.
type One = Family<[(&'static str, &'static str); 1], Counter>;
type Two = Family<[(&'static str, &'static str); 2], Counter>;
/// A family of gauges with one label.
type Now = Family<[(&'static str, &'static str); 1], Gauge>;

/// A connection that is served; it is no more when this is dropped.
#[derive(Debug)]
pub struct Served(Gauge);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// All that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    decisions: Two,
    handshakes: One,
    handshake_seconds: Histogram,
    http_refusals: Two,
    connections: Gauge,
    connections_refused: One,
    tasks: Gauge,
    auth_failures: One,
    auth_not_tried: One,
    auth_lockouts: One,
    auth_sources: Now,
    auth_locks: Now,
    auth_sources_forgotten: Counter,
    auth_no_room: Counter,
    sessions: Gauge,
    sessions_ended: One,
    requests_waiting: Gauge,
    reloads: One,
    policy_differs: Gauge,
    upstream: Two,
    log_lines_dropped: Counter<u64, AtomicU64>,
    log_lines_left_out: Counter<u64, AtomicU64>,
    store_failures: Counter<u64, AtomicU64>,
    panics: Counter<u64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl Metrics {
    /// Everything at zero, in a registry of its own.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("gw"),
            decisions: Family::default(),
            handshakes: Family::default(),
            handshake_seconds: Histogram::new(BOUNDS),
            http_refusals: Family::default(),
            connections: Gauge::default(),
            connections_refused: Family::default(),
            tasks: Gauge::default(),
            auth_failures: Family::default(),
            auth_not_tried: Family::default(),
            auth_lockouts: Family::default(),
            auth_sources: Family::default(),
            auth_locks: Family::default(),
            auth_sources_forgotten: Counter::default(),
            auth_no_room: Counter::default(),
            sessions: Gauge::default(),
            sessions_ended: Family::default(),
            requests_waiting: Gauge::default(),
            reloads: Family::default(),
            policy_differs: Gauge::default(),
            upstream: Family::default(),
            log_lines_dropped: Counter::default(),
            log_lines_left_out: Counter::default(),
            store_failures: Counter::default(),
            panics: Counter::default(),
        };
        metrics.register();
        metrics.register_limiter();
        metrics.begin_at_zero();
        metrics
    }

    fn register(&mut self) {
        let all = &mut self.registry;
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        all.register("build", "This program", build);
        all.register(
            "decisions",
            "Connections that were decided, by verdict and reason",
            self.decisions.clone(),
        );
        all.register(
            "handshakes",
            "Connections that asked for a WebSocket and got one, by what came of them",
            self.handshakes.clone(),
        );
        all.register_with_unit(
            "handshake_duration",
            "From the first message to its answer",
            Unit::Seconds,
            self.handshake_seconds.clone(),
        );
        all.register(
            "http_refusals",
            "Requests that were answered over HTTP in place of a WebSocket, by status and reason",
            self.http_refusals.clone(),
        );
        all.register(
            "connections",
            "Connections that are served, admitted or not",
            self.connections.clone(),
        );
        all.register(
            "tasks",
            "Tasks of the runtime that are alive",
            self.tasks.clone(),
        );
        all.register(
            "connections_refused",
            "Connections that were refused by a limit",
            self.connections_refused.clone(),
        );
        all.register("sessions", "Sessions that are open", self.sessions.clone());
        all.register(
            "sessions_ended",
            "Sessions that ended, by why",
            self.sessions_ended.clone(),
        );
        all.register(
            "pairing_requests_waiting",
            "Requests that wait for the owner",
            self.requests_waiting.clone(),
        );
        all.register(
            "policy_reloads",
            "Policies that were loaded, the first at the start, by how it went",
            self.reloads.clone(),
        );
        all.register(
            "policy_differs",
            "1 while the policy on the disk is not the one in force",
            self.policy_differs.clone(),
        );
        all.register(
            "upstream_requests",
            "Connections and requests that were made to the server behind, by how it took them",
            self.upstream.clone(),
        );
        all.register(
            "decision_log_lines_dropped",
            "Lines of the log of decisions that could not be written",
            self.log_lines_dropped.clone(),
        );
        all.register(
            "decision_log_lines_left_out",
            "Connections of strangers, that nothing was decided of or that proved no secret, too many for a line each",
            self.log_lines_left_out.clone(),
        );
        all.register(
            "store_failures",
            "Commits to the store that failed: what was decided was not kept",
            self.store_failures.clone(),
        );
        all.register(
            "panics",
            "Faults of gw's own, each of which ended a connection or had something begin again",
            self.panics.clone(),
        );
    }

    fn register_limiter(&mut self) {
        let all = &mut self.registry;
        all.register(
            "auth_failures",
            "Wrong credentials that counted, by what was guessed",
            self.auth_failures.clone(),
        );
        all.register(
            "auth_not_tried",
            "Credentials that were not looked at, since too many had failed, by what they were",
            self.auth_not_tried.clone(),
        );
        all.register(
            "auth_lockouts",
            "Sources that were locked out, by what they are told apart by",
            self.auth_lockouts.clone(),
        );
        all.register(
            "auth_sources",
            "Sources that failed and are remembered",
            self.auth_sources.clone(),
        );
        all.register(
            "auth_locks",
            "Sources that are locked out now",
            self.auth_locks.clone(),
        );
        all.register(
            "auth_sources_forgotten",
            "Sources that were forgotten early, to make room for others",
            self.auth_sources_forgotten.clone(),
        );
        all.register(
            "auth_no_room",
            "Wrong credentials of sources that there was no room for",
            self.auth_no_room.clone(),
        );
    }

    /// Families whose labels are few say all of them from the start, so that a rate is one.
    fn begin_at_zero(&self) {
        let admitting = VerdictKind::ALL.iter().filter(|kind| kind.admits());
        for kind in admitting {
            let labels = [("verdict", kind.name()), ("reason", NONE)];
            drop(self.decisions.get_or_create(&labels));
        }
        let families = [
            (&self.handshakes, "outcome", Outcome::WORDS),
            (&self.connections_refused, "limit", Limit::WORDS),
            (&self.sessions_ended, "reason", Finish::WORDS),
            (&self.auth_failures, "guess", Guess::WORDS),
            (&self.auth_not_tried, "guess", Guess::WORDS),
            (&self.auth_lockouts, "by", By::WORDS),
        ];
        for (family, label, words) in families {
            for word in words {
                drop(family.get_or_create(&[(label, word.name)]));
            }
        }
        self.limiter_remembers(&Remembered::default());
        for result in ["ok", "failed"] {
            drop(self.reloads.get_or_create(&[("result", result)]));
            for over in Over::WORDS {
                let labels = [("over", over.name), ("result", result)];
                drop(self.upstream.get_or_create(&labels));
            }
        }
    }

    /// A connection was decided.
    pub fn decided(&self, verdict: Verdict) {
        let reason = match verdict {
            Verdict::Reject(reason) => reason.name(),
            Verdict::RequirePairing(reason) => reason.name(),
            Verdict::Approve(_) | Verdict::SilentApprove(_) => NONE,
        };
        let labels = [("verdict", verdict.kind().name()), ("reason", reason)];
        self.decisions.get_or_create(&labels).inc();
    }

    /// A handshake came to its end. `took` is from the first message to its answer, of one that
    /// sent a message.
    pub fn handshake(&self, outcome: Outcome, took: Option<Duration>) {
        let labels = [("outcome", outcome.name())];
        self.handshakes.get_or_create(&labels).inc();
        if let Some(took) = took {
            self.handshake_seconds.observe(took.as_secs_f64());
        }
    }

    /// A request was answered over HTTP in place of a WebSocket.
    pub fn http_refused(&self, reason: HttpReason) {
        let status = match HttpRefusal::of(reason).status {
            403 => "403",
            429 => "429",
            503 => "503",
            _ => "other",
        };
        let labels = [("status", status), ("reason", http_reason(reason))];
        self.http_refusals.get_or_create(&labels).inc();
    }

    /// A connection was refused by a limit.
    pub fn limited(&self, limit: Limit) {
        let labels = [("limit", limit.name())];
        self.connections_refused.get_or_create(&labels).inc();
    }

    /// A connection is served, for as long as what this gives is kept.
    #[must_use]
    pub fn connection_began(&self) -> Served {
        self.connections.inc();
        Served(self.connections.clone())
    }

    /// So many tasks are alive now.
    pub fn tasks(&self, count: usize) {
        self.tasks.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// What became of credentials since this was told last.
    pub fn limiter_counted(&self, counts: &Counts) {
        let by_guess = [
            (&self.auth_failures, &counts.failed),
            (&self.auth_not_tried, &counts.locked),
        ];
        for (family, counts) in by_guess {
            for (guess, count) in counts {
                let labels = [("guess", guess.name())];
                family.get_or_create(&labels).inc_by(*count);
            }
        }
        for (by, count) in &counts.lockouts {
            let labels = [("by", by.name())];
            self.auth_lockouts.get_or_create(&labels).inc_by(*count);
        }
        self.auth_sources_forgotten.inc_by(counts.forgotten);
        self.auth_no_room.inc_by(counts.no_room);
    }

    /// What the limiter remembers now.
    pub fn limiter_remembers(&self, now: &Remembered) {
        let all = [
            (&self.auth_sources, &now.sources),
            (&self.auth_locks, &now.locks),
        ];
        for (family, counts) in all {
            for by in By::ALL {
                let count = counts.get(by).copied().unwrap_or_default();
                let labels = [("by", by.name())];
                let gauge = family.get_or_create(&labels);
                gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
    }

    /// A session began.
    pub fn session_began(&self) {
        self.sessions.inc();
    }

    /// A session ended.
    pub fn session_ended(&self, why: Finish) {
        self.sessions.dec();
        let labels = [("reason", why.name())];
        self.sessions_ended.get_or_create(&labels).inc();
    }

    /// So many requests wait for the owner now.
    pub fn requests_waiting(&self, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.requests_waiting.set(count);
    }

    /// The policy was read again: whether it loaded. One that did not leaves the last one in
    /// force, so that the disk differs from it.
    pub fn policy_reloaded(&self, loaded: bool) {
        let labels = [("result", if loaded { "ok" } else { "failed" })];
        self.reloads.get_or_create(&labels).inc();
        self.policy_differs(!loaded);
    }

    /// The server behind was asked: whether it took the client, or answered the request.
    pub fn upstream_asked(&self, over: Over, took: bool) {
        let labels = [
            ("over", over.name()),
            ("result", if took { "ok" } else { "failed" }),
        ];
        self.upstream.get_or_create(&labels).inc();
    }

    /// Whether the policy on the disk is another one than the one in force.
    pub fn policy_differs(&self, differs: bool) {
        self.policy_differs.set(i64::from(differs));
    }

    /// How many lines of the log were lost so far:
    /// [`DecisionLog::dropped`](super::decision_log::DecisionLog::dropped).
    pub fn log_lines_dropped(&self, total: u64) {
        self.log_lines_dropped
            .inner()
            .fetch_max(total, Ordering::Relaxed);
    }

    /// So many more connections of strangers have no line.
    pub fn log_lines_left_out(&self, count: u64) {
        self.log_lines_left_out.inc_by(count);
    }

    /// A commit to the store failed.
    pub fn store_failed(&self) {
        self.store_failures.inc();
    }

    /// Something of our own panicked.
    pub(super) fn panicked(&self) {
        self.panics.inc();
    }

    /// All of it as text, of the type [`CONTENT_TYPE`].
    #[must_use]
    pub fn encode(&self) -> String {
        let mut page = String::new();
        match text::encode(&mut page, &self.registry) {
            Ok(()) => page,
            // A string takes everything; a family that refuses is no reason to end.
            Err(_) => "# EOF\n".to_owned(),
        }
    }
}

/// The bounds of the buckets, in seconds: a handshake without a signature takes 10 µs, one with a
/// signature 50, and one that waits for the disk some milliseconds.
const BOUNDS: [f64; 13] = [
    25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 100e-3, 1.0, 10.0,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Grant, PairingReason, Reason};

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Metrics::new();
        metrics.decided(Verdict::Approve(Grant::default()));
        metrics.decided(Verdict::Reject(Reason::TokenMissing));
        metrics.decided(Verdict::Reject(Reason::TokenMissing));
        metrics.decided(Verdict::RequirePairing(PairingReason::NotPaired));
        metrics.handshake(Outcome::Admitted, Some(Duration::from_micros(60)));
        metrics.handshake(Outcome::Unfinished, None);
        metrics.http_refused(HttpReason::Policy(Reason::NotPermitted));
        metrics.http_refused(HttpReason::RateLimited { retry_after_ms: 1 });
        metrics.limited(Limit::PerAddress);
        metrics.session_began();
        metrics.session_began();
        metrics.session_ended(Finish::Revoked);
        metrics.requests_waiting(3);
        metrics.policy_reloaded(false);
        metrics.upstream_asked(Over::WebSocket, false);
        metrics.log_lines_dropped(7);
        metrics.log_lines_dropped(5);
        metrics.log_lines_left_out(9);
        metrics.store_failed();
        metrics.panicked();
        let gone = metrics.connection_began();
        let _served = metrics.connection_began();
        drop(gone);
        metrics.tasks(5);
        let counts = Counts {
            failed: [(Guess::Shared, 4)].into(),
            locked: [(Guess::DeviceToken, 2)].into(),
            lockouts: [(By::Address, 1)].into(),
            forgotten: 6,
            no_room: 8,
        };
        metrics.limiter_counted(&counts);
        metrics.limiter_counted(&counts);
        metrics.limiter_remembers(&Remembered {
            sources: [(By::Address, 3)].into(),
            locks: [(By::Address, 2)].into(),
        });
        let page = metrics.encode();
        for line in [
            "gw_decisions_total{verdict=\"approve\",reason=\"none\"} 1",
            "gw_decisions_total{verdict=\"silent-approve\",reason=\"none\"} 0",
            "gw_decisions_total{verdict=\"reject\",reason=\"token-missing\"} 2",
            "gw_decisions_total{verdict=\"require-pairing\",reason=\"not-paired\"} 1",
            "gw_handshakes_total{outcome=\"admitted\"} 1",
            "gw_handshakes_total{outcome=\"waiting\"} 0",
            "gw_handshake_duration_seconds_count 1",
            "gw_handshake_duration_seconds_bucket{le=\"0.0001\"} 1",
            "gw_http_refusals_total{status=\"403\",reason=\"not-permitted\"} 1",
            "gw_http_refusals_total{status=\"429\",reason=\"rate-limited\"} 1",
            "gw_connections_refused_total{limit=\"unadmitted-per-address\"} 1",
            "gw_sessions 1",
            "gw_sessions_ended_total{reason=\"revoked\"} 1",
            "gw_pairing_requests_waiting 3",
            "gw_policy_reloads_total{result=\"failed\"} 1",
            "gw_policy_differs 1",
            "gw_upstream_requests_total{over=\"websocket\",result=\"failed\"} 1",
            "gw_upstream_requests_total{over=\"http\",result=\"ok\"} 0",
            "gw_decision_log_lines_dropped_total 7",
            "gw_decision_log_lines_left_out_total 9",
            "gw_store_failures_total 1",
            "gw_panics_total 1",
            "gw_connections 1",
            "gw_tasks 5",
            "gw_auth_failures_total{guess=\"shared-secret\"} 8",
            "gw_auth_failures_total{guess=\"bootstrap-token\"} 0",
            "gw_auth_not_tried_total{guess=\"device-token\"} 4",
            "gw_auth_lockouts_total{by=\"address\"} 2",
            "gw_auth_sources{by=\"address\"} 3",
            "gw_auth_sources{by=\"device\"} 0",
            "gw_auth_locks{by=\"address\"} 2",
            "gw_auth_sources_forgotten_total 12",
            "gw_auth_no_room_total 16",
        ] {
            assert!(page.lines().any(|told| told == line), "{line}\n{page}");
        }
        metrics.policy_reloaded(true);
        let page = metrics.encode();
        assert!(page.contains("gw_policy_differs 0\n"), "{page}");
        assert!(page.ends_with("# EOF\n"), "{page}");
    }

    /// Whatever happens, there is a bound to how many series there are.
    #[test]
    fn labels_are_of_closed_vocabularies() {
        let metrics = Metrics::new();
        for reason in Reason::ALL {
            metrics.decided(Verdict::Reject(*reason));
            metrics.http_refused(HttpReason::Policy(*reason));
        }
        let page = metrics.encode();
        let series = page.lines().filter(|line| !line.starts_with('#')).count();
        assert!(series < 200, "{series}");
        let help = page
            .lines()
            .filter(|line| line.starts_with("# HELP gw_"))
            .count();
        assert_eq!(help, 25);
    }
}
