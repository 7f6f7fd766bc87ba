//! The exchange as a deferred operation (XMI and XMD items).

use super::pairs;
use crate::format::geometry::Ino;
use crate::format::inode::{DiFlags, DiFlags2};
use crate::format::log::intent::{ExchangeIntent as Logged, exchange_flags};
use crate::format::log::{DoneItem, IntentItem, IntentKind};
use crate::inode::bmap::{self, BmapIntent, BmapOperation, Mapping};
use crate::inode::{InodeLogFlags, InodeRef, WhichFork};
use crate::mount::Mount;
use crate::transaction::{Deferred, Step, Transaction};
use crate::{At, Error, Result};

/// An exchange of mappings: what of it is left to do. Offsets and lengths are in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExchangeIntent {
    /// First file in memory.
    pub inode1: InodeRef,
    /// Second file in memory.
    pub inode2: InodeRef,
    /// Number of the first file.
    pub ino1: u64,
    /// Number of the second file.
    pub ino2: u64,
    /// Generation of the first file.
    pub generation1: u32,
    /// Generation of the second file.
    pub generation2: u32,
    /// Which fork of both.
    pub which: WhichFork,
    /// Where the first file's range begins.
    pub start1: u64,
    /// Where the second file's range begins.
    pub start2: u64,
    /// Length of both ranges.
    pub blocks: u64,
    /// [`exchange_flags`], without that of the fork.
    pub flags: u64,
    /// Size in bytes that the first file will have, with [`exchange_flags::SET_SIZES`].
    pub size1: u64,
    /// Size in bytes that the second file will have, with [`exchange_flags::SET_SIZES`].
    pub size2: u64,
    /// Whether the files were marked as preallocated for the time of the exchange. Not
    /// logged: a file whose exchange is finished by recovery keeps the mark.
    pub guarded: [bool; 2],
}

/// Work that comes after the last mapping.
const CLEARS: u64 = exchange_flags::CLEAR_INO1_REFLINK | exchange_flags::CLEAR_INO2_REFLINK;

impl ExchangeIntent {
    /// Whether `flag` is set.
    pub(super) fn has(&self, flag: u64) -> bool {
        self.flags & flag != 0
    }

    /// The first `blocks` blocks need no more work.
    pub(super) fn advance(&mut self, blocks: u64) {
        self.start1 += blocks;
        self.start2 += blocks;
        self.blocks = self.blocks.saturating_sub(blocks);
    }

    /// Blocks that finishing it may take, for the transaction that does.
    ///
    /// # Errors
    ///
    /// ENOSPC if that is more than can be reserved at all.
    pub fn reservation(&self, mount: &Mount) -> Result<u64> {
        Ok(pairs::estimate(mount, self)?.blocks)
    }

    /// Queues what makes one pair of mappings change places.
    pub(super) fn exchange_pair(&mut self, tp: &mut Transaction<'_>, one: Mapping, two: Mapping) {
        let mut queue = |inode, operation, mapping: Mapping| {
            if let Some(extent) = mapping.extent() {
                tp.defer(BmapIntent::new(tp, inode, self.which, operation, extent));
            }
        };
        queue(self.inode1, BmapOperation::Unmap, one);
        queue(self.inode2, BmapOperation::Unmap, two);
        let (into1, into2) =
            (Mapping { offset: one.offset, ..two }, Mapping { offset: two.offset, ..one });
        queue(self.inode1, BmapOperation::Map, into1);
        queue(self.inode2, BmapOperation::Map, into2);
        self.advance(one.len);
    }

    /// The last mapping was exchanged: what is left is in the inodes.
    fn set_sizes(&self, tp: &mut Transaction<'_>) {
        if self.has(exchange_flags::SET_SIZES) {
            let files = [(self.inode1, self.size1), (self.inode2, self.size2)];
            for (guarded, (inode, size)) in self.guarded.into_iter().zip(files) {
                let core = &mut tp.inode_mut(inode).core;
                core.size = size;
                if guarded {
                    core.flags -= DiFlags::PREALLOC;
                }
                tp.log_inode(inode, InodeLogFlags::CORE);
            }
        }
    }

    pub(super) fn clear_reflink(&mut self, tp: &mut Transaction<'_>) {
        let clears = [
            (exchange_flags::CLEAR_INO1_REFLINK, self.inode1),
            (exchange_flags::CLEAR_INO2_REFLINK, self.inode2),
        ];
        for (flag, inode) in clears {
            if self.has(flag) {
                tp.inode_mut(inode).core.flags2 -= DiFlags2::REFLINK;
                tp.log_inode(inode, InodeLogFlags::CORE);
            }
        }
        self.flags &= !CLEARS;
    }

    fn from_log(mount: &mut Mount, logged: &Logged) -> Result<Self> {
        let bad =
            |why: String| Error::corrupt("exchange intent item", At::Inode(logged.inode1), why);
        if logged.flags & !exchange_flags::ALL != 0 {
            return Err(bad(format!("flags {:#x}", logged.flags)));
        }
        let set_sizes = logged.flags & exchange_flags::SET_SIZES != 0;
        if set_sizes && logged.size1.max(logged.size2) > crate::file::MAX_SIZE {
            return Err(bad(format!("sizes {} and {}", logged.size1, logged.size2)));
        }
        for start in [logged.start1, logged.start2] {
            // When only the work after the last mapping is left, there are no blocks.
            if logged.blocks > 0 && !mount.geo.valid_file_range(start, logged.blocks) {
                return Err(bad(format!("{} blocks from {start} on", logged.blocks)));
            }
        }
        let attr = logged.flags & exchange_flags::ATTR_FORK != 0;
        let which = if attr { WhichFork::Attr } else { WhichFork::Data };
        let mut open = |ino: u64, generation: u32| -> Result<InodeRef> {
            let bad = |why: String| Error::corrupt("exchange intent item", At::Inode(ino), why);
            if !mount.geo.valid_ino(Ino(ino)) {
                return Err(bad("there can be no such inode".into()));
            }
            let inode = mount.iget(ino)?;
            let found = mount.inode(inode).core.generation;
            if found != generation {
                return Err(bad(format!("generation {generation}, the inode has {found}")));
            }
            bmap::load(mount, inode, which)?;
            bmap::extents(mount, inode, which)?;
            Ok(inode)
        };
        // Linux 6.18 also clears the flag of a file 2 that keeps shared blocks, where file 1 has
        // nothing written. To leave it set is never wrong.
        let mut flags = logged.flags & !exchange_flags::ATTR_FORK;
        if flags & exchange_flags::INO1_WRITTEN != 0 {
            flags &= !exchange_flags::CLEAR_INO2_REFLINK;
        }
        let inode1 = open(logged.inode1, logged.generation1)?;
        let inode2 = open(logged.inode2, logged.generation2)?;
        Ok(ExchangeIntent {
            inode1,
            inode2,
            ino1: logged.inode1,
            ino2: logged.inode2,
            generation1: logged.generation1,
            generation2: logged.generation2,
            which,
            start1: logged.start1,
            start2: logged.start2,
            blocks: logged.blocks,
            flags,
            size1: logged.size1,
            size2: logged.size2,
            guarded: [false; 2],
        })
    }
}

impl Deferred for ExchangeIntent {
    const MAX_ITEMS: usize = 1;

    fn intent(ops: &[Self], id: u64) -> IntentItem {
        let Some(op) = ops.first() else { return IntentItem::Exchange(Logged::default()) };
        let attr = if op.which == WhichFork::Attr { exchange_flags::ATTR_FORK } else { 0 };
        // Linux logs sizes only if they are to be set.
        let size = |size| if op.has(exchange_flags::SET_SIZES) { size } else { 0 };
        IntentItem::Exchange(Logged {
            id,
            inode1: op.ino1,
            inode2: op.ino2,
            generation1: op.generation1,
            generation2: op.generation2,
            start1: op.start1,
            start2: op.start2,
            blocks: op.blocks,
            flags: op.flags | attr,
            size1: size(op.size1),
            size2: size(op.size2),
        })
    }

    fn done(_ops: &[Self], id: u64) -> DoneItem {
        DoneItem { kind: IntentKind::Exchange, id, extents: Vec::new() }
    }

    fn finish_one(&mut self, tp: &mut Transaction<'_>) -> Result<Step> {
        if self.blocks > 0 {
            let pair = pairs::next(tp, self)?;
            if let Some((one, two)) = pair {
                self.exchange_pair(tp, one, two);
            }
            if self.blocks == 0 {
                self.set_sizes(tp);
            }
        } else {
            self.clear_reflink(tp);
        }
        let more = self.blocks > 0 || self.has(CLEARS);
        Ok(if more { Step::Again } else { Step::Done })
    }

    fn recover(mount: &mut Mount, intent: &IntentItem) -> Result<Vec<Self>> {
        let IntentItem::Exchange(logged) = intent else { return Ok(Vec::new()) };
        Ok(vec![Self::from_log(mount, logged)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::Filesystem;

    #[test]
    fn a_flag_that_linux_would_lose_is_kept_in_recovery() {
        let mut filesystem = Filesystem::in_memory(300 << 20).unwrap();
        let [one, two] = ["/one", "/two"].map(|path| filesystem.create(path, 0o600).unwrap());
        let mount = filesystem.mount();
        let [generation1, generation2] = [one, two].map(|ino| {
            let inode = mount.iget(ino).unwrap();
            mount.inode(inode).core.generation
        });
        let clear = exchange_flags::CLEAR_INO1_REFLINK | exchange_flags::CLEAR_INO2_REFLINK;
        let mut recovered = |flags| {
            let logged = Logged {
                inode1: one,
                inode2: two,
                generation1,
                generation2,
                flags,
                ..Logged::default()
            };
            ExchangeIntent::from_log(mount, &logged).unwrap().flags
        };
        assert_eq!(recovered(clear), clear);
        let written = exchange_flags::INO1_WRITTEN;
        assert_eq!(recovered(clear | written), exchange_flags::CLEAR_INO1_REFLINK | written);
    }
}
