//! Points in time as certificates have them: whole seconds, from 1970 to 9999.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last second of the year 9999, after which neither certificates nor RFC 3339 go.
const LAST: u64 = 253_402_300_799;

/// A point in time. It is written as RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(u64);

impl Date {
    /// So many seconds after 1970 began, and not beyond 9999.
    #[must_use]
    pub fn from_seconds(seconds: u64) -> Self {
        Date(seconds.min(LAST))
    }

    /// So many seconds after 1970 began.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0
    }
}

impl From<SystemTime> for Date {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Date::from_seconds(since.as_secs())
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = UNIX_EPOCH + Duration::from_secs(self.0);
        humantime::format_rfc3339_seconds(time).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_can_be_written() {
        for (time, text) in [
            (UNIX_EPOCH - Duration::from_secs(5), "1970-01-01T00:00:00Z"),
            (UNIX_EPOCH, "1970-01-01T00:00:00Z"),
            (
                UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX)),
                "2106-02-07T06:28:15Z",
            ),
            (
                UNIX_EPOCH + Duration::from_secs(LAST + 1),
                "9999-12-31T23:59:59Z",
            ),
        ] {
            assert_eq!(Date::from(time).to_string(), text);
        }
    }
}
