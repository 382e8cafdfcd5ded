//! The limiter against a list of all failures, and the rules of who is counted.

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::facts::{Address, Origin, Text};

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
        ..Steps::default()
    }
}

fn held(guess: Guess) -> Steps {
    Steps {
        cleared: [Some(guess), None, None],
        ..Steps::default()
    }
}

fn device(number: usize) -> Text {
    format!("device {number}").as_str().into()
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
    let right = held(Guess::Shared);
    assert_eq!(limiter.settle(&subject, &right, 8), 0);
    assert_eq!(limiter.settle(&subject, &failed, 9), 5_000);
    // As releases have it, what holds makes forgotten what failed.
    let forgiving = self::settings(json!({}), json!({ "successForgives": true }));
    let subject = Subject::of(&forgiving, ip([127, 0, 0, 1]), &Origin::absent(), &[]);
    assert_eq!(limiter.settle(&subject, &right, 10), 0);
    assert_eq!(limiter.settle(&subject, &failed, 11), 250);
}

/// A device is never slowed down by what it guesses beside its own token, since nothing is refused;
/// that it cannot go on guessing is seen to otherwise.
#[test]
fn on_this_host_a_device_guesses_no_secret_beside_its_own_token_without_end() {
    let settings = settings(json!({}), json!({}));
    let local = || Subject::of(&settings, ip([127, 0, 0, 1]), &Origin::absent(), &[]);
    let known = local().known_as(Some(&device(1)), &settings);
    let beside = Steps {
        failed: [Some(Guess::Shared), None, None],
        ..held(Guess::DeviceToken)
    };
    let mut limiter = Limiter::new(LIMIT);
    for _ in 0..LIMIT.max_attempts {
        assert_eq!(limiter.locks(&known, 0), Locks::default());
        assert_eq!(limiter.settle(&known, &beside, 0), 0);
    }
    let shared = Some(LIMIT.lockout_ms);
    assert_eq!(
        limiter.locks(&known, 0),
        Locks {
            shared,
            ..Locks::default()
        }
    );
    let other = local().known_as(Some(&device(2)), &settings);
    for subject in [local(), other] {
        assert_eq!(limiter.locks(&subject, 0), Locks::default());
    }
    // What it is refused for it waits for, as everybody here.
    assert_eq!(limiter.settle(&known, &failed_shared(), 0), 250);
    assert_eq!(limiter.settle(&local(), &failed_shared(), 0), 500);
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
    let counted = |rule, success_forgives, tried: Tried| {
        let compatibility = Compatibility {
            shared_failures: rule,
            success_forgives,
            ..Compatibility::default()
        };
        let steps = steps(&tried, &compatibility);
        (
            steps.failed.contains(&Some(Guess::Shared)),
            steps.cleared.contains(&Some(Guess::Shared)),
        )
    };
    use SharedFailures::{Counted, Hidden, Settled};
    use Trial::{Failed, Held, Locked, None};
    for (rule, shared, device, expected) in [
        (Hidden, Failed, None, (true, false)),
        (Hidden, Failed, Failed, (false, false)),
        (Hidden, Failed, Locked, (true, false)),
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
        assert_eq!(counted(rule, true, tried), expected, "{rule} {tried:?}");
    }
    let beside = tried(Failed, Held);
    assert_eq!(counted(Counted, false, beside), (true, false));
    let locked = steps(&tried(Locked, Locked), &Compatibility::default());
    let both = [Some(Guess::Shared), Some(Guess::DeviceToken), Option::None];
    assert_eq!(locked.locked, both);
}

/// Whoever is where, as whom, and what became of what it sent.
#[derive(Clone, Debug)]
struct Try {
    address: u8,
    /// By which device it is known.
    device: Option<usize>,
    shared: Trial,
    device_token: Trial,
    setup_code: Trial,
    passed_ms: i64,
}

const DEVICES: usize = 3;
const ADDRESSES: u8 = 3;

fn tries() -> impl Strategy<Value = Vec<Try>> {
    let trial = || {
        prop_oneof![
            2 => Just(Trial::None),
            3 => Just(Trial::Failed),
            1 => Just(Trial::Held),
        ]
    };
    let device = proptest::option::of(0..DEVICES);
    let one = (0..ADDRESSES, device, trial(), trial(), trial(), 0i64..40);
    let one = one.prop_map(
        |(address, device, shared, device_token, setup_code, passed_ms)| Try {
            address,
            device,
            shared,
            device_token,
            setup_code,
            passed_ms,
        },
    );
    proptest::collection::vec(one, 0..80)
}

impl Try {
    fn subject(&self, settings: &Settings) -> Subject {
        let ip = ip([10, 0, 0, self.address]);
        Subject::of(settings, ip, &Origin::absent(), &[])
            .known_as(self.device.map(device).as_ref(), settings)
    }

    /// What a server would find: what is locked is not looked at.
    fn tried(&self, locks: Locks) -> Tried {
        let found = |sent: Trial, lock: Option<i64>| match (sent, lock) {
            (Trial::None, _) => Trial::None,
            (_, Some(_)) => Trial::Locked,
            (sent, None) => sent,
        };
        Tried {
            shared: found(self.shared, locks.shared),
            device_token: found(self.device_token, locks.device_token),
            setup_code: found(self.setup_code, locks.setup_code),
        }
    }
}

/// Everybody that there is: each stranger, and each device at each address.
fn everybody(settings: &Settings) -> Vec<(u8, Option<usize>, Subject)> {
    let devices = || (0..DEVICES).map(Some).chain([None]);
    let all = (0..ADDRESSES).flat_map(|address| devices().map(move |device| (address, device)));
    let one = |(address, device)| {
        let nothing = Trial::None;
        let (shared, device_token, setup_code) = (nothing, nothing, nothing);
        let one = Try {
            address,
            device,
            shared,
            device_token,
            setup_code,
            passed_ms: 0,
        };
        (address, device, one.subject(settings))
    };
    all.map(one).collect()
}

/// Goes through them by a limiter; gives what everybody may not guess in the end.
fn gone_through(tries: &[Try], settings: &Settings) -> Vec<(u8, Option<usize>, Locks)> {
    let (mut limiter, mut now_ms) = (Limiter::new(LIMIT), 0);
    for one in tries {
        now_ms += one.passed_ms;
        let subject = one.subject(settings);
        let tried = one.tried(limiter.locks(&subject, now_ms));
        limiter.settle(&subject, &steps(&tried, &settings.compatibility), now_ms);
    }
    let everybody = everybody(settings).into_iter();
    let locks = |(address, device, subject)| (address, device, limiter.locks(&subject, now_ms));
    everybody.map(locks).collect()
}

proptest! {
    /// The whole of it against a list of all failures, each under the one name that it counts by.
    #[test]
    fn each_guess_counts_by_one_name(tries in tries()) {
        let settings = settings(json!({}), json!({}));
        let (mut limiter, mut twin) = (Limiter::new(LIMIT), Twin::default());
        let mut now_ms = 0;
        // A device by its name wherever it is, except for what strangers send.
        let named = |address: u8, device: Option<usize>, guess| Key {
            guess,
            source: match device {
                Some(number) if guess != Guess::SetupCode => Source::Device(self::device(number)),
                _ => Source::Client([10, 0, 0, address].into()),
            },
        };
        for one in tries {
            now_ms += one.passed_ms;
            let subject = one.subject(&settings);
            let tried = one.tried(limiter.locks(&subject, now_ms));
            limiter.settle(&subject, &steps(&tried, &settings.compatibility), now_ms);
            let sent = [
                (Guess::Shared, tried.shared),
                (Guess::DeviceToken, tried.device_token),
                (Guess::SetupCode, tried.setup_code),
            ];
            for (guess, became) in sent {
                let key = named(one.address, one.device, guess);
                match became {
                    Trial::Failed => twin.failed(&key, now_ms),
                    // Forgiven to a device only, and of what it proved.
                    Trial::Held if matches!(key.source, Source::Device(_)) => twin.succeeded(&key),
                    Trial::Held | Trial::Locked | Trial::None => {}
                }
            }
            for (address, device, subject) in everybody(&settings) {
                let locked = |guess| twin.locked_for(&named(address, device, guess), now_ms);
                let expected = Locks {
                    shared: locked(Guess::Shared),
                    device_token: locked(Guess::DeviceToken),
                    setup_code: locked(Guess::SetupCode),
                };
                prop_assert_eq!(limiter.locks(&subject, now_ms), expected);
            }
        }
    }

    /// Whatever anybody else does, a device may guess as if it were alone.
    #[test]
    fn nobody_locks_out_a_device_but_itself(tries in tries(), which in 0..DEVICES) {
        let settings = settings(json!({}), json!({}));
        let mut alone = tries.clone();
        let mut waited_ms = 0;
        alone.retain_mut(|one| {
            waited_ms += one.passed_ms;
            let stays = one.device == Some(which);
            if stays {
                one.passed_ms = std::mem::take(&mut waited_ms);
            }
            stays
        });
        // The time that passes last passes for it, too.
        let last = Try { device: None, shared: Trial::None, device_token: Trial::None,
            setup_code: Trial::None, address: 0, passed_ms: waited_ms };
        alone.push(last);
        let own = |all: Vec<(u8, Option<usize>, Locks)>| -> Vec<[Option<i64>; 2]> {
            let own = all.into_iter().filter(|(_, device, _)| *device == Some(which));
            own.map(|(.., locks)| [locks.shared, locks.device_token]).collect()
        };
        prop_assert_eq!(own(gone_through(&tries, &settings)), own(gone_through(&alone, &settings)));
    }

    /// What held, at any time and whoever's it was, makes no stranger's guess free again.
    #[test]
    fn a_success_washes_no_address(tries in tries()) {
        let settings = settings(json!({}), json!({}));
        let mut without = tries.clone();
        for one in &mut without {
            for trial in [&mut one.shared, &mut one.device_token, &mut one.setup_code] {
                if *trial == Trial::Held {
                    *trial = Trial::None;
                }
            }
        }
        let strangers = |all: Vec<(u8, Option<usize>, Locks)>| -> Vec<Locks> {
            let strangers = all.into_iter().filter(|(_, device, _)| device.is_none());
            strangers.map(|(.., locks)| locks).collect()
        };
        prop_assert_eq!(
            strangers(gone_through(&tries, &settings)),
            strangers(gone_through(&without, &settings))
        );
    }
}

/// Where there is no room to count another device by its key, it is counted by its address, and
/// not locked out for want of room.
#[test]
fn a_device_too_many_is_counted_by_its_address() {
    let settings = settings(json!({}), json!({}));
    let of = |number, host| {
        Subject::of(&settings, ip([192, 0, 2, host]), &Origin::absent(), &[])
            .known_as(Some(&device(number)), &settings)
    };
    let mut limiter = Limiter::new(RateLimit {
        window_ms: 10_000,
        lockout_ms: 10_000,
        ..LIMIT
    });
    for number in 0..MOST_KEYS {
        for _ in 0..LIMIT.max_attempts {
            limiter.settle(&of(number, 1), &failed_shared(), 0);
        }
    }
    assert_eq!(limiter.len(), MOST_KEYS);
    let late = of(MOST_KEYS, 1);
    assert_eq!(limiter.locks(&late, 0), Locks::default());
    for _ in 0..LIMIT.max_attempts {
        limiter.settle(&late, &failed_shared(), 0);
    }
    assert!(limiter.locks(&late, 0).shared.is_some());
    assert!(limiter.locks(&of(MOST_KEYS + 1, 1), 0).shared.is_some());
    assert_eq!(limiter.locks(&of(MOST_KEYS + 1, 2), 0), Locks::default());
    assert_eq!(limiter.len(), MOST_KEYS + 1);
}

/// This host has sixteen million loopback addresses; who fails from all of them locks out nobody who
/// comes from the one that everybody uses, and no page.
#[test]
fn loopback_addresses_without_end_lock_out_no_one_else() {
    let loopback = |number: usize| {
        let number = u32::try_from(number).unwrap();
        of(Source::Client(Ipv4Addr::from(0x7f00_0002 + number).into()))
    };
    let mut limiter = Limiter::new(RateLimit {
        window_ms: 10_000,
        lockout_ms: 10_000,
        ..LIMIT
    });
    for number in 0..2 * MOST_KEYS {
        lock(&mut limiter, &loopback(number), 0);
    }
    assert!(limiter.len() <= MOST_KEYS + 1);
    let network = Check::Locked {
        retry_after_ms: 10_000,
    };
    assert_eq!(limiter.check(&loopback(3 * MOST_KEYS), 0), network);
    for key in bystanders() {
        assert_eq!(limiter.check(&key, 0), Check::Allowed, "{key:?}");
    }
}

/// What is counted is told once, and what is remembered as it is.
#[test]
fn what_happened_is_told() {
    let settings = settings(json!({}), json!({}));
    let stranger = Subject::of(&settings, ip([192, 0, 2, 1]), &Origin::absent(), &[]);
    let known = stranger.clone().known_as(Some(&device(1)), &settings);
    let mut limiter = Limiter::new(LIMIT);
    for _ in 0..LIMIT.max_attempts {
        limiter.settle(&stranger, &failed_shared(), 0);
    }
    limiter.settle(&known, &failed_shared(), 0);
    let locked = Steps {
        locked: [Some(Guess::Shared), None, None],
        ..Steps::default()
    };
    limiter.settle(&stranger, &locked, 0);
    let counts = Counts {
        failed: [(Guess::Shared, 4)].into(),
        locked: [(Guess::Shared, 1)].into(),
        lockouts: [(By::Address, 1)].into(),
        ..Counts::default()
    };
    assert_eq!(limiter.take_counts(), counts);
    assert_eq!(limiter.take_counts(), Counts::default());
    let remembered = Remembered {
        sources: [(By::Address, 1), (By::Device, 1)].into(),
        locks: [(By::Address, 1)].into(),
    };
    assert_eq!(limiter.remembered(0), remembered);
    let later = limiter.remembered(LIMIT.lockout_ms);
    assert_eq!(later.locks, [].into());
}

/// Whoever may write the configuration may not free who is locked out by it, nor lock out who is not;
/// failures from before count by the limit from then on.
#[test]
fn another_limit_frees_nobody() {
    let with = |max_attempts, window_ms, lockout_ms| RateLimit {
        max_attempts,
        window_ms,
        lockout_ms,
        exempt_loopback: true,
    };
    let (out, once, new) = (key(1), key(2), key(3));
    for other in [with(1, 1_000, 1), with(50, 10, 9_000), RateLimit::default()] {
        let mut limiter = Limiter::new(LIMIT);
        for _ in 0..LIMIT.max_attempts {
            limiter.failed(out.clone(), 0);
        }
        limiter.failed(once.clone(), 0);
        limiter.limited(other);
        let Check::Locked { retry_after_ms } = limiter.check(&out, 1) else {
            panic!("{other:?} frees it");
        };
        assert_eq!(retry_after_ms, LIMIT.lockout_ms - 1, "{other:?}");
        for key in [&once, &new] {
            assert_eq!(limiter.check(key, 1), Check::Allowed, "{other:?}");
        }
        assert_eq!(limiter.len(), 2, "{other:?}");
    }
    let mut limiter = Limiter::new(LIMIT);
    limiter.failed(once.clone(), 0);
    limiter.limited(with(2, 1_000, 70));
    limiter.failed(once.clone(), 1);
    let locked = Check::Locked { retry_after_ms: 70 };
    assert_eq!(limiter.check(&once, 1), locked, "the first one counts");
}

/// An operator sees some of them, and how many others there are.
#[test]
fn who_is_locked_out_is_listed() {
    let mut limiter = Limiter::new(LIMIT);
    for number in (0..20).rev() {
        let at_ms = i64::from(number);
        for _ in 0..LIMIT.max_attempts {
            limiter.failed(key(number), at_ms);
        }
    }
    limiter.failed(key(20), 20);
    let until = |number: u8| i64::from(number) + LIMIT.lockout_ms;
    let first: Vec<_> = (5..13).map(|number| (key(number), until(number))).collect();
    let LockedOut { listed, more } = limiter.locked_out(until(4));
    assert_eq!((listed, more), (first, 7));
    assert_eq!(limiter.locked_out(until(20)), LockedOut::default());
}

#[test]
fn a_source_is_named_as_operators_know_it() {
    let ip = |text: &str| text.parse().unwrap();
    for (source, name) in [
        (Source::Client(ip("127.0.0.1")), "127.0.0.1"),
        (Source::Client(ip("2001:db8::")), "2001:db8::/64"),
        (Source::Client(ip("2001:db8::1")), "2001:db8::1"),
        (Source::Client(ip("::1")), "::1"),
        (Source::Browser(ip("192.0.2.1")), "a page at 192.0.2.1"),
        (Source::Clients(ip("192.0.0.0")), "192.0.0.0/16"),
        (Source::Clients(ip("127.0.0.0")), "127.0.0.0/8"),
        (Source::Browsers(ip("2001:db8::")), "pages in 2001:db8::/32"),
    ] {
        assert_eq!(source.to_string(), name);
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
