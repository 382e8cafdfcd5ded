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
            let mut tables = limiter.kinds.values();
            prop_assert!(tables.all(|table| table.keys.values().all(|failures| failures.moments.len() <= 66)));
        }
    }
}

fn of(source: Source) -> Key {
    Key {
        guess: Guess::Shared,
        source,
    }
}

fn v6(bits: u128) -> IpAddr {
    std::net::Ipv6Addr::from(bits).into()
}

/// The `number`th network of 64 bits of a provider that has 32.
fn remote(number: usize) -> Key {
    of(Source::Client(v6(
        0x2001_0db8 << 96 | (number as u128) << 64
    )))
}

fn page_of(number: usize) -> Key {
    of(Source::Page(format!("https://{number}.example.com").into()))
}

/// Sources of every other kind than clients of IPv6.
fn bystanders() -> Vec<Key> {
    let addresses = [v6(0x2001_0db8 << 96), [198, 51, 100, 7].into()];
    let browsers = addresses.map(Source::Browser);
    let local = [[127, 0, 0, 1].into(), v6(1), addresses[1]].map(Source::Client);
    let pages = ["http://localhost:18789", "https://ui.example.com"];
    let pages = pages.map(|text| Source::Page(text.into()));
    let few = [Source::Pages, Source::Unknown];
    let all = browsers.into_iter().chain(local).chain(pages).chain(few);
    all.map(of).collect()
}

fn lock(limiter: &mut Limiter, key: &Key, now_ms: i64) {
    for _ in 0..LIMIT.max_attempts {
        limiter.failed(key.clone(), now_ms);
    }
}

#[test]
fn who_overflows_is_counted_by_network_and_locks_no_one_else() {
    let mut limiter = Limiter::new(LIMIT);
    for number in 0..MOST_KEYS {
        lock(&mut limiter, &remote(number), 0);
    }
    assert_eq!(limiter.len(), MOST_KEYS);
    // All that are remembered are locked out, so none is forgotten; strangers may still try.
    let stranger = remote(MOST_KEYS);
    assert_eq!(limiter.check(&stranger, 1), Check::Allowed);
    lock(&mut limiter, &stranger, 1);
    let retry_after_ms = 250;
    let locked = Check::Locked { retry_after_ms };
    assert_eq!(limiter.check(&stranger, 1), locked);
    assert_eq!(limiter.check(&remote(MOST_KEYS + 1), 1), locked);
    assert_eq!(limiter.len(), MOST_KEYS + 1);
    // Of the same provider only, and not longer for more of them.
    limiter.failed(remote(MOST_KEYS + 2), 200);
    let retry_after_ms = 51;
    let locked = Check::Locked { retry_after_ms };
    assert_eq!(limiter.check(&remote(MOST_KEYS + 3), 200), locked);
    let elsewhere = of(Source::Client(v6(0x2001_0db9 << 96)));
    assert_eq!(limiter.check(&elsewhere, 1), Check::Allowed);
    for key in bystanders() {
        assert_eq!(limiter.check(&key, 1), Check::Allowed, "{key:?}");
        limiter.failed(key.clone(), 1);
        assert!(limiter.check(&key, 1) == Check::Allowed, "{key:?}");
    }
    assert_eq!(
        limiter.check(&remote(0), 249),
        Check::Locked { retry_after_ms: 1 }
    );
    assert_eq!(limiter.check(&stranger, 251), Check::Allowed);
    // Locks that are over make room.
    limiter.failed(stranger.clone(), 5_000);
    assert_eq!(limiter.len(), 1 + 1 + bystanders().len());
}

#[test]
fn those_that_failed_longest_ago_make_room() {
    let mut limiter = Limiter::new(RateLimit {
        window_ms: 60_000,
        ..LIMIT
    });
    let first = page_of(MOST_KEYS);
    lock(&mut limiter, &first, 0);
    for number in 1..MOST_KEYS {
        limiter.failed(
            page_of(number),
            i64::try_from(number).unwrap_or_default() / 100,
        );
    }
    assert_eq!(limiter.len(), MOST_KEYS);
    limiter.failed(page_of(0), 200);
    assert_eq!(limiter.len(), MOST_KEYS - FORGOTTEN + 1);
    let remembered =
        |limiter: &Limiter, key| limiter.kinds[&Kind::OtherPages].keys.contains_key(&key);
    assert!(remembered(&limiter, first.clone()), "it is locked out");
    assert!(!remembered(&limiter, page_of(FORGOTTEN)));
    assert!(remembered(&limiter, page_of(FORGOTTEN + 1)));
    // Room is not made twice in a second: whoever could not be counted may not guess so long.
    for number in 2 * MOST_KEYS..2 * MOST_KEYS + FORGOTTEN {
        limiter.failed(page_of(number), 201);
    }
    let retry_after_ms = 999;
    assert_eq!(limiter.check(&page_of(0), 201), Check::Allowed);
    assert_eq!(
        limiter.check(&page_of(FORGOTTEN), 201),
        Check::Locked { retry_after_ms }
    );
    assert_eq!(limiter.check(&page_of(FORGOTTEN), 1_200), Check::Allowed);
    for key in bystanders()
        .into_iter()
        .filter(|key| key.source.kind() != Kind::OtherPages)
    {
        assert_eq!(limiter.check(&key, 201), Check::Allowed, "{key:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However many sources of one kind fail: who is locked out stays so, and only sources of
    /// that kind wait.
    #[test]
    fn a_flood_frees_no_one(
        flood in 0usize..3,
        rounds in proptest::collection::vec((0usize..30_000, 1usize..4_000, 0i64..900), 1..12),
    ) {
        let source = |number: usize| match flood {
            0 => remote(number),
            1 => page_of(number),
            _ => of(Source::Browser(std::net::Ipv4Addr::from(0xc633_0000 + u32::try_from(number).unwrap_or_default()).into())),
        };
        let limit = RateLimit { window_ms: 60_000, lockout_ms: 1_000_000, ..LIMIT };
        let mut limiter = Limiter::new(limit);
        let kind = source(0).source.kind();
        let victim = source(50_000);
        lock(&mut limiter, &victim, 0);
        let mut now_ms = 0;
        for (start, count, passed_ms) in rounds {
            now_ms += passed_ms;
            for number in start..start + count {
                limiter.failed(source(number), now_ms);
            }
            prop_assert!(limiter.kinds.values().all(|table| table.keys.len() <= MOST_KEYS));
            let retry_after_ms = 1_000_000 - now_ms;
            prop_assert_eq!(limiter.check(&victim, now_ms), Check::Locked { retry_after_ms });
            for key in bystanders().into_iter().filter(|key| key.source.kind() != kind) {
                prop_assert_eq!(limiter.check(&key, now_ms), Check::Allowed);
            }
        }
    }

    /// One network of 64 bits has as many guesses as one address, whatever address it takes.
    #[test]
    fn a_network_of_one_client_is_one_source(hosts in proptest::collection::vec(any::<u64>(), 3..20), page in any::<bool>()) {
        let settings = settings(json!({}), json!({}));
        let origin = match page {
            true => Origin::parse("https://ui.example.com"),
            false => Origin::absent(),
        };
        let mut limiter = Limiter::new(LIMIT);
        let subject = |host| {
            let ip = v6(0x2001_0db8_0000_0001 << 64 | u128::from(host));
            Subject::of(&settings, Address::new(ip), &origin, &[])
        };
        let mut guesses = 0;
        for host in hosts {
            if limiter.locks(&subject(host), 0) == Locks::default() {
                guesses += 1;
                limiter.settle(&subject(host), &failed_shared(), 0);
            }
        }
        prop_assert_eq!(guesses, LIMIT.max_attempts);
        let other = v6(0x2001_0db8_0000_0002 << 64);
        let other = Subject::of(&settings, Address::new(other), &origin, &[]);
        prop_assert_eq!(limiter.locks(&other, 0), Locks::default());
    }

    /// Any limits and any clock: nothing overflows, and a limit is never lifted.
    #[test]
    fn any_limit_is_one(
        max_attempts in prop_oneof![Just(0), Just(1), Just(64), Just(65), Just(u32::MAX), any::<u32>()],
        window_ms in times(),
        lockout_ms in times(),
        moments in proptest::collection::vec(times(), 1..20),
    ) {
        let limit = RateLimit { max_attempts, window_ms, lockout_ms, exempt_loopback: false };
        let mut limiter = Limiter::new(limit);
        for now_ms in moments {
            limiter.failed(key(0), now_ms);
            limiter.delayed(key(1), now_ms);
            let checked = limiter.check(&key(0), now_ms);
            // At the end of time no lock can end later.
            if max_attempts <= 1 && now_ms < i64::MAX {
                prop_assert_ne!(checked, Check::Allowed);
            }
        }
    }
}

fn times() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(i64::MIN),
        Just(-1),
        Just(0),
        Just(1),
        Just(i64::MAX),
        any::<i64>()
    ]
}

fn failed_shared() -> Steps {
    Steps {
        failed: [Some(Guess::Shared), None, None],
        cleared: [None; 3],
    }
}

#[test]
fn a_window_that_is_none_is_the_default() {
    for ms in [i64::MIN, -1, 0] {
        let limit = RateLimit {
            window_ms: ms,
            lockout_ms: ms,
            ..LIMIT
        };
        let mut limiter = Limiter::new(limit);
        lock(&mut limiter, &key(0), 7);
        let retry_after_ms = RateLimit::default().lockout_ms;
        assert_eq!(limiter.check(&key(0), 7), Check::Locked { retry_after_ms });
    }
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
    let subject = Subject::of(&settings, ip([127, 0, 0, 1]), &Origin::absent(), &[]);
    let mut limiter = Limiter::new(RateLimit::default());
    let failed = failed_shared();
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
    let far = Address::new("2001:db8:1:2:3:4:5:6".parse().unwrap());
    let mapped = Address::new("::ffff:192.168.1.10".parse().unwrap());
    let quiet = json!({
        "alwaysLimited": false, "delayLoopback": false, "delayOwnPages": false,
    });
    let of = |auth: Value, compatibility: &Value, client_ip, origin: &str| {
        let origin = match origin {
            "-" => Origin::absent(),
            text => page(text),
        };
        let settings = settings(auth, compatibility.clone());
        let subject = Subject::of(&settings, client_ip, &origin, &[]);
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
        of(unset.clone(), &quiet, mapped, "-"),
        (Source::Client(lan_ip), Measure::Free)
    );
    let far_ip = "2001:db8:1:2::".parse().unwrap();
    assert_eq!(
        of(unset.clone(), &json!({}), far, "-"),
        (Source::Client(far_ip), Measure::Locked)
    );
    assert_eq!(
        of(unset.clone(), &quiet, far, "http://localhost:5173"),
        (Source::Browser(far_ip), Measure::Locked)
    );
    let own = Address::new("::1".parse().unwrap());
    assert_eq!(
        of(unset.clone(), &quiet, own, "-"),
        (Source::Client("::1".parse().unwrap()), Measure::Free)
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
    let own_page =
        |auth: &Value, client_ip, origin| of(auth.clone(), &json!({}), client_ip, origin).1;
    assert_eq!(
        own_page(&unset, loopback, "http://localhost:5173"),
        Measure::Delayed
    );
    assert_eq!(
        own_page(&unset, loopback, "https://evil.example"),
        Measure::Locked
    );
    assert_eq!(
        own_page(&unset, lan, "http://localhost:5173"),
        Measure::Locked
    );
    let no_exemption = json!({ "rateLimit": { "exemptLoopback": false } });
    assert_eq!(
        own_page(&no_exemption, loopback, "http://localhost:5173"),
        Measure::Locked
    );
    let together = json!({ "countByOrigin": false, "delayOwnPages": false });
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

/// Who fails on purpose on the same link locks out himself, and not everybody there.
#[test]
fn a_neighbour_is_counted_by_itself() {
    let settings = settings(json!({}), json!({}));
    let own = [
        "2001:db8:1:2::1".parse().unwrap(),
        "fe80::1".parse().unwrap(),
    ];
    let of = |ip: &str| {
        let ip = Address::new(ip.parse().unwrap());
        Subject::of(&settings, ip, &Origin::absent(), &own)
    };
    let mut limiter = Limiter::of(&settings);
    for now_ms in 0..100 {
        for ip in ["2001:db8:1:2::bad", "fe80::bad", "2001:db8:1:3::bad"] {
            limiter.settle(&of(ip), &failed_shared(), now_ms);
        }
    }
    let is_locked = |ip: &str| limiter.locks(&of(ip), 100).shared.is_some();
    assert!(is_locked("2001:db8:1:2::bad") && is_locked("fe80::bad"));
    assert!(!is_locked("2001:db8:1:2::c0de") && !is_locked("fe80::c0de"));
    assert!(
        is_locked("2001:db8:1:3::c0de"),
        "elsewhere one host may have all of them"
    );
}
