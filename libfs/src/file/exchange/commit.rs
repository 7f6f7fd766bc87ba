//! Committing: an exchange on the condition that the target has not changed since it was
//! looked at (`XFS_IOC_START_COMMIT`, `XFS_IOC_COMMIT_RANGE`).

use super::{ExchangeRequest, checks, exchange_if};
use crate::inode::{InodeRef, Timestamp};
use crate::mount::Mount;
use crate::{Errno, Error, Result};

/// Marks words that START_COMMIT filled in.
const MAGIC: u32 = 0x444f_524b;

/// What a file looked like at some moment. Every later change of the file, its attributes or
/// names included, makes it look different, apart from [`super::swap_extents`], which keeps
/// the times as Linux does, being for files of the same contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    filesystem: u64,
    ino: u64,
    mtime: Timestamp,
    ctime: Timestamp,
    generation: u32,
    magic: u32,
}

impl Freshness {
    /// As Linux lays it out in `file2_freshness` of `struct xfs_commit_range`, on a
    /// little-endian machine: filesystem id, inode number, seconds of the times of modification and
    /// change, both nanoseconds, generation and magic number.
    pub fn to_words(&self) -> [u64; 6] {
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        [
            self.filesystem,
            self.ino,
            self.mtime.seconds as u64,
            self.ctime.seconds as u64,
            pair(self.mtime.nanos, self.ctime.nanos),
            pair(self.generation, self.magic),
        ]
    }

    /// The inverse of [`Freshness::to_words`]. Words that make no sense give a sample that no
    /// file is like.
    pub fn from_words(words: [u64; 6]) -> Self {
        let [filesystem, ino, mtime, ctime, nanos, last] = words;
        let (low, high) = (|word: u64| word as u32, |word: u64| (word >> 32) as u32);
        let time = |seconds: u64, nanos| Timestamp { seconds: seconds as i64, nanos };
        Freshness {
            filesystem,
            ino,
            mtime: time(mtime, low(nanos)),
            ctime: time(ctime, high(nanos)),
            generation: low(last),
            magic: high(last),
        }
    }

    fn of(mount: &Mount, inode: InodeRef) -> Self {
        let found = mount.inode(inode);
        Freshness {
            filesystem: filesystem_id(&mount.geo.uuid),
            ino: found.ino,
            mtime: found.core.mtime,
            ctime: found.core.ctime,
            generation: found.core.generation,
            magic: MAGIC,
        }
    }
}

/// What `statfs` reports as `f_fsid`: parts of the UUID.
fn filesystem_id(uuid: &[u8; 16]) -> u64 {
    let [a, b, c, d, e, f, _, _, g, h, ..] = *uuid;
    let low = u32::from_be_bytes([g, h, e, f]);
    let high = u32::from_be_bytes([a, b, c, d]);
    u64::from(low) | u64::from(high) << 32
}

/// Samples what a file looks like now.
pub fn start_commit(mount: &Mount, file2: InodeRef) -> Freshness {
    Freshness::of(mount, file2)
}

/// Exchanges two ranges of files if file 2 still is as it was when `fresh` was sampled.
///
/// # Errors
///
/// EBUSY, with nothing changed, if file 2 is not as sampled, is another file, or `fresh` was
/// never sampled; else as [`super::exchange_range`], whose errors go first, apart from that of a
/// sample that is none.
pub fn commit_range(mount: &mut Mount, request: &ExchangeRequest, fresh: &Freshness) -> Result<()> {
    checks::check_flags(request)?;
    if fresh.magic != MAGIC || fresh.filesystem != filesystem_id(&mount.geo.uuid) {
        return Err(Error::os(Errno::EBUSY, "this is not a sample of a file of this filesystem"));
    }
    exchange_if(mount, request, |mount| {
        if Freshness::of(mount, request.file2) == *fresh {
            return Ok(());
        }
        Err(Error::os(Errno::EBUSY, "the file has changed since it was sampled"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Linux 6.18 filled in for a file of a filesystem with this UUID.
    #[test]
    fn words_are_those_of_linux() {
        let uuid = uuid::uuid!("2c452d61-79ce-4d09-a280-8b613a9d2929");
        let words = [
            3190005808423270862,
            135,
            1795258874,
            1795258874,
            2737322055836691432,
            4922243403493520497,
        ];
        let fresh = Freshness::from_words(words);
        assert_eq!(fresh.filesystem, filesystem_id(uuid.as_bytes()));
        assert_eq!(fresh.magic, MAGIC);
        assert_eq!(fresh.mtime, Timestamp { seconds: 1795258874, nanos: 637_332_456 });
        assert_eq!(fresh.to_words(), words);
    }
}
