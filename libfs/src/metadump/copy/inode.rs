//! What is changed in inodes on their way to a dump.

use super::clean::{Cleaner, Owner, be16, zero};
use crate::format::attr::AttrFlags;
use crate::format::btree_block::BtreeKind;
use crate::format::extent::{DiskExtent, root_max_records};
use crate::format::geometry::{Fork, Ino};
use crate::format::inode::{self, DiFlags2, Dinode, ForkFormat, MetafileType, mode};

/// Bytes of the header of a btree root in a fork.
const ROOT_HEADER: usize = 4;

impl Cleaner<'_> {
    /// Changes an inode; `free` says that its chunk's record calls it free.
    pub(super) fn inode(&self, ino: Ino, free: bool, bytes: &mut [u8]) {
        let Ok(&core) = Dinode::view(bytes, ino) else { return };
        if core.magic.get() != inode::MAGIC {
            return;
        }
        if free {
            if self.zero_stale {
                let end = inode::CORE_SIZE..usize::MAX;
                self.change(bytes, inode::CRC_OFFSET, |bytes| zero(bytes, end));
            }
            return;
        }
        let is_metadata = core.di_flags2().contains(DiFlags2::METADATA);
        let owner = Owner { ino, is_metadata };
        self.change(bytes, inode::CRC_OFFSET, |bytes| {
            let split = core.fork_range(Fork::Attr, bytes.len()).start;
            let (start, attr) = bytes.split_at_mut(split);
            let data = start.get_mut(inode::CORE_SIZE..).unwrap_or_default();
            self.data_fork(&core, owner, data);
            if core.forkoff != 0 {
                self.attr_fork(&core, owner, attr);
            }
        });
    }

    fn data_fork(&self, core: &Dinode, owner: Owner, fork: &mut [u8]) {
        let size = usize::try_from(core.size.get()).unwrap_or(usize::MAX);
        match (core.fork_format(Fork::Data), core.file_type()) {
            (Some(ForkFormat::Local), mode::DIR) => {
                let end = self.short_directory(owner, fork);
                if self.zero_stale {
                    zero(fork, end.max(size.min(fork.len()))..usize::MAX);
                }
            }
            (Some(ForkFormat::Local), mode::SYMLINK) => {
                let path = fork.get_mut(..size);
                if let (Some(obfuscator), Some(path)) = (&self.obfuscator, path) {
                    obfuscator.path(owner.ino.0, path);
                }
                if self.zero_stale {
                    zero(fork, size..usize::MAX);
                }
            }
            _ => self.mapped_fork(core, Fork::Data, fork),
        }
    }

    fn attr_fork(&self, core: &Dinode, owner: Owner, fork: &mut [u8]) {
        if core.fork_format(Fork::Attr) == Some(ForkFormat::Local) {
            let end = self.short_attributes(owner, fork);
            if let (true, Some(end)) = (self.zero_stale, end) {
                zero(fork, end..usize::MAX);
            }
            return;
        }
        self.mapped_fork(core, Fork::Attr, fork);
    }

    /// Zeros what a fork does not use that lists extents or has the root of a btree.
    fn mapped_fork(&self, core: &Dinode, which: Fork, fork: &mut [u8]) {
        if !self.zero_stale {
            return;
        }
        match core.fork_format(which) {
            Some(ForkFormat::Dev) => zero(fork, 4..usize::MAX),
            Some(ForkFormat::Extents) => {
                let count = usize::try_from(core.extent_count(which)).unwrap_or(usize::MAX);
                zero(fork, count.saturating_mul(size_of::<DiskExtent>())..usize::MAX);
            }
            Some(ForkFormat::Btree) => {
                zero_root(fork);
            }
            _ => {}
        }
    }

    /// Replaces the names of a directory in its inode; returns where it ends.
    fn short_directory(&self, owner: Owner, fork: &mut [u8]) -> usize {
        let (count, wide) = match fork.first_chunk() {
            Some(&[count, wide]) => (count.max(wide), wide != 0),
            None => return 0,
        };
        let ino_len = if wide { 8 } else { 4 };
        let mut at = 2 + ino_len;
        for _ in 0..count {
            let Some(&len) = fork.get(at) else { break };
            let name = at + 3..at + 3 + usize::from(len);
            let end = name.end + usize::from(self.geo.features.ftype) + ino_len;
            let Some(name) = fork.get_mut(..end).and_then(|fork| fork.get_mut(name)) else { break };
            self.entry_name(owner.ino, owner.is_metadata, name);
            at = end;
        }
        at
    }

    /// Replaces the attributes in an inode; returns where they end, if they make sense.
    fn short_attributes(&self, owner: Owner, fork: &mut [u8]) -> Option<usize> {
        let (total, count) = (be16(fork, 0), *fork.get(2)?);
        let list = fork.get_mut(..total)?;
        let mut rest = list.get_mut(4..)?;
        for _ in 0..count {
            let (&mut [name_len, value_len, flags], after) = rest.split_first_chunk_mut::<3>()?;
            let (name, after) = after.split_at_mut_checked(name_len.into())?;
            let (value, after) = after.split_at_mut_checked(value_len.into())?;
            self.attribute(owner, AttrFlags::from_bits_retain(flags), name, value);
            rest = after;
        }
        Some(total)
    }
}

/// The btree of a file of the metadata directory tree.
pub(super) fn meta_btree_kind(core: &Dinode) -> Option<BtreeKind> {
    match core.metafile_type()? {
        MetafileType::RtRmap => Some(BtreeKind::RtRmap),
        MetafileType::RtRefcount => Some(BtreeKind::RtRefcount),
        _ => None,
    }
}

/// Key and pointer pairs that the root of such a btree has room for in `fork_size` bytes. In
/// that of reference counts Linux 7.2 leaves room for two keys each, and uses one.
pub(super) fn meta_root_max_records(kind: BtreeKind, fork_size: usize) -> usize {
    let keys = if kind == BtreeKind::RtRefcount { 2 * kind.key_len() } else { kind.key_len() };
    fork_size.saturating_sub(ROOT_HEADER) / (keys + kind.ptr_len())
}

/// Zeros what the root of an extent btree does not use.
fn zero_root(fork: &mut [u8]) {
    let (most, count) = (root_max_records(fork.len()), be16(fork, 2));
    if count <= most {
        let number = size_of::<u64>();
        let pointers = ROOT_HEADER + most * number;
        zero(fork, ROOT_HEADER + count * number..pointers);
        zero(fork, pointers + count * number..usize::MAX);
    }
}
