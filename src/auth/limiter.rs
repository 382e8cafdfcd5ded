//! The rate limiter: who has failed to authenticate too often, and what to do about it.
//!
//! A server keeps one [`Limiter`], asks it for [`Locks`] before it verifies, and has it
//! [`settle`](Limiter::settle) what became of the credentials. Nothing here waits, and no
//! clock is read.
//!
//! Strangers are counted by where they come from, and so share what is left of their address with
//! everybody there. A device that is known and has proved its key is counted by that key: nobody
//! else can fail in its name, and it fails in nobody else's. What holds takes nothing away from what
//! failed, or else whoever holds one credential could go on guessing another.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::verify::{Trial, Tried};
use crate::facts::word::words;
use crate::facts::{Address, Origin, OriginClass, Text};
use crate::settings::compatibility::{Compatibility, SharedFailures};
use crate::settings::{RateLimit, Settings};

/// At most so many sources of one kind are remembered: clients of IPv4, pages of this host …
pub const MOST_KEYS: usize = 10_000;
/// So many that are not locked out are forgotten at once, the oldest first, to make room.
const FORGOTTEN: usize = 1_000;
/// Room is not made more often, in milliseconds, since that looks at all sources of a kind.
const SWEEP_MS: i64 = 1_000;
/// The network that one client of IPv6 has to itself, and may change its address in.
const CLIENT_V6_BITS: u8 = 64;
/// The networks that are counted as one where there is no room for their clients.
const NETWORK_V4_BITS: u8 = 16;
/// The same for IPv6: what a registry gives to one provider.
const NETWORK_V6_BITS: u8 = 32;
/// At most so many moments are remembered of each: where more failures are allowed, those of
/// one stretch of the window are remembered together.
const MOST_MOMENTS: u32 = 64;
/// An origin longer than this is counted with all others that cannot be told apart.
const LONGEST_ORIGIN: usize = 253;
/// How long the first refusal is held back, in milliseconds; each further one twice as long.
const FIRST_DELAY_MS: i64 = 250;
/// How long a refusal is held back at most, in milliseconds.
pub(crate) const LONGEST_DELAY_MS: i64 = 5_000;

words! {
    /// What is guessed: each kind is counted by itself.
    Guess {
        Shared "shared-secret" "the shared token or password",
        DeviceToken "device-token" "a device token",
        SetupCode "bootstrap-token" "a setup code",
    }
}

/// Who guesses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A client at an address; of IPv6, the network of 64 bits that it is in, unless this host is
    /// in it too.
    Client(IpAddr),
    /// A page, in a browser at such an address.
    Browser(IpAddr),
    /// Those clients of a network that there is no room to remember one by one.
    Clients(IpAddr),
    /// Those browsers of a network that there is no room to remember one by one.
    Browsers(IpAddr),
    /// A page in a browser on this host.
    Page(Box<str>),
    /// Pages on this host that are not told apart.
    Pages,
    /// Clients whose address cannot be known.
    Unknown,
    /// A device that is known and has proved its key, wherever it comes from.
    Device(Text),
}

words! {
    /// What a source is told apart by.
    By {
        Address "address" "the address of a client or of a browser",
        Network "network" "a network, where there is no room for the addresses in it",
        Page "page" "the page that speaks, in a browser on this host",
        Unknown "unknown" "nothing: the client's address is not known",
        Device "device" "the key of a device that is known",
    }
}

/// Sources that take room from each other, and from no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Clients at the one loopback address that all use, pages that are not told apart, and those
    /// without an address.
    Few,
    /// Clients at one of the sixteen million other loopback addresses.
    OtherLoopback,
    Clients {
        v6: bool,
    },
    Browsers {
        v6: bool,
    },
    ClientNetworks {
        v6: bool,
    },
    BrowserNetworks {
        v6: bool,
    },
    /// Pages that this host serves, as the dashboard.
    OwnPages,
    /// Pages from elsewhere in a browser on this host.
    OtherPages,
    Devices,
}

impl Source {
    fn kind(&self) -> Kind {
        match self {
            Source::Client(ip) if is_usual_loopback(*ip) => Kind::Few,
            Source::Client(ip) if ip.is_loopback() => Kind::OtherLoopback,
            Source::Client(ip) => Kind::Clients { v6: ip.is_ipv6() },
            Source::Browser(ip) => Kind::Browsers { v6: ip.is_ipv6() },
            Source::Clients(ip) => Kind::ClientNetworks { v6: ip.is_ipv6() },
            Source::Browsers(ip) => Kind::BrowserNetworks { v6: ip.is_ipv6() },
            Source::Page(text) if Origin::parse(text).class() == OriginClass::Loopback => {
                Kind::OwnPages
            }
            Source::Page(_) => Kind::OtherPages,
            Source::Pages | Source::Unknown => Kind::Few,
            Source::Device(_) => Kind::Devices,
        }
    }

    /// What it is told apart by.
    fn by(&self) -> By {
        match self {
            Source::Client(_) | Source::Browser(_) => By::Address,
            Source::Clients(_) | Source::Browsers(_) => By::Network,
            Source::Page(_) | Source::Pages => By::Page,
            Source::Unknown => By::Unknown,
            Source::Device(_) => By::Device,
        }
    }

    /// Who it is counted with where there is no room for it.
    fn wider(&self) -> Option<Source> {
        match self {
            Source::Client(ip) if is_usual_loopback(*ip) => None,
            Source::Client(ip) if ip.is_loopback() => Some(Source::Clients(LOOPBACK)),
            Source::Client(ip) => Some(Source::Clients(provider(*ip))),
            Source::Browser(ip) => Some(Source::Browsers(provider(*ip))),
            Source::Clients(_)
            | Source::Browsers(_)
            | Source::Page(_)
            | Source::Pages
            | Source::Unknown
            | Source::Device(_) => None,
        }
    }
}

/// All of 127.0.0.0/8.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0));

fn is_usual_loopback(ip: IpAddr) -> bool {
    ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST
}

/// The address itself, or of IPv6 the network whose addresses one client may take in turn. In a
/// network that this host is in by an address of its `own`, others are neighbours, each by itself.
fn one_client(ip: IpAddr, own: &[IpAddr]) -> IpAddr {
    let of = |ip: IpAddr| network(ip, CLIENT_V6_BITS);
    let neighbour = || own.iter().any(|own| own.is_ipv6() && of(*own) == of(ip));
    match ip.is_ipv6() && !ip.is_loopback() && !neighbour() {
        true => of(ip),
        false => ip,
    }
}

fn provider(ip: IpAddr) -> IpAddr {
    network(
        ip,
        match ip.is_ipv6() {
            true => NETWORK_V6_BITS,
            false => NETWORK_V4_BITS,
        },
    )
}

fn network(ip: IpAddr, bits: u8) -> IpAddr {
    IpNet::new(ip, bits).map_or(ip, |network| network.network())
}

/// What failures are counted under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// What is guessed.
    pub guess: Guess,
    /// Who guesses.
    pub source: Source,
}

/// Whether a source may go on guessing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// It may.
    Allowed,
    /// It has failed too often.
    Locked {
        /// When it may again, in milliseconds from now.
        retry_after_ms: i64,
    },
}

/// How the guesses of one connection are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    source: Source,
    measure: Measure,
    /// By whose key it is counted, in the place of where it comes from.
    device: Option<Text>,
    /// Whether what holds makes forgotten what failed.
    forgives: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    /// Failures are not even counted.
    Free,
    /// Failures make refusals slower.
    Delayed,
    /// They would, but no more refusals can be held back: nothing is looked at.
    Shut,
    /// Failures lock out.
    Locked,
}

impl Subject {
    /// Who is counted, and how, for a client at an address that speaks for a page or for none.
    ///
    /// Every page is limited, on this host by itself: any page that the user opens can try
    /// secrets against loopback. Other clients are limited where the settings say so, those on
    /// this host as a rule not: they could read the secret anyway. A page of this host may have to
    /// wait too and not be locked out, since any program here could see to that
    /// (`delayOwnPages`). All addresses of a network of 64 bits are one client, since IPv6 gives
    /// every host so many; not where one of `own_addresses` is in it, as its neighbours are.
    #[must_use]
    pub fn of(
        settings: &Settings,
        client_ip: Address,
        origin: &Origin,
        own_addresses: &[IpAddr],
    ) -> Self {
        let compatibility = &settings.compatibility;
        let limit = settings.auth.rate_limit;
        let page = !matches!(origin.class(), OriginClass::Absent | OriginClass::Empty);
        let exempt = limit.unwrap_or_default().exempt_loopback;
        let own_page = origin.class() == OriginClass::Loopback && client_ip.is_loopback();
        let measure = if own_page && exempt && compatibility.delay_own_pages {
            Measure::Delayed
        } else if page {
            Measure::Locked
        } else if limit.is_none() && !compatibility.always_limited {
            Measure::Free
        } else if client_ip.is_loopback() && exempt {
            match compatibility.delay_loopback {
                true => Measure::Delayed,
                false => Measure::Free,
            }
        } else {
            Measure::Locked
        };
        let source = match client_ip.ip() {
            None => Source::Unknown,
            Some(ip) if !page => Source::Client(one_client(ip, own_addresses)),
            Some(ip) if !client_ip.is_loopback() => Source::Browser(one_client(ip, own_addresses)),
            Some(_) => page_source(origin, compatibility),
        };
        Subject {
            source,
            measure,
            device: None,
            forgives: compatibility.success_forgives,
        }
    }

    /// The same of a client that is known by its device: one that has proved its key, and that a
    /// record with tokens in force is remembered of.
    ///
    /// Where the settings say so (`countByDevice`) its guesses are counted by that key. Setup codes
    /// are not: they are for those who are not known.
    #[must_use]
    pub fn known_as(self, device: Option<&Text>, settings: &Settings) -> Self {
        let counts = settings.compatibility.count_by_device && self.measure != Measure::Free;
        Subject {
            device: device.filter(|_| counts).cloned(),
            ..self
        }
    }

    /// The same where no more refusals can be held back. A device that is known is locked out in
    /// place of that; of strangers nothing is looked at until one of those that wait has gone.
    #[must_use]
    pub fn not_held(self) -> Self {
        let measure = match (self.measure, &self.device) {
            (Measure::Delayed, Some(_)) => Measure::Locked,
            (Measure::Delayed, None) => Measure::Shut,
            (measure, _) => measure,
        };
        Subject { measure, ..self }
    }

    /// What failures of where it comes from are counted under.
    fn key(&self, guess: Guess) -> Key {
        Key {
            guess,
            source: self.source.clone(),
        }
    }

    /// What those of its device are counted under.
    fn device_key(&self, guess: Guess) -> Option<Key> {
        let device = match guess {
            Guess::Shared | Guess::DeviceToken => self.device.clone(),
            Guess::SetupCode => None,
        };
        let source = Source::Device(device?);
        Some(Key { guess, source })
    }
}

fn page_source(origin: &Origin, compatibility: &Compatibility) -> Source {
    let text = origin.text();
    let named = origin.is_page() && text.len() <= LONGEST_ORIGIN;
    match compatibility.count_by_origin && named {
        true => Source::Page(text.into()),
        false => Source::Pages,
    }
}

/// For each kind of guess, when it may be made again, in milliseconds from now; none where it
/// may be made now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Locks {
    /// The shared token or password.
    pub shared: Option<i64>,
    /// A device token.
    pub device_token: Option<i64>,
    /// A setup code.
    pub setup_code: Option<i64>,
}

/// What became of the guesses of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// Those that failed.
    pub failed: [Option<Guess>; 3],
    /// Those that held. Whose earlier failures are forgotten then, [`Limiter::settle`] knows.
    pub cleared: [Option<Guess>; 3],
    /// Those that were not looked at, since too many had failed.
    pub locked: [Option<Guess>; 3],
}

/// What is to be counted once the credentials of a connection were verified. Credentials that
/// are missing are no guess.
#[must_use]
pub fn steps(tried: &Tried, compatibility: &Compatibility) -> Steps {
    let is = |trial: Trial, what: Trial, guess| (trial == what).then_some(guess);
    let failed = |trial, guess| is(trial, Trial::Failed, guess);
    let held = |trial, guess| is(trial, Trial::Held, guess);
    let locked = |trial, guess| is(trial, Trial::Locked, guess);
    let device_token_held = tried.device_token == Trial::Held;
    let device_token_follows = device_token_held || tried.device_token == Trial::Failed;
    let shared_failed = tried.shared == Trial::Failed;
    let (counts, forgives) = match compatibility.shared_failures {
        SharedFailures::Hidden => (!device_token_follows, false),
        SharedFailures::Counted => {
            let beside = device_token_held && shared_failed;
            (true, beside && compatibility.success_forgives)
        }
        SharedFailures::Settled => (!device_token_held, false),
    };
    let setup_codes = compatibility.count_setup_codes;
    Steps {
        failed: [
            failed(tried.shared, Guess::Shared).filter(|_| counts && !forgives),
            failed(tried.device_token, Guess::DeviceToken),
            failed(tried.setup_code, Guess::SetupCode).filter(|_| setup_codes),
        ],
        cleared: [
            held(tried.shared, Guess::Shared).or(forgives.then_some(Guess::Shared)),
            held(tried.device_token, Guess::DeviceToken),
            held(tried.setup_code, Guess::SetupCode),
        ],
        locked: [
            locked(tried.shared, Guess::Shared),
            locked(tried.device_token, Guess::DeviceToken),
            locked(tried.setup_code, Guess::SetupCode),
        ],
    }
}

/// The failures of each source.
#[derive(Clone, Debug)]
pub struct Limiter {
    limit: RateLimit,
    kinds: BTreeMap<Kind, Table>,
    counts: Counts,
}

/// How often something happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Wrong credentials that counted.
    pub failed: BTreeMap<Guess, u64>,
    /// Credentials that were not looked at.
    pub locked: BTreeMap<Guess, u64>,
    /// Sources that were locked out.
    pub lockouts: BTreeMap<By, u64>,
    /// Sources that were forgotten to make room for others.
    pub forgotten: u64,
    /// Failures of sources that there was no room for, and whose network there is none of.
    pub no_room: u64,
}

/// What is remembered now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Sources that failed.
    pub sources: BTreeMap<By, u64>,
    /// Those among them that are locked out.
    pub locks: BTreeMap<By, u64>,
}

fn more<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
    let count = counts.entry(key).or_default();
    *count = count.saturating_add(1);
}

/// The failures of the sources of one kind.
#[derive(Clone, Debug, Default)]
struct Table {
    keys: BTreeMap<Key, Failures>,
    /// When room was last made.
    swept_ms: Option<i64>,
    /// When there may be room again, if there is none.
    full_until_ms: Option<i64>,
}

#[derive(Clone, Debug, Default)]
struct Failures {
    /// Until when a stretch of the window goes, and how many failed in it; the oldest first.
    moments: VecDeque<(i64, u32)>,
    locked_until_ms: Option<i64>,
}

impl Limiter {
    /// A limiter in which nobody has failed yet. A time that is none is taken for the default,
    /// so that no limit is lifted by mistake; with 0 attempts the first failure locks out.
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        let usual = RateLimit::default();
        let time = |ms: i64, usual_ms| if ms > 0 { ms } else { usual_ms };
        Limiter {
            limit: RateLimit {
                window_ms: time(limit.window_ms, usual.window_ms),
                lockout_ms: time(limit.lockout_ms, usual.lockout_ms),
                ..limit
            },
            kinds: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    /// A limiter for the settings: without `auth.rateLimit`, by its defaults.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Limiter::new(settings.auth.rate_limit.unwrap_or_default())
    }

    /// Which guesses the subject may not make, at `now_ms` in Unix milliseconds.
    #[must_use]
    pub fn locks(&self, subject: &Subject, now_ms: i64) -> Locks {
        if subject.measure == Measure::Shut {
            let soon = Some(LONGEST_DELAY_MS);
            return Locks {
                shared: soon,
                device_token: soon,
                setup_code: soon,
            };
        }
        let lock = |guess| {
            let key = self.counted_as(subject, guess)?;
            match self.check(&key, now_ms) {
                Check::Allowed => None,
                Check::Locked { retry_after_ms } => Some(retry_after_ms),
            }
        };
        Locks {
            shared: lock(Guess::Shared),
            device_token: lock(Guess::DeviceToken),
            setup_code: lock(Guess::SetupCode),
        }
    }

    /// By what a guess may be locked: by its device, unless there is no room for that, or else by
    /// where it comes from. Where failures only make refusals slower, a device is locked by what it
    /// guessed beside a credential that held: no refusal slows that down.
    fn counted_as(&self, subject: &Subject, guess: Guess) -> Option<Key> {
        let of_device = subject.device_key(guess).filter(|key| {
            let table = self.kinds.get(&Kind::Devices);
            table.is_none_or(|table| !table.is_full() || table.keys.contains_key(key))
        });
        match subject.measure {
            Measure::Free | Measure::Shut => None,
            Measure::Delayed => of_device,
            Measure::Locked => Some(of_device.unwrap_or_else(|| subject.key(guess))),
        }
    }

    /// Counts what became of the credentials of a connection, and says how long its refusal is
    /// to be held back, in milliseconds; 0 for none.
    ///
    /// What holds is forgiven to the device that proved itself, of the very kind that held: nobody
    /// else's failures are among those, and what it proves of this kind it need not guess. To an
    /// address it is forgiven where the settings say so (`successForgives`).
    pub fn settle(&mut self, subject: &Subject, steps: &Steps, now_ms: i64) -> i64 {
        for guess in steps.locked.into_iter().flatten() {
            more(&mut self.counts.locked, guess);
        }
        if matches!(subject.measure, Measure::Free | Measure::Shut) {
            return 0;
        }
        for guess in steps.cleared.into_iter().flatten() {
            if let Some(key) = subject.device_key(guess) {
                self.succeeded(&key);
            }
            if subject.forgives {
                self.succeeded(&subject.key(guess));
            }
        }
        let by_own_token = steps.cleared.contains(&Some(Guess::DeviceToken));
        let mut delay_ms = 0;
        for guess in steps.failed.into_iter().flatten() {
            more(&mut self.counts.failed, guess);
            let beside = by_own_token && guess == Guess::Shared;
            match (subject.measure, subject.device_key(guess)) {
                (Measure::Delayed, Some(key)) if beside => self.failed(key, now_ms),
                (Measure::Delayed, _) => {
                    delay_ms = delay_ms.max(self.delayed(subject.key(guess), now_ms));
                }
                (Measure::Locked, Some(key)) if self.room_for(key.clone(), now_ms).is_some() => {
                    self.failed(key, now_ms);
                }
                (Measure::Locked | Measure::Free | Measure::Shut, _) => {
                    self.failed(subject.key(guess), now_ms)
                }
            }
        }
        delay_ms
    }

    /// Whether a source may guess, at `now_ms` in Unix milliseconds. One that could not be
    /// counted may not, unless its network can be.
    #[must_use]
    pub fn check(&self, key: &Key, now_ms: i64) -> Check {
        let table = self.kinds.get(&key.source.kind());
        let until_ms = match table.map(|table| (table, table.keys.get(key))) {
            Some((_, Some(failures))) => failures.locked_until_ms,
            Some((table, None)) if table.is_full() => match key.wider() {
                Some(wider) => return self.check(&wider, now_ms),
                None => table.full_until_ms,
            },
            Some((_, None)) | None => None,
        };
        match until_ms.filter(|until_ms| *until_ms > now_ms) {
            Some(until_ms) => Check::Locked {
                retry_after_ms: until_ms.saturating_sub(now_ms),
            },
            None => Check::Allowed,
        }
    }

    /// Counts a failure, and locks the source out when it is one too many. A source that is
    /// locked out is not counted further. One that there is no room for is counted with its
    /// network.
    pub fn failed(&mut self, key: Key, now_ms: i64) {
        let limit = self.limit;
        let (wider, by) = (key.wider(), key.source.by());
        let locks_out = match self.room_for(key, now_ms) {
            Some(failures) => failures.fail(now_ms, &limit),
            None => {
                match wider {
                    Some(wider) => self.failed(wider, now_ms),
                    None => self.counts.no_room = self.counts.no_room.saturating_add(1),
                }
                false
            }
        };
        if locks_out {
            more(&mut self.counts.lockouts, by);
        }
    }

    /// Forgets the failures of a source, and its lockout.
    pub fn succeeded(&mut self, key: &Key) {
        if let Some(table) = self.kinds.get_mut(&key.source.kind()) {
            table.keys.remove(key);
        }
    }

    /// How many sources are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kinds.values().map(|table| table.keys.len()).sum()
    }

    /// What is remembered, at `now_ms` in Unix milliseconds. It looks at all of it.
    #[must_use]
    pub fn remembered(&self, now_ms: i64) -> Remembered {
        let mut remembered = Remembered::default();
        let keys = self.kinds.values().flat_map(|table| &table.keys);
        for (key, failures) in keys {
            more(&mut remembered.sources, key.source.by());
            if failures.is_locked(now_ms) {
                more(&mut remembered.locks, key.source.by());
            }
        }
        remembered
    }

    /// How often something happened since it was asked last.
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// Whether nobody is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts a failure that locks nobody out.
    fn delayed(&mut self, key: Key, now_ms: i64) -> i64 {
        let limit = RateLimit {
            max_attempts: MOST_MOMENTS,
            ..self.limit
        };
        let Some(failures) = self.room_for(key, now_ms) else {
            self.counts.no_room = self.counts.no_room.saturating_add(1);
            return LONGEST_DELAY_MS;
        };
        let earlier = failures.count(now_ms, &limit).saturating_sub(1);
        // Doubled more often than this, it is the longest anyway.
        (FIRST_DELAY_MS << earlier.min(10)).min(LONGEST_DELAY_MS)
    }

    /// The failures of a source, with room made for a new one if there can be any.
    fn room_for(&mut self, key: Key, now_ms: i64) -> Option<&mut Failures> {
        let window_ms = self.limit.window_ms;
        let table = self.kinds.entry(key.source.kind()).or_default();
        if table.is_full() && !table.keys.contains_key(&key) {
            let forgotten = table.make_room(now_ms, window_ms);
            self.counts.forgotten = self.counts.forgotten.saturating_add(forgotten);
            if table.is_full() {
                return None;
            }
        }
        Some(table.keys.entry(key).or_default())
    }
}

impl Key {
    fn wider(&self) -> Option<Key> {
        let source = self.source.wider()?;
        Some(Key {
            guess: self.guess,
            source,
        })
    }
}

impl Table {
    fn is_full(&self) -> bool {
        self.keys.len() >= MOST_KEYS
    }

    /// Forgets the sources that no longer matter, or else those that failed longest ago; of
    /// those that are locked out none, or else many could free each other. Says how many still
    /// mattered.
    fn make_room(&mut self, now_ms: i64, window_ms: i64) -> u64 {
        let recently = |swept_ms: i64| now_ms.abs_diff(swept_ms) < SWEEP_MS.unsigned_abs();
        if self.swept_ms.is_some_and(recently) {
            return 0;
        }
        self.swept_ms = Some(now_ms);
        self.keys.retain(|_, failures| {
            failures.is_locked(now_ms) || now_ms.saturating_sub(failures.newest_ms()) < window_ms
        });
        let mut unlocked: Vec<(i64, Key)> = Vec::new();
        if self.is_full() {
            let keys = self.keys.iter();
            let keys = keys.filter(|(_, failures)| !failures.is_locked(now_ms));
            unlocked.extend(keys.map(|(key, failures)| (failures.newest_ms(), key.clone())));
            unlocked.sort_unstable();
        }
        let mut forgotten = 0;
        for (_, key) in unlocked.iter().take(FORGOTTEN) {
            self.keys.remove(key);
            forgotten += 1;
        }
        let locks = self.keys.values().map(|failures| failures.locked_until_ms);
        let soonest_ms = match self.is_full() {
            true => locks.flatten().min(),
            false => None,
        };
        self.full_until_ms = Some(now_ms.saturating_add(SWEEP_MS)).max(soonest_ms);
        forgotten
    }
}

impl Failures {
    /// Adds a failure, and locks out when it is one too many; says whether it was.
    fn fail(&mut self, now_ms: i64, limit: &RateLimit) -> bool {
        let locks_out = !self.is_locked(now_ms) && self.count(now_ms, limit) >= limit.max_attempts;
        if locks_out {
            *self = Failures {
                locked_until_ms: Some(now_ms.saturating_add(limit.lockout_ms)),
                ..Failures::default()
            };
        }
        locks_out
    }

    /// When it last failed, or before all time where nothing is counted.
    fn newest_ms(&self) -> i64 {
        self.moments.back().map_or(i64::MIN, |(at_ms, _)| *at_ms)
    }

    fn is_locked(&self, now_ms: i64) -> bool {
        self.locked_until_ms
            .is_some_and(|until_ms| until_ms > now_ms)
    }

    /// Adds a failure, and counts those within the window.
    fn count(&mut self, now_ms: i64, limit: &RateLimit) -> u32 {
        self.locked_until_ms = None;
        let within = |at_ms: i64| now_ms.saturating_sub(at_ms) < limit.window_ms;
        while self
            .moments
            .front()
            .is_some_and(|(at_ms, _)| !within(*at_ms))
        {
            self.moments.pop_front();
        }
        let stretch_ms = match limit.max_attempts <= MOST_MOMENTS {
            true => 0,
            false => limit.window_ms / i64::from(MOST_MOMENTS),
        };
        match self.moments.back_mut() {
            Some((at_ms, many)) if now_ms <= *at_ms => *many = many.saturating_add(1),
            _ => self
                .moments
                .push_back((now_ms.saturating_add(stretch_ms), 1)),
        }
        if self.moments.len() > 2 * MOST_MOMENTS as usize {
            self.moments.pop_front();
        }
        let many = self.moments.iter().map(|(_, many)| *many);
        many.fold(0, u32::saturating_add)
    }
}

#[cfg(test)]
mod tests;
