//! Honest clients: each knocks again as soon as it was answered, and says how long that took.

use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::dial;
use crate::gateway::Gateway;

/// What honest clients came to.
#[derive(Default)]
pub(crate) struct Knocks {
    /// How long each took that was admitted, the quickest first.
    took: Vec<Duration>,
    /// Why others were not.
    pub(crate) failed: Vec<String>,
}

impl Knocks {
    pub(crate) fn count(&self) -> usize {
        self.took.len()
    }

    /// What all but one in a hundred kept.
    pub(crate) fn p99(&self) -> Duration {
        let at = self.took.len().saturating_sub(1) * 99 / 100;
        self.took.get(at).copied().unwrap_or_default()
    }

    /// Both together.
    pub(crate) fn and(mut self, other: Knocks) -> Self {
        self.took.extend(other.took);
        self.took.sort_unstable();
        self.failed.extend(other.failed);
        self
    }
}

/// In how many of what it was.
pub(crate) fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64().max(1e-6)
}

/// Clients knock as long as something is done; gives what both came to.
pub(crate) fn beside<T>(
    gateway: &Gateway,
    clients: &[Client],
    doing: impl FnOnce() -> T,
) -> (Knocks, T) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let knocking: Vec<_> = clients
            .iter()
            .map(|client| scope.spawn(|| again_and_again(gateway, client, &over)))
            .collect();
        let done = doing();
        over.store(true, Ordering::Relaxed);
        let joined = knocking
            .into_iter()
            .map(|one| one.join().expect("a client"));
        (joined.fold(Knocks::default(), Knocks::and), done)
    })
}

fn again_and_again(gateway: &Gateway, client: &Client, over: &AtomicBool) -> Knocks {
    let mut knocks = Knocks::default();
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        match knock(gateway, client, another()) {
            Ok(()) => knocks.took.push(began.elapsed()),
            Err(why) => knocks.failed.push(why),
        }
    }
    knocks
}

/// An address of those that honest clients take in turn: one has too few ports for all of them.
fn another() -> Ipv4Addr {
    static NUMBER: AtomicU8 = AtomicU8::new(0);
    Ipv4Addr::new(127, 200, 0, NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// One handshake from an address, which is to be admitted.
pub(crate) fn knock(gateway: &Gateway, client: &Client, from: Ipv4Addr) -> Result<(), String> {
    let stream: TcpStream = dial::from(from, gateway.at).map_err(|error| error.to_string())?;
    let answered = client.try_knock(gateway.at, stream, gateway.tls.as_ref())?;
    match answered.is_admitted() {
        true => Ok(()),
        false => Err(answered.answer.to_string()),
    }
}
