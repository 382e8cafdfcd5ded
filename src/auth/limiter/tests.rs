//! The limiter against a list of all failures, and the rules of who is counted.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const LIMIT: RateLimit = RateLimit {
    max_attempts: 3,
    window_ms: 100,
    lockout_ms: 250,
    exempt_loopback: true,
};

fn key(number: u8) -> Key {
    Key {
        guess: Guess::Shared,
        source: Source::Client([10, 0, 0, number].into()),
    }
}

fn settings(auth: Value, compatibility: Value) -> Settings {
    serde_json::from_value(json!({ "auth": auth, "compatibility": compatibility })).unwrap()
}

fn ip(octets: [u8; 4]) -> Address {
    Address::new(octets.into())
}

/// The slow twin: every failure that was counted, and when each key is locked until.
#[derive(Default)]
struct Twin {
    failures: Vec<(Key, i64)>,
    locks: Vec<(Key, i64)>,
}

impl Twin {
    fn locked_for(&self, key: &Key, now_ms: i64) -> Option<i64> {
        let locks = self.locks.iter().filter(|(locked, _)| locked == key);
        let until_ms = locks.map(|(_, until_ms)| *until_ms).max()?;
        (until_ms > now_ms).then(|| until_ms - now_ms)
    }

    fn failed(&mut self, key: &Key, now_ms: i64) {
        if self.locked_for(key, now_ms).is_some() {
            return;
        }
        self.failures.push((key.clone(), now_ms));
        let recent = self
            .failures
            .iter()
            .filter(|(failed, at_ms)| failed == key && now_ms - at_ms < LIMIT.window_ms);
        if recent.count() >= LIMIT.max_attempts as usize {
            self.failures.retain(|(failed, _)| failed != key);
            self.locks.push((key.clone(), now_ms + LIMIT.lockout_ms));
        }
    }

    fn succeeded(&mut self, key: &Key) {
        self.failures.retain(|(failed, _)| failed != key);
        self.locks.retain(|(locked, _)| locked != key);
    }
}

#[derive(Clone, Debug)]
enum Event {
    Failed(u8),
    Succeeded(u8),
}

fn events() -> impl Strategy<Value = Vec<(Event, i64)>> {
    let event = prop_oneof![
        6 => (0u8..3).prop_map(Event::Failed),
        1 => (0u8..3).prop_map(Event::Succeeded),
    ];
    proptest::collection::vec((event, 0i64..60), 0..80)
}

proptest! {
    #[test]
    fn it_agrees_with_a_list_of_all_failures(events in events()) {
        let (mut limiter, mut twin) = (Limiter::new(LIMIT), Twin::default());
        let mut now_ms = 1_770_000_000_000;
        for (event, passed_ms) in events {
            now_ms += passed_ms;
            match event {
                Event::Failed(at) => {
                    limiter.failed(key(at), now_ms);
                    twin.failed(&key(at), now_ms);
                }
                Event::Succeeded(at) => {
                    limiter.succeeded(&key(at));
                    twin.succeeded(&key(at));
                }
            }
            for at in 0..3 {
                let expected = match twin.locked_for(&key(at), now_ms) {
                    None => Check::Allowed,
                    Some(retry_after_ms) => Check::Locked { retry_after_ms },
                };
                prop_assert_eq!(limiter.check(&key(at), now_ms), expected);
            }
        }
    }

    /// Where many failures are allowed, it may count one a stretch too long, but never too few.
    #[test]
    fn stretches_forgive_nothing(gaps in proptest::collection::vec(0i64..40, 0..400)) {
        let limit = RateLimit { max_attempts: 100, window_ms: 1_000, ..LIMIT };
        let mut limiter = Limiter::new(limit);
        let (mut now_ms, mut at) = (0, Vec::new());
        for gap in gaps {
            now_ms += gap;
            at.push(now_ms);
            let recent = at.iter().filter(|at_ms| now_ms - **at_ms < limit.window_ms).count();
            let stretch_ms = limit.window_ms / i64::from(MOST_MOMENTS);
            let late = at
                .iter()
                .filter(|at_ms| now_ms - **at_ms < limit.window_ms + stretch_ms + 1)
                .count();
            limiter.failed(key(0), now_ms);
            let locked = limiter.check(&key(0), now_ms) != Check::Allowed;
            prop_assert!(locked || recent < 100, "{recent}");
            prop_assert!(!locked || late >= 100, "{late}");
            if locked {
                break;
            }
            prop_assert!(limiter.keys.values().all(|failures| failures.moments.len() <= 66));
        }
    }
}

#[test]
fn a_full_limiter_locks_strangers_out_and_no_one_else() {
    let mut limiter = Limiter::new(LIMIT);
    let source = |number: usize| Key {
        guess: Guess::Shared,
        source: Source::Page(number.to_string().into()),
    };
    for number in 0..MOST_KEYS {
        limiter.failed(source(number), 0);
    }
    assert_eq!(limiter.check(&source(MOST_KEYS), 0), Check::Allowed);
    limiter.failed(source(MOST_KEYS), 1);
    assert_eq!(limiter.len(), MOST_KEYS);
    let retry_after_ms = 250;
    assert_eq!(
        limiter.check(&source(MOST_KEYS + 1), 1),
        Check::Locked { retry_after_ms }
    );
    assert_eq!(limiter.check(&source(0), 1), Check::Allowed);
    assert_eq!(limiter.check(&source(MOST_KEYS), 251), Check::Allowed);
    // Failures that are older than the window make room.
    limiter.failed(source(MOST_KEYS), 5_000);
    assert_eq!(limiter.len(), 1);
}

#[test]
fn a_clock_that_goes_back_forgives_nothing() {
    let mut limiter = Limiter::new(LIMIT);
    for now_ms in [1_000, 500, 0] {
        limiter.failed(key(0), now_ms);
    }
    let retry_after_ms = 250;
    assert_eq!(limiter.check(&key(0), 0), Check::Locked { retry_after_ms });
}

#[test]
fn a_refusal_on_this_host_comes_slower_each_time() {
    let settings = settings(json!({}), json!({}));
    let subject = Subject::of(&settings, ip([127, 0, 0, 1]), &Origin::absent());
    let mut limiter = Limiter::new(RateLimit::default());
    let failed = Steps {
        failed: [Some(Guess::Shared), None, None],
        cleared: [None; 3],
    };
    let delays: Vec<i64> = (0..7)
        .map(|now_ms| limiter.settle(&subject, &failed, now_ms))
        .collect();
    assert_eq!(delays, [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
    assert_eq!(limiter.locks(&subject, 7), Locks::default());
    let right = Steps {
        failed: [None; 3],
        cleared: [Some(Guess::Shared), None, None],
    };
    assert_eq!(limiter.settle(&subject, &right, 8), 0);
    assert_eq!(limiter.settle(&subject, &failed, 9), 250);
}

#[test]
fn who_is_counted_and_how() {
    let (loopback, lan) = (ip([127, 0, 0, 1]), ip([192, 168, 1, 10]));
    let page = |text: &str| Origin::parse(text);
    let quiet = json!({ "alwaysLimited": false, "delayLoopback": false });
    let of = |auth: Value, compatibility: &Value, client_ip, origin: &str| {
        let origin = match origin {
            "-" => Origin::absent(),
            text => page(text),
        };
        let settings = settings(auth, compatibility.clone());
        let subject = Subject::of(&settings, client_ip, &origin);
        (subject.source, subject.measure)
    };
    let (unset, set) = (json!({}), json!({ "rateLimit": {} }));
    let lan_ip = [192, 168, 1, 10].into();
    let local = Source::Client([127, 0, 0, 1].into());
    assert_eq!(
        of(unset.clone(), &quiet, lan, "-"),
        (Source::Client(lan_ip), Measure::Free)
    );
    assert_eq!(
        of(unset.clone(), &json!({}), lan, "-"),
        (Source::Client(lan_ip), Measure::Locked)
    );
    assert_eq!(
        of(set.clone(), &quiet, lan, "-"),
        (Source::Client(lan_ip), Measure::Locked)
    );
    assert_eq!(
        of(set, &quiet, loopback, "-"),
        (local.clone(), Measure::Free)
    );
    let strict = json!({ "rateLimit": { "exemptLoopback": false } });
    assert_eq!(
        of(strict, &quiet, loopback, "-"),
        (local.clone(), Measure::Locked)
    );
    assert_eq!(
        of(unset.clone(), &json!({}), loopback, "-"),
        (local, Measure::Delayed)
    );
    assert_eq!(
        of(unset.clone(), &quiet, loopback, "http://localhost:5173"),
        (
            Source::Page("http://localhost:5173".into()),
            Measure::Locked
        )
    );
    assert_eq!(
        of(unset.clone(), &quiet, loopback, "not an origin"),
        (Source::Pages, Measure::Locked)
    );
    let together = json!({ "countByOrigin": false });
    assert_eq!(
        of(unset.clone(), &together, loopback, "http://localhost:5173"),
        (Source::Pages, Measure::Locked)
    );
    assert_eq!(
        of(unset.clone(), &quiet, lan, "http://localhost:5173"),
        (Source::Browser(lan_ip), Measure::Locked)
    );
    assert_eq!(
        of(unset, &json!({}), Address::NONE, "-"),
        (Source::Unknown, Measure::Locked)
    );
}

#[test]
fn when_a_wrong_shared_secret_counts() {
    let tried = |shared, device_token| Tried {
        shared,
        device_token,
        setup_code: Trial::None,
    };
    let counted = |rule, tried: Tried| {
        let compatibility = Compatibility {
            shared_failures: rule,
            ..Compatibility::default()
        };
        let steps = steps(&tried, &compatibility);
        (
            steps.failed.contains(&Some(Guess::Shared)),
            steps.cleared.contains(&Some(Guess::Shared)),
        )
    };
    use SharedFailures::{Counted, Hidden, Settled};
    use Trial::{Failed, Held, None};
    for (rule, shared, device, expected) in [
        (Hidden, Failed, None, (true, false)),
        (Hidden, Failed, Failed, (false, false)),
        (Counted, Failed, Failed, (true, false)),
        (Counted, Failed, Held, (false, true)),
        (Counted, None, Held, (false, false)),
        (Settled, Failed, None, (true, false)),
        (Settled, Failed, Failed, (true, false)),
        (Settled, Failed, Held, (false, false)),
        (Settled, Held, None, (false, true)),
        (Settled, None, None, (false, false)),
    ] {
        let tried = tried(shared, device);
        assert_eq!(counted(rule, tried), expected, "{rule} {tried:?}");
    }
}
