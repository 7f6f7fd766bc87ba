//! Exchanging everything that two files map: the older form (`XFS_IOC_SWAPEXT`), made for
//! defragmentation.
//!
//! Times stay. With exchange-range the change is all or nothing, else a crash may leave files
//! of which the first part has changed places; their contents are those of the two
//! files in any case if, as that form is meant, both have the same.

use super::{ExchangeIntent, pairs, reflink_cleared};
use crate::file::attributes::check_overwritable;
use crate::file::cow;
use crate::format::extent::root_space;
use crate::format::inode::DiFlags2;
use crate::inode::bmap::edit::{self, ReverseMapping};
use crate::inode::bmap::{self, Mapping};
use crate::inode::extent_map::RECORD_BYTES;
use crate::inode::{InodeFork, InodeLogFlags, InodeRef, WhichFork};
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};

const DATA: WhichFork = WhichFork::Data;

/// Lets `target` and `donor` exchange all their mappings, which must not become more in
/// `target`.
///
/// # Errors
///
/// EINVAL if one is no regular file, or both are the same; EPERM if one cannot be opened for writing; EFAULT
/// if their sizes differ; EINVAL if the donor has more extents than the target, or, without
/// reverse mappings, if an inode has no room for the other's list or tree of extents; EFBIG
/// for too many extents; ENOSPC.
pub fn swap_extents(mount: &mut Mount, target: InodeRef, donor: InodeRef) -> Result<()> {
    mount.check_writable()?;
    let regular = |inode| mount.inode(inode).core.is_regular();
    if !regular(target) || !regular(donor) || target == donor {
        return invalid("only two different regular files can exchange their extents");
    }
    check_overwritable(mount, target)?;
    check_overwritable(mount, donor)?;
    let sizes = [target, donor].map(|inode| mount.inode(inode).core.size);
    if sizes[0] != sizes[1] {
        return Err(Error::os(Errno::EFAULT, "the files are of different sizes"));
    }
    for inode in [target, donor] {
        bmap::load(mount, inode, DATA)?;
        cow::cancel_all(mount, inode)?;
    }
    check_formats(mount, target, donor)?;
    let mut blocks = mount.geo.blocks_for(sizes[0]);
    if !mount.geo.features.rmapbt {
        // There Linux exchanges the forks as they are, with what is behind the end.
        for inode in [target, donor] {
            blocks = blocks.max(bmap::last_offset(bmap::extents(mount, inode, DATA)?));
        }
    }
    if blocks == 0 {
        return Ok(());
    }
    run(mount, target, donor, blocks)
}

fn invalid<T>(why: &str) -> Result<T> {
    Err(Error::os(Errno::EINVAL, why))
}

/// Where Linux refuses because of how the extents are kept.
fn check_formats(mount: &Mount, target: InodeRef, donor: InodeRef) -> Result<()> {
    let (one, two) = (mount.inode(target), mount.inode(donor));
    if one.data.nextents() < two.data.nextents() {
        return invalid("the donor has more extents than the target");
    }
    if mount.geo.features.rmapbt {
        return Ok(());
    }
    let fits = |mine: &InodeFork, other: InodeRef| {
        let inode = mount.inode(other);
        let room = inode.fork_size(&mount.geo, DATA);
        let list = (room / RECORD_BYTES) as u64;
        match mine {
            InodeFork::Btree { root, .. } => {
                let tree = inode.core.forkoff == 0 || root_space(root.children.len()) <= room;
                tree && mine.nextents() > list
            }
            _ => mine.nextents() <= list,
        }
    };
    let shrinks = matches!(one.data, InodeFork::Extents(_));
    let grows = matches!(two.data, InodeFork::Btree { .. });
    if (shrinks && grows) || !fits(&two.data, target) || !fits(&one.data, donor) {
        return invalid("an inode has no room for the other's extents");
    }
    Ok(())
}

fn run(mount: &mut Mount, target: InodeRef, donor: InodeRef, blocks: u64) -> Result<()> {
    let (one, two) = (mount.inode(target), mount.inode(donor));
    let mut intent = ExchangeIntent {
        inode1: target,
        inode2: donor,
        ino1: one.ino,
        ino2: two.ino,
        generation1: one.core.generation,
        generation2: two.core.generation,
        which: DATA,
        start1: 0,
        start2: 0,
        blocks,
        flags: 0,
        size1: one.core.size,
        size2: two.core.size,
        guarded: [false; 2],
    };
    intent.flags |= reflink_cleared(mount, &intent)?;
    let estimate = pairs::estimate(mount, &intent)?;
    pairs::check_counts(mount, &intent, &estimate)?;
    let reservation = mount.reservations.write;
    let mut tp = Transaction::begin(mount, reservation, estimate.blocks)?;
    share_flag(&mut tp, &intent);
    if tp.geo.features.exchange {
        tp.defer(intent);
        return tp.commit();
    }
    while let Some((one, two)) = pairs::next(&tp, &mut intent)? {
        exchange_pair(&mut tp, &mut intent, one, two)?;
        tp.finish_deferred()?;
        tp.roll()?;
    }
    intent.clear_reflink(&mut tp);
    tp.commit()
}

/// Both files may have shared blocks while mappings move, if one of them has.
fn share_flag(tp: &mut Transaction<'_>, intent: &ExchangeIntent) {
    let both = [intent.inode1, intent.inode2];
    let shared = both.iter().any(|&i| tp.inode(i).core.flags2.contains(DiFlags2::REFLINK));
    for inode in both {
        if shared && !tp.inode(inode).core.flags2.contains(DiFlags2::REFLINK) {
            tp.inode_mut(inode).core.flags2 |= DiFlags2::REFLINK;
        }
        tp.log_inode(inode, InodeLogFlags::CORE);
    }
}

/// One pair changes places: by intents where reverse mappings follow, else at once, which
/// needs none.
fn exchange_pair(
    tp: &mut Transaction<'_>,
    intent: &mut ExchangeIntent,
    one: Mapping,
    two: Mapping,
) -> Result<()> {
    if tp.geo.features.rmapbt || tp.geo.features.reflink {
        intent.exchange_pair(tp, one, two);
        return Ok(());
    }
    let files = [intent.inode1, intent.inode2];
    for (inode, old) in files.into_iter().zip([one, two]) {
        if let Some(part) = old.extent() {
            edit::remove(tp, inode, DATA, part, ReverseMapping::Unchanged)?;
            bmap::intent::change_block_count(tp, inode, -(part.len as i64));
        }
    }
    let moved = [Mapping { offset: one.offset, ..two }, Mapping { offset: two.offset, ..one }];
    for (inode, new) in files.into_iter().zip(moved) {
        if let Some(new) = new.extent() {
            edit::add(tp, inode, DATA, new, ReverseMapping::Unchanged)?;
            bmap::intent::change_block_count(tp, inode, new.len as i64);
        }
    }
    intent.advance(one.len);
    Ok(())
}
