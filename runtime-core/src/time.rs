//! Points in time, as values: nothing in this crate reads a clock.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Wall-clock time in nanoseconds since the Unix epoch; reads and writes RFC 3339 in UTC with nine
/// fractional digits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From nanoseconds since the Unix epoch.
    pub const fn from_unix_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_unix_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This point and `by` more; the end of the representable range (year 2554) when that is past it.
    #[must_use]
    pub fn later(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

impl From<SystemTime> for Timestamp {
    /// A time before the epoch becomes the epoch.
    fn from(time: SystemTime) -> Self {
        let nanos = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        Self(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = UNIX_EPOCH + Duration::from_nanos(self.0);
        write!(f, "{}", humantime::format_rfc3339_nanos(time))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = humantime::parse_rfc3339(&text).map_err(|error| {
            de::Error::custom(format_args!("not an RFC 3339 time in UTC: {text}: {error}"))
        })?;
        Ok(time.into())
    }
}

/// Nanoseconds since the machine started, suspended time included: the kernel's `CLOCK_BOOTTIME`.
///
/// Process start times are in this clock, because it never jumps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootTime(u64);

impl BootTime {
    /// From nanoseconds since the machine started.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the machine started.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The wall-clock time of this point, given both clocks read at one moment.
    pub fn to_wall(self, boot_now: Self, wall_now: Timestamp) -> Timestamp {
        let wall = i128::from(wall_now.0) + i128::from(self.0) - i128::from(boot_now.0);
        Timestamp(u64::try_from(wall.max(0)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_what_it_writes() {
        let time = Timestamp::from_unix_nanos(1_795_000_000_123_456_789);
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(json, "\"2026-11-18T11:06:40.123456789Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), time);
    }

    #[test]
    fn boot_time_maps_to_the_wall_clock_on_both_sides_of_now() {
        let wall_now = Timestamp::from_unix_nanos(1_000);
        let boot_now = BootTime::from_nanos(100);
        assert_eq!(
            BootTime::from_nanos(90)
                .to_wall(boot_now, wall_now)
                .as_unix_nanos(),
            990
        );
        assert_eq!(
            BootTime::from_nanos(120)
                .to_wall(boot_now, wall_now)
                .as_unix_nanos(),
            1_020
        );
        assert_eq!(
            BootTime::from_nanos(0)
                .to_wall(BootTime::from_nanos(5_000), wall_now)
                .as_unix_nanos(),
            0
        );
    }
}
