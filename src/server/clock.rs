//! What the world puts into a decision: the time, nonces, and ids and secrets that nobody had
//! before.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::facts::Text;
use crate::pairing::change::Fresh;
use crate::secret::Secret;

/// Unix milliseconds. Before 1970 it is 0: then signatures are too old, and nobody gets in.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or(Duration::ZERO).as_millis()).unwrap_or(i64::MAX)
}

/// Milliseconds since the program looked first. It goes on when somebody sets the time: a lockout
/// lasts as long as it was meant to.
pub(super) fn steady_ms() -> i64 {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let since = FIRST.get_or_init(Instant::now).elapsed();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The system has no randomness: nothing may be admitted then, and nothing goes on.
#[derive(Debug, thiserror::Error)]
#[error("the system has no randomness")]
pub struct NoRandomness;

fn random<const BYTES: usize>() -> Result<[u8; BYTES], NoRandomness> {
    let mut bytes = [0; BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// A UUID (version 4), as OpenClaw names connections, nonces and requests.
pub(super) fn uuid() -> Result<Text, NoRandomness> {
    let uuid = uuid::Builder::from_random_bytes(random()?).into_uuid();
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    Ok((&*uuid.hyphenated().encode_lower(&mut text)).into())
}

/// Runs a step that may need ids and secrets that nobody had before.
///
/// # Errors
///
/// One was needed and could not be made: what the step gave is not to be used.
pub(super) fn with_fresh<T>(step: impl FnOnce(&mut Fresh<'_>) -> T) -> Result<T, NoRandomness> {
    let failed = Cell::new(false);
    let or_none = |made: Result<Box<str>, NoRandomness>| {
        made.unwrap_or_else(|NoRandomness| {
            failed.set(true);
            Box::default()
        })
    };
    let mut request_id = || or_none(uuid().map(|id| (&id).into()));
    let mut secret = || {
        let bytes = random::<32>().map(|bytes| URL_SAFE_NO_PAD.encode(bytes).into());
        Secret::new(&or_none(bytes))
    };
    let done = step(&mut Fresh {
        request_id: &mut request_id,
        secret: &mut secret,
    });
    match failed.get() {
        false => Ok(done),
        true => Err(NoRandomness),
    }
}
