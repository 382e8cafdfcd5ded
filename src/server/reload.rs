//! Policy, settings and the way to the server behind, loaded again while connections live: the
//! last good ones stay until there are better.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::clock::now_ms;
use super::gateway::{Gateway, Shared, lock};
use super::tls::{self, Certificates};
use crate::config::keys::from_the_next_start;
use crate::host::priority::{GivesWay, give_way};
use crate::policy::Policy;
use crate::relay::Upstream;
use crate::settings::Settings;

/// Loads what is in [`Loaded`] from where it is kept. It may block.
pub type Load = dyn Fn() -> Result<Loaded, Unloaded> + Send + Sync;

/// Why nothing was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unloaded {
    /// What is wrong, with its place, for people.
    pub why: String,
    /// The files that were read, or were to be: what is missing may come yet.
    pub files: Vec<PathBuf>,
}

impl From<String> for Unloaded {
    fn from(why: String) -> Self {
        let files = Vec::new();
        Unloaded { why, files }
    }
}

/// What was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// The policy.
    pub policy: Policy,
    /// The settings.
    pub settings: Settings,
    /// The server behind, where there is one. Connections that are there already stay where they
    /// are.
    pub upstream: Option<Upstream>,
    /// The files that it was read from: when one of them changes it is loaded again.
    pub files: Vec<PathBuf>,
    /// What loads and is not what most want, for people; empty where there is nothing to say.
    pub warnings: String,
    /// The keys that are other than when the gateway was started, and count from the next start.
    pub next_start: Vec<&'static str>,
}

/// How the files stand to what is in force.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Why what is in the files is not in force, since when.
    wrong: Option<(String, i64)>,
    /// Why the certificate in the files is not in force.
    certificate: Option<String>,
    /// Those that are watched.
    watched: Vec<PathBuf>,
    /// The keys that count from the next start, and are other than at this one.
    next_start: Vec<&'static str>,
}

/// What became of loading again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// Another policy, other settings, or another way to the server behind are in force.
    Replaced {
        /// The policy's digest.
        policy: Box<str>,
        /// Whether new connections get to another server behind, or in another way.
        upstream: bool,
        /// As [`Loaded::warnings`].
        warnings: String,
        /// As [`Loaded::next_start`].
        next_start: Vec<&'static str>,
    },
    /// What the files say and counts at once is in force already.
    Unchanged {
        /// As [`Loaded::warnings`].
        warnings: String,
        /// As [`Loaded::next_start`].
        next_start: Vec<&'static str>,
    },
    /// The files cannot be loaded, and what was in force stays; why.
    Kept(String),
    /// The gateway was not told where they are kept.
    Unknown,
}

impl Reloaded {
    /// As `policy.reload` answers it.
    pub(super) fn to_json(&self) -> Value {
        let mut more: (&str, &[&str]) = ("", &[]);
        let mut reply = match self {
            Reloaded::Replaced {
                policy,
                upstream,
                warnings,
                next_start,
            } => {
                more = (warnings, next_start);
                json!({ "reloaded": true, "policy": policy, "upstream": upstream })
            }
            Reloaded::Unchanged {
                warnings,
                next_start,
            } => {
                more = (warnings, next_start);
                json!({ "reloaded": false, "reason": "nothing changed" })
            }
            Reloaded::Kept(why) => {
                let reason = "the files cannot be loaded";
                json!({ "reloaded": false, "reason": reason, "error": why })
            }
            Reloaded::Unknown => {
                let reason = "policy and settings are not from files";
                json!({ "reloaded": false, "reason": reason })
            }
        };
        let (warnings, next_start) = more;
        if let Some(reply) = reply.as_object_mut() {
            if !warnings.is_empty() {
                reply.insert("warnings".to_owned(), warnings.into());
            }
            if !next_start.is_empty() {
                reply.insert("nextStart".to_owned(), json!(next_start));
            }
        }
        reply
    }
}

impl Gateway {
    /// Loads policy and settings again. What cannot be loaded changes nothing.
    pub async fn reload(&self) -> Reloaded {
        self.0.reload().await
    }
}

impl Shared {
    pub(super) async fn reload(self: &Arc<Self>) -> Reloaded {
        let _one = self.reloading.lock().await;
        self.reload_certificate().await;
        let Some(load) = self.options.load.clone() else {
            return Reloaded::Unknown;
        };
        let loaded = aside(move || load()).await;
        let loaded = loaded.unwrap_or_else(|| Err("loading was given up".to_owned().into()));
        let Loaded {
            policy,
            settings,
            upstream,
            files,
            warnings,
            next_start,
        } = match loaded {
            Ok(loaded) => loaded,
            Err(Unloaded { why, files: tried }) => {
                self.record.metrics.policy_reloaded(false);
                tracing::error!("policy or settings cannot be loaded; those in force stay\n{why}");
                let mut files = lock(&self.files);
                let since_ms = files
                    .wrong
                    .as_ref()
                    .map_or_else(now_ms, |(_, since)| *since);
                files.wrong = Some((why.clone(), since_ms));
                files.watch_too(tried);
                return Reloaded::Kept(why);
            }
        };
        self.record.metrics.policy_reloaded(true);
        let mut known = lock(&self.files);
        known.watched = files;
        known.counts_later(&next_start);
        if known.wrong.take().is_some() {
            tracing::info!("policy and settings can be loaded again");
        }
        drop(known);
        let now = self.snapshot();
        let upstream = self.put_upstream(upstream);
        if upstream {
            let upstream = self.upstream();
            let behind = upstream.map(|upstream| upstream.options().target.to_string());
            let behind = behind.as_deref().unwrap_or("none");
            tracing::info!(
                upstream = behind,
                "another way to the server behind is in force"
            );
        }
        let same_policy = now.policy.digest() == policy.digest();
        let same_settings = now.settings == settings;
        let same = same_policy && same_settings;
        if same && !upstream {
            return Reloaded::Unchanged {
                warnings,
                next_start,
            };
        }
        let digest = policy.digest().into();
        if !warnings.is_empty() {
            tracing::warn!("policy and settings are loaded, with warnings\n{warnings}");
        }
        if !same_policy {
            tracing::info!(policy = %policy_name(&policy), digest = short(policy.digest()), "in force");
        }
        if !same_settings {
            tracing::info!("other settings are in force");
        }
        if !same {
            Gateway(Arc::clone(self)).put(policy, settings);
        }
        Reloaded::Replaced {
            policy: digest,
            upstream,
            warnings,
            next_start,
        }
    }

    /// Takes up another certificate.
    async fn reload_certificate(&self) {
        let Some(certificates) = self.options.certificates.clone() else {
            return;
        };
        let reloading = Arc::new(certificates);
        let reloaded = {
            let certificates = Arc::clone(&reloading);
            spawn_blocking(move || certificates.reload(SystemTime::now())).await
        };
        let mut files = lock(&self.files);
        let before = files.certificate.take();
        files.certificate = match reloaded {
            Ok(Ok(tls::Reloaded::Unchanged)) => {
                if before.is_some() {
                    tracing::info!("the certificate can be loaded again");
                }
                None
            }
            Ok(Ok(tls::Reloaded::Swapped { before, now })) => {
                tracing::info!(%before, %now, "another certificate is in force");
                for notice in reloading.notices() {
                    tracing::warn!("{notice}");
                }
                None
            }
            Ok(Err(error)) => {
                tracing::error!("{error}");
                Some(error.to_string())
            }
            Err(_) => Some("loading was given up".to_owned()),
        };
    }

    /// The files whose change means that they are loaded again.
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        let mut files = lock(&self.files).watched.clone();
        let certificates = self.options.certificates.iter();
        files.extend(certificates.flat_map(Certificates::watched));
        files
    }

    /// What is in force, and whether the files say the same.
    pub(super) fn policy_status(&self) -> Value {
        let now = self.snapshot();
        let mut status = json!({
            "name": policy_name(&now.policy),
            "digest": now.policy.digest(),
            "fingerprint": now.policy.known_fingerprint(),
            "sinceMs": now.since_ms,
            "differs": false,
        });
        if let (Some((why, since_ms)), Some(object)) =
            (&lock(&self.files).wrong, status.as_object_mut())
        {
            object.insert("differs".to_owned(), true.into());
            object.insert("why".to_owned(), why.as_str().into());
            object.insert("differsSinceMs".to_owned(), (*since_ms).into());
        }
        let next_start = lock(&self.files).next_start.clone();
        if let (false, Some(object)) = (next_start.is_empty(), status.as_object_mut()) {
            object.insert("nextStart".to_owned(), json!(next_start));
        }
        status
    }
}

/// Does something long on a thread of its own, which gives way to those that serve connections.
/// `None` where it is given up.
pub(super) async fn aside<T: Send + 'static>(
    what: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (tell, told) = oneshot::channel();
    let thread = std::thread::Builder::new().spawn(move || {
        give_way(GivesWay::Some);
        // Nobody may wait for it any more.
        let _ = tell.send(what());
    });
    thread.ok()?;
    told.await.ok()
}

/// The name of a policy's own file.
fn policy_name(policy: &Policy) -> &str {
    let first = policy.sources().iter().next();
    first.map_or("", |(_, source)| &*source.name)
}

/// The first digits of a digest, as people see it.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

impl Files {
    /// In force as they are.
    pub(super) fn watching(files: &[PathBuf]) -> Self {
        Files {
            watched: files.to_vec(),
            ..Files::default()
        }
    }

    /// Watches more files, until something is loaded.
    fn watch_too(&mut self, files: Vec<PathBuf>) {
        for file in files {
            if !self.watched.contains(&file) {
                self.watched.push(file);
            }
        }
    }

    /// Takes up which keys count from the next start, and tells of them where they are others.
    fn counts_later(&mut self, keys: &[&'static str]) {
        if self.next_start == keys {
            return;
        }
        self.next_start = keys.to_vec();
        match keys {
            [] => tracing::info!("what counts from the next start is as at this one again"),
            keys => tracing::warn!("{}", from_the_next_start(keys)),
        }
    }

    /// Whether what is in the files is not in force.
    pub(super) fn differs(&self) -> bool {
        self.wrong.is_some()
    }
}

impl Certificates {
    /// As `status` tells of it.
    pub(super) fn to_json(&self, problem: Option<&str>) -> Value {
        let now = SystemTime::now();
        let problem = problem.map(str::to_owned);
        let problem = problem.or_else(|| self.problem(now).map(|problem| problem.to_string()));
        json!({
            "fingerprint": self.fingerprint().to_string(),
            "problem": problem,
        })
    }
}

impl Shared {
    /// The certificate, where TLS is spoken.
    pub(super) fn tls_status(&self) -> Option<Value> {
        let problem = lock(&self.files).certificate.clone();
        let certificates = self.options.certificates.as_ref();
        certificates.map(|certificates| certificates.to_json(problem.as_deref()))
    }
}
