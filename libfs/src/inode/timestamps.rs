//! Timestamps of inodes, in both forms that XFS stores.

use std::time::{SystemTime, UNIX_EPOCH};

const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// Seconds from the start of bigtime (1901-12-13 20:45:52) to 1970.
const BIGTIME_EPOCH_OFFSET: i64 = 1 << 31;
/// Last second that bigtime can hold (`XFS_BIGTIME_TIME_MAX`, year 2486).
const BIGTIME_LAST_SECOND: i64 = 16_299_260_424;

/// A moment, as seconds and nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Seconds since 1970-01-01, negative before.
    pub sec: i64,
    /// Nanoseconds, below 1,000,000,000 in a sound inode.
    pub nsec: u32,
}

impl Timestamp {
    /// Decodes the 64 bits of a disk inode (in host order).
    pub fn from_disk(bits: u64, bigtime: bool) -> Self {
        if bigtime {
            let sec = (bits / NANOS_PER_SECOND) as i64 - BIGTIME_EPOCH_OFFSET;
            Timestamp { sec, nsec: (bits % NANOS_PER_SECOND) as u32 }
        } else {
            Timestamp { sec: i64::from((bits >> 32) as i32), nsec: bits as u32 }
        }
    }

    /// The 64 bits for a disk inode, in host order. A moment that the form cannot hold
    /// becomes the nearest it can.
    pub fn to_disk(self, bigtime: bool) -> u64 {
        if bigtime {
            let sec = self.sec.clamp(-BIGTIME_EPOCH_OFFSET, BIGTIME_LAST_SECOND);
            (sec + BIGTIME_EPOCH_OFFSET) as u64 * NANOS_PER_SECOND + u64::from(self.nsec)
        } else {
            let sec = self.sec.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
            u64::from(sec as u32) << 32 | u64::from(self.nsec)
        }
    }
}

/// Gives the time for changes, each later than the one before.
///
/// Linux's clock has ticks of milliseconds; exchange-range and others notice a change of
/// a file by its time, so here no two changes have the same.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    last: Timestamp,
}

impl Clock {
    /// The present time, later than all that were given before.
    pub fn now(&mut self) -> Timestamp {
        let present = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp {
                sec: i64::try_from(since.as_secs()).unwrap_or(i64::MAX / 2),
                nsec: since.subsec_nanos(),
            },
            Err(_) => Timestamp::default(),
        };
        self.last = present.max(self.last.next());
        self.last
    }
}

impl Timestamp {
    fn next(self) -> Self {
        match self.nsec.checked_add(1).filter(|&nsec| u64::from(nsec) < NANOS_PER_SECOND) {
            Some(nsec) => Timestamp { nsec, ..self },
            None => Timestamp { sec: self.sec.saturating_add(1), nsec: 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_hold_what_linux_writes() {
        // xfs_db on an inode that `touch -d` set: core.mtime.sec of classic and bigtime.
        let before_epoch = Timestamp { sec: -1, nsec: 5 };
        assert_eq!(before_epoch.to_disk(false), 0xffff_ffff_0000_0005);
        assert_eq!(before_epoch.to_disk(true), 2_147_483_647_000_000_005);
        for bigtime in [false, true] {
            assert_eq!(Timestamp::from_disk(before_epoch.to_disk(bigtime), bigtime), before_epoch);
        }
        let far = Timestamp { sec: i64::MAX, nsec: 0 };
        assert_eq!(far.to_disk(false), 0x7fff_ffff_0000_0000);
        assert_eq!(Timestamp::from_disk(far.to_disk(true), true).sec, BIGTIME_LAST_SECOND);
    }

    #[test]
    fn the_clock_never_stands_still() {
        let mut clock = Clock::default();
        let first = clock.now();
        assert!(clock.now() > first);
    }
}
