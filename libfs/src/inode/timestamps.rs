//! The clock that inode timestamps come from.

use super::{InodeLogFlags, InodeRef};
use crate::format::NANOS_PER_SECOND;
pub use crate::format::inode::Timestamp;
use crate::transaction::Transaction;
use std::time::{SystemTime, UNIX_EPOCH};

/// Gives the time for changes, each later than the one before.
///
/// Linux's clock has ticks of milliseconds; exchange-range and others notice a change of
/// a file by its time, so here no two changes have the same.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    last: Timestamp,
    stands: bool,
}

impl Clock {
    /// A clock that stands at `time`: a filesystem that is being made has one time only.
    pub(crate) fn standing(time: Timestamp) -> Self {
        Clock { last: time, stands: true }
    }

    /// The present time, later than all that were given before.
    pub fn now(&mut self) -> Timestamp {
        if self.stands {
            return self.last;
        }
        let present = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp {
                seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX / 2),
                nanos: since.subsec_nanos(),
            },
            Err(_) => Timestamp::default(),
        };
        self.last = present.max(after(self.last));
        self.last
    }
}

/// The contents changed: both times, logged, with the change count.
pub(crate) fn contents_changed(tp: &mut Transaction<'_>, inode: InodeRef) {
    inode_changed(tp, inode);
    let core = &mut tp.inode_mut(inode).core;
    core.mtime = core.ctime;
}

/// The inode changed, but not its contents: the time of change, logged, with the change
/// count.
///
/// The new time is later than the old one, even if the clock is behind that: whoever saw the
/// inode before the change must see that it is another one now.
pub(crate) fn inode_changed(tp: &mut Transaction<'_>, inode: InodeRef) {
    let now = tp.clock.now();
    let core = &mut tp.inode_mut(inode).core;
    let last = if core.has_bigtime() { Timestamp::BIGTIME_MAX } else { i32::MAX.into() };
    core.ctime = time_of_change(now, core.ctime, last);
    core.changecount = core.changecount.wrapping_add(1);
    tp.log_inode(inode, InodeLogFlags::CORE);
}

/// When something changes `now` that changed at `before` the last time; `last` is the last
/// second that can be stored, after which there is no later time, but still another one.
fn time_of_change(now: Timestamp, before: Timestamp, last: i64) -> Timestamp {
    let now = Timestamp { seconds: now.seconds.min(last), ..now };
    let next = now.max(after(before));
    if next.seconds > last { now } else { next }
}

/// The next moment that a timestamp can tell from `moment`.
fn after(moment: Timestamp) -> Timestamp {
    match moment.nanos.checked_add(1).filter(|&nanos| u64::from(nanos) < NANOS_PER_SECOND) {
        Some(nanos) => Timestamp { nanos, ..moment },
        None => Timestamp { seconds: moment.seconds.saturating_add(1), nanos: 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_stands_still() {
        let mut clock = Clock::default();
        let first = clock.now();
        assert!(clock.now() > first);
        let end = Timestamp { seconds: 7, nanos: 999_999_999 };
        assert_eq!(after(end), Timestamp { seconds: 8, nanos: 0 });
    }

    #[test]
    fn a_change_has_another_time_than_the_one_before() {
        let at = |seconds, nanos| Timestamp { seconds, nanos };
        let last = i64::from(i32::MAX);
        assert_eq!(time_of_change(at(9, 3), at(8, 5), last), at(9, 3));
        assert_eq!(time_of_change(at(9, 3), at(9, 5), last), at(9, 6));
        assert_eq!(time_of_change(at(9, 3), at(last, 999_999_999), last), at(9, 3));
        assert_eq!(time_of_change(at(last + 7, 3), at(8, 5), last), at(last, 3));
    }
}
