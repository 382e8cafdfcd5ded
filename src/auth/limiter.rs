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

mod subject;

use std::collections::{BTreeMap, VecDeque};

use super::verify::{Trial, Tried};
use crate::settings::compatibility::{Compatibility, SharedFailures};
use crate::settings::{RateLimit, Settings};

pub use self::subject::{By, Guess, Key, Source, Subject};
use self::subject::{Kind, Measure};

/// At most so many sources of one kind are remembered: clients of IPv4, pages of this host …
pub const MOST_KEYS: usize = 10_000;
/// So many that are not locked out are forgotten at once, the oldest first, to make room.
const FORGOTTEN: usize = 1_000;
/// Room is not made more often, in milliseconds, since that looks at all sources of a kind.
const SWEEP_MS: i64 = 1_000;
/// Of those that are locked out at most so many are listed.
const MOST_LISTED: usize = 8;
/// At most so many moments are remembered of each: where more failures are allowed, those of
/// one stretch of the window are remembered together.
const MOST_MOMENTS: u32 = 64;
/// How long the first refusal is held back, in milliseconds; each further one twice as long.
const FIRST_DELAY_MS: i64 = 250;
/// How long a refusal is held back at most, in milliseconds.
pub(crate) const LONGEST_DELAY_MS: i64 = 5_000;

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

/// Those that are locked out now: some of them, the soonest to be let go first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockedOut {
    /// What each is counted under, and until when it is locked out, in milliseconds.
    pub listed: Vec<(Key, i64)>,
    /// How many others there are.
    pub more: usize,
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
        Limiter {
            limit: usable(limit),
            kinds: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    /// A limiter for the settings: without `auth.rateLimit`, by its defaults.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Limiter::new(settings.auth.rate_limit.unwrap_or_default())
    }

    /// Goes on by another limit. What failed stays counted, and who is locked out stays so for as
    /// long as it was to last.
    pub fn limited(&mut self, limit: RateLimit) {
        self.limit = usable(limit);
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

    /// Who is locked out, at `now_ms` in Unix milliseconds. It looks at all that is remembered.
    #[must_use]
    pub fn locked_out(&self, now_ms: i64) -> LockedOut {
        let keys = self.kinds.values().flat_map(|table| &table.keys);
        let locked = keys.filter(|(_, failures)| failures.is_locked(now_ms));
        let until = locked.filter_map(|(key, failures)| Some((failures.locked_until_ms?, key)));
        let (mut listed, mut many) = (Vec::new(), 0_usize);
        for one in until {
            many = many.saturating_add(1);
            let at = listed.partition_point(|before| *before <= one);
            if at < MOST_LISTED {
                listed.insert(at, one);
                listed.truncate(MOST_LISTED);
            }
        }
        LockedOut {
            more: many.saturating_sub(listed.len()),
            listed: listed
                .into_iter()
                .map(|(until_ms, key)| (key.clone(), until_ms))
                .collect(),
        }
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

/// A limit whose times are some.
fn usable(limit: RateLimit) -> RateLimit {
    let usual = RateLimit::default();
    let time = |ms: i64, usual_ms| if ms > 0 { ms } else { usual_ms };
    RateLimit {
        window_ms: time(limit.window_ms, usual.window_ms),
        lockout_ms: time(limit.lockout_ms, usual.lockout_ms),
        ..limit
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
