//! Exchanging the contents of two files, all or nothing (`XFS_IOC_EXCHANGE_RANGE`).
//!
//! Nothing is copied: the mappings of the two ranges change places, pair by pair, in a
//! chain of transactions that recovery finishes once the first of them is in the log.

mod checks;
mod commit;
mod intent;
mod pairs;
mod whole;

pub use commit::{Freshness, commit_range, start_commit};
pub use intent::ExchangeIntent;
pub use whole::swap_extents;

use bitflags::bitflags;

use crate::Result;
use crate::format::inode::{DiFlags, DiFlags2};
use crate::format::log::intent::exchange_flags;
use crate::inode::bmap::{self, Target};
use crate::inode::{InodeLogFlags, InodeRef, WhichFork};
use crate::mount::Mount;
use crate::transaction::Transaction;

bitflags! {
    /// What an exchange should do (`XFS_EXCHANGE_RANGE_*`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct ExchangeFlags: u64 {
        /// Exchange everything up to the ends of both files, and the sizes; the length is
        /// not looked at.
        const TO_EOF = 1 << 0;
        /// Everything is durable on return.
        const DSYNC = 1 << 1;
        /// Only check whether it could be done.
        const DRY_RUN = 1 << 2;
        /// Leave out what is a hole or unwritten in file 1.
        const FILE1_WRITTEN = 1 << 3;
        const _ = !0;
    }
}

/// Two ranges to exchange. Offsets and length are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExchangeRequest {
    /// First file.
    pub file1: InodeRef,
    /// Where its range begins.
    pub file1_offset: u64,
    /// Second file; may be the first one.
    pub file2: InodeRef,
    /// Where its range begins.
    pub file2_offset: u64,
    /// Length of both ranges.
    pub length: u64,
    /// How.
    pub flags: ExchangeFlags,
}

/// Exchanges two ranges of files. After an error or a crash either everything was exchanged
/// or nothing.
///
/// # Errors
///
/// As Linux: EOPNOTSUPP if the filesystem does not have the feature; EISDIR, EINVAL if one
/// is not a regular file; EPERM if one is immutable; EINVAL for unknown flags, for offsets
/// beyond the end of the files or not at a block, for a length that is not in whole blocks
/// and does not end with both files, and for overlapping ranges of one file; EFBIG if a
/// file would have too many extents; ENOSPC if there are too few blocks for the extent
/// and reverse mapping trees.
pub fn exchange_range(mount: &mut Mount, request: &ExchangeRequest) -> Result<()> {
    exchange_if(mount, request, |_| Ok(()))
}

/// Exchanges if `check`, made after all other checks, does not object. An empty exchange is not
/// objected to.
fn exchange_if(
    mount: &mut Mount,
    request: &ExchangeRequest,
    check: impl FnOnce(&Mount) -> Result<()>,
) -> Result<()> {
    mount.check_writable()?;
    let dry = request.flags.contains(ExchangeFlags::DRY_RUN);
    match prepare(mount, request, check)? {
        Some(intent) => run(mount, intent, dry)?,
        None if dry => {}
        None => exchange_nothing(mount, request)?,
    }
    if request.flags.contains(ExchangeFlags::DSYNC) {
        mount.checkpoint()?;
    }
    Ok(())
}

/// An exchange of no bytes still counts as a change of both files, as on Linux.
fn exchange_nothing(mount: &mut Mount, request: &ExchangeRequest) -> Result<()> {
    let reservation = mount.reservations.ichange;
    let mut tp = Transaction::begin(mount, reservation, 0)?;
    super::touch(&mut tp, request.file1);
    if request.file1 != request.file2 {
        super::touch(&mut tp, request.file2);
    }
    tp.commit()
}

/// Checks the request and turns it into blocks; `None` if it is empty.
fn prepare(
    mount: &mut Mount,
    request: &ExchangeRequest,
    check: impl FnOnce(&Mount) -> Result<()>,
) -> Result<Option<ExchangeIntent>> {
    let length = checks::check(mount, request)?;
    let blocks = mount.geo.blocks_for(length);
    if blocks == 0 {
        return Ok(None);
    }
    check(mount)?;
    let (one, two) = (mount.inode(request.file1), mount.inode(request.file2));
    let mut intent = ExchangeIntent {
        inode1: request.file1,
        inode2: request.file2,
        ino1: one.ino,
        ino2: two.ino,
        generation1: one.core.generation,
        generation2: two.core.generation,
        which: WhichFork::Data,
        start1: request.file1_offset >> mount.geo.block_log,
        start2: request.file2_offset >> mount.geo.block_log,
        blocks,
        flags: 0,
        size1: two.core.size,
        size2: one.core.size,
        guarded: [false; 2],
    };
    if request.flags.contains(ExchangeFlags::TO_EOF) {
        intent.flags |= exchange_flags::SET_SIZES;
    }
    if request.flags.contains(ExchangeFlags::FILE1_WRITTEN) {
        intent.flags |= exchange_flags::INO1_WRITTEN;
    }
    bmap::load(mount, request.file1, WhichFork::Data)?;
    bmap::load(mount, request.file2, WhichFork::Data)?;
    if !request.flags.contains(ExchangeFlags::DRY_RUN) {
        clear_behind_end(mount, &intent)?;
    }
    if is_of_whole_file(mount, &intent) {
        intent.flags |= reflink_cleared(mount, &intent)?;
    }
    Ok(Some(intent))
}

/// An earlier exchange may have left data behind the end of a file. A new size, or another
/// place in the other file, must not bring it back.
fn clear_behind_end(mount: &mut Mount, intent: &ExchangeIntent) -> Result<()> {
    for (inode, start) in [(intent.inode1, intent.start1), (intent.inode2, intent.start2)] {
        let size = mount.inode(inode).core.size;
        let end = (start + intent.blocks) << mount.geo.block_log;
        let end = end.max(intent.size1).max(intent.size2);
        super::write::zero_where_needed(mount, inode, size, end)?;
        // What was staged in advance is for the mappings that the file has now.
        super::cow::cancel(mount, inode, (start, start + intent.blocks))?;
    }
    Ok(())
}

/// Which file loses its reflink flag: if just one of the two may have shared blocks, and all
/// it has goes to the other.
fn reflink_cleared(mount: &Mount, intent: &ExchangeIntent) -> Result<u64> {
    let reflink = |inode| mount.inode(inode).core.flags2.contains(DiFlags2::REFLINK);
    let (one, two) = (reflink(intent.inode1), reflink(intent.inode2));
    if one == two || intent.start1 != 0 || intent.start2 != 0 {
        return Ok(0);
    }
    let sharing = if one { intent.inode1 } else { intent.inode2 };
    let map = bmap::extents(mount, sharing, WhichFork::Data)?;
    let stays = map.iter().any(|extent| !extent.unwritten && extent.end() > intent.blocks);
    if stays || two && leaves_out(mount, intent)? {
        return Ok(0);
    }
    Ok(if one { exchange_flags::CLEAR_INO1_REFLINK } else { exchange_flags::CLEAR_INO2_REFLINK })
}

/// Whether some of what file 2 has stays there, because file 1 has nothing written in its place.
/// Linux 6.18 does not look at that, and leaves a file with shared blocks without the flag.
fn leaves_out(mount: &Mount, intent: &ExchangeIntent) -> Result<bool> {
    let map = bmap::extents(mount, intent.inode1, WhichFork::Data)?;
    let mappings = bmap::mappings(map, intent.start1, intent.start1 + intent.blocks);
    Ok(intent.has(exchange_flags::INO1_WRITTEN)
        && mappings.iter().any(|mapping| !matches!(mapping.target, Target::Written(_))))
}

/// Whether the exchange is of all blocks that the file with shared ones has, and the other one
/// has as many. Only then does Linux look for a flag to clear.
fn is_of_whole_file(mount: &Mount, intent: &ExchangeIntent) -> bool {
    let blocks = |inode| mount.geo.blocks_for(mount.inode(inode).core.size);
    let (one, two) = (blocks(intent.inode1), blocks(intent.inode2));
    let reflink = mount.inode(intent.inode1).core.flags2.contains(DiFlags2::REFLINK);
    let (sharing, other) = if reflink { (one, two) } else { (two, one) };
    intent.blocks == sharing && intent.blocks <= other
}

fn run(mount: &mut Mount, mut intent: ExchangeIntent, dry: bool) -> Result<()> {
    let estimate = pairs::estimate(mount, &intent)?;
    pairs::check_counts(mount, &intent, &estimate)?;
    let reservation = mount.reservations.write;
    let mut tp = Transaction::begin(mount, reservation, estimate.blocks)?;
    if dry {
        return Ok(());
    }
    super::touch(&mut tp, intent.inode1);
    if intent.inode1 != intent.inode2 {
        super::touch(&mut tp, intent.inode2);
    }
    prepare_inodes(&mut tp, &mut intent);
    tp.defer(intent);
    tp.commit()
}

/// Gives both files the flags that the mappings they are about to get need: shared blocks
/// if either may have some, and extent counts as large as they can be.
fn prepare_inodes(tp: &mut Transaction<'_>, intent: &mut ExchangeIntent) {
    let both = [intent.inode1, intent.inode2];
    let mut wanted = DiFlags2::empty();
    for inode in both {
        wanted |= tp.inode(inode).core.flags2 & DiFlags2::REFLINK;
    }
    if tp.geo.features.nrext64 {
        wanted |= DiFlags2::NREXT64;
    }
    for inode in both {
        let flags = &mut tp.inode_mut(inode).core.flags2;
        if !flags.contains(wanted) {
            *flags |= wanted;
            tp.log_inode(inode, InodeLogFlags::CORE);
        }
    }
    guard_growth(tp, intent);
}

/// Marks a file that will grow as preallocated until it has its new size.
///
/// Until then its new mappings lie behind its end. Linux 6.18, when it finishes an exchange
/// in recovery, gives both files the sizes that the inodes have on disk at that moment,
/// exchanged (not those in the intent), so the sizes must not change before the last step;
/// and then frees what lies behind the end that a file had when recovery read its inode,
/// except in files with this flag.
fn guard_growth(tp: &mut Transaction<'_>, intent: &mut ExchangeIntent) {
    if intent.flags & exchange_flags::SET_SIZES == 0 {
        return;
    }
    let files = [(intent.inode1, intent.size1), (intent.inode2, intent.size2)];
    for (guarded, (inode, size)) in intent.guarded.iter_mut().zip(files) {
        let core = &mut tp.inode_mut(inode).core;
        if core.size < size && !core.flags.contains(DiFlags::PREALLOC) {
            core.flags |= DiFlags::PREALLOC;
            *guarded = true;
            tp.log_inode(inode, InodeLogFlags::CORE);
        }
    }
}
