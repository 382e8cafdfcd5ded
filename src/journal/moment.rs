//! When something was, as a line says it: RFC 3339 in UTC with milliseconds. No clock is asked.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time, in Unix milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

/// 9999-12-31T23:59:59.999Z, the last that four digits of a year can say.
const LAST: u64 = 253_402_300_799_999;

/// Times before 1970 are shown as its beginning, and those beyond the year 9999 as its end.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = u64::try_from(self.0).unwrap_or(0).min(LAST);
        let time = UNIX_EPOCH + Duration::from_millis(since);
        humantime::format_rfc3339_millis(time).fmt(f)
    }
}

impl Moment {
    /// Reads a time as RFC 3339 has it; `None` for what is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        humantime::parse_rfc3339_weak(text).ok().map(Moment::of)
    }

    fn of(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Moment::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format_args!(
                "`{}` is no time, such as 2026-02-02T02:40:00.000Z",
                crate::source::visible(&text)
            ))
        })
    }
}
