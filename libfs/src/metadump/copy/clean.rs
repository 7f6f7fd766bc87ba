//! What is changed in blocks on their way to a dump: bytes that are not in use become zero,
//! names and values are replaced. A checksum that was right is made right again; one that was
//! wrong stays.

use super::super::obfuscate::{Names, Obfuscator};
use crate::format::attr::{AttrFlags, leaf as attr_leaf, parent::ParentRecord, remote};
use crate::format::btree_block::{BtreeKind, Header};
use crate::format::dir::{self, data, free, leaf};
use crate::format::geometry::{Geometry, Ino};
use crate::format::{checksum, da, symlink};
use crate::{At, Result};
use std::ops::Range;

/// What an inode's blocks are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Directory blocks.
    Directory,
    /// Blocks of extended attributes.
    Attributes,
    /// The target of a symbolic link.
    Symlink,
    /// Metadata without names, copied as it is.
    Plain,
}

/// Whose names they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub(super) ino: Ino,
    /// It belongs to the metadata directory tree, whose names everybody knows.
    pub(super) is_metadata: bool,
}

/// Changes blocks as the options say.
pub(super) struct Cleaner<'a> {
    pub(super) geo: &'a Geometry,
    /// Make zero what is not in use.
    pub(super) zero_stale: bool,
    pub(super) obfuscator: Option<Obfuscator>,
    /// The directory of files that xfs_repair found; names that it gives stay.
    pub(super) lost_and_found: Option<Ino>,
}

/// Name of the directory of files that xfs_repair found, in the root directory.
pub(super) const LOST_AND_FOUND: &[u8] = b"lost+found";

/// Zeros a range, as far as it is there.
pub(super) fn zero(bytes: &mut [u8], range: Range<usize>) {
    let end = range.end.min(bytes.len());
    if let Some(bytes) = bytes.get_mut(range.start..end) {
        bytes.fill(0);
    }
}

pub(super) fn be16(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| usize::from(u16::from_be_bytes(*b)))
}

pub(super) fn be32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_be_bytes(*b))
}

impl Cleaner<'_> {
    /// Whether anything is changed at all.
    pub(super) fn is_active(&self) -> bool {
        self.zero_stale || self.obfuscator.is_some()
    }

    /// Lets `change` work on a structure with a checksum.
    pub(super) fn change(
        &self,
        bytes: &mut [u8],
        crc_offset: usize,
        change: impl FnOnce(&mut [u8]),
    ) {
        if !self.is_active() {
            return;
        }
        let sound = checksum::verify(bytes, crc_offset);
        change(bytes);
        if sound {
            checksum::stamp(bytes, crc_offset);
        }
    }

    /// Zeros what a btree block does not use. Blocks of reverse mappings and reference counts
    /// are copied whole, as xfsprogs does: they never held anything but numbers.
    pub(super) fn btree_block(&self, kind: BtreeKind, block: &mut [u8]) {
        let whole =
            [BtreeKind::Rmap, BtreeKind::Refcount, BtreeKind::RtRmap, BtreeKind::RtRefcount];
        if !self.zero_stale || whole.contains(&kind) {
            return;
        }
        let Ok(header) = Header::read(block, kind, At::Byte(0)) else { return };
        let (leaf, count) = (header.level == 0, usize::from(header.numrecs));
        let most = self.geo.max_records(kind, leaf) as usize;
        if count > most {
            return;
        }
        self.change(block, kind.crc_offset(), |block| {
            if leaf {
                zero(block, kind.record_offset(count)..usize::MAX);
            } else {
                zero(block, kind.key_offset(count)..kind.ptr_offset(0, most));
                zero(block, kind.ptr_offset(count, most)..usize::MAX);
            }
        });
    }

    /// Changes `bytes`, one extent or a whole number of directory blocks.
    pub(super) fn blocks(&self, content: Content, owner: Owner, bytes: &mut [u8]) {
        if !self.is_active() {
            return;
        }
        let size = match content {
            Content::Directory => self.geo.dir.block_size,
            _ => self.geo.block_size,
        };
        match content {
            Content::Plain => {}
            Content::Symlink => self.symlink_block(owner, bytes),
            Content::Directory => {
                bytes.chunks_exact_mut(size as usize).for_each(|b| self.dir_block(owner, b));
            }
            Content::Attributes => {
                bytes.chunks_exact_mut(size as usize).for_each(|b| self.attr_block(owner, b));
            }
        }
    }

    /// Replaces the name of an entry of directory `directory`.
    pub(super) fn entry_name(&self, directory: Ino, is_metadata: bool, name: &mut [u8]) {
        let Some(obfuscator) = &self.obfuscator else { return };
        let in_root = directory == self.geo.root_ino;
        let in_lost_and_found = Some(directory) == self.lost_and_found;
        let kept = |name: &[u8]| {
            in_root && name == LOST_AND_FOUND
                || in_lost_and_found && name.iter().all(u8::is_ascii_digit)
        };
        if is_metadata || kept(name) {
            return;
        }
        let ignore_case = self.geo.features.ascii_ci;
        let names = if ignore_case { Names::EntriesIgnoringCase } else { Names::Entries };
        obfuscator.name(directory.0, name, names, &kept);
    }

    /// Replaces the name and the value of an attribute. A parent pointer keeps its value.
    pub(super) fn attribute(
        &self,
        owner: Owner,
        flags: AttrFlags,
        name: &mut [u8],
        value: &mut [u8],
    ) {
        let Some(obfuscator) = &self.obfuscator else { return };
        if flags.contains(AttrFlags::PARENT) {
            if let Ok(parent) = ParentRecord::view(value) {
                self.entry_name(Ino(parent.ino.get()), owner.is_metadata, name);
            }
            return;
        }
        obfuscator.name(owner.ino.0, name, Names::Attributes, &|_| false);
        obfuscator.value(value);
    }

    fn dir_block(&self, owner: Owner, block: &mut [u8]) {
        match be32(block, 0) {
            data::BLOCK_MAGIC | data::DATA_MAGIC => {
                return self.change(block, dir::CRC_OFFSET, |block| self.entries(owner, block));
            }
            free::MAGIC if self.zero_stale => {
                let used = size_of::<free::FreeHeader>();
                let end = (be32(block, 52) as usize).saturating_mul(2).saturating_add(used);
                return self.change(block, dir::CRC_OFFSET, |b| zero(b, end..usize::MAX));
            }
            _ => {}
        }
        if !self.zero_stale {
            return;
        }
        let used = be16(block, 56) * size_of::<leaf::LeafEntry>() + size_of::<leaf::LeafHeader>();
        let single = self.geo.dir.fs_blocks == 1;
        match be16(block, 8) as u16 {
            // Inner blocks of directories stay whole if they have several blocks, as with xfsprogs.
            magic if magic == da::DIR_LEAFN_MAGIC || magic == da::NODE_MAGIC && single => {
                self.change(block, da::CRC_OFFSET, |b| zero(b, used..usize::MAX));
            }
            da::DIR_LEAF1_MAGIC => {
                let tail = block.len().saturating_sub(4);
                let bests = (be32(block, tail) as usize).saturating_mul(2);
                let bests = tail.saturating_sub(bests);
                self.change(block, da::CRC_OFFSET, |b| zero(b, used..bests));
            }
            _ => {}
        }
    }

    /// Changes the entries of a directory block, as far as they make sense.
    fn entries(&self, owner: Owner, block: &mut [u8]) {
        let ftype = self.geo.features.ftype;
        let end = data::DataBlock::view(block, ftype, At::Byte(0)).map(|view| view.data_end());
        let Ok(end) = end else { return };
        let mut offset = size_of::<data::DataHeader>();
        while let Some((size, is_hole)) = item_size(block, offset..end, ftype) {
            let tag = offset + size - 2;
            if is_hole {
                if self.zero_stale {
                    zero(block, offset + 4..tag);
                }
            } else {
                let name = offset + 9
                    ..offset + 9 + usize::from(block.get(offset + 8).copied().unwrap_or(0));
                if self.zero_stale {
                    zero(block, name.end + usize::from(ftype)..tag);
                }
                if let Some(name) = block.get_mut(name) {
                    self.entry_name(owner.ino, owner.is_metadata, name);
                }
            }
            offset += size;
        }
    }

    fn attr_block(&self, owner: Owner, block: &mut [u8]) {
        if be32(block, 0) == remote::MAGIC {
            let head = size_of::<remote::RemoteHeader>();
            let end = head.saturating_add(be32(block, 8) as usize);
            self.change(block, remote::CRC_OFFSET, |block| {
                if self.zero_stale {
                    zero(block, end..usize::MAX);
                }
                let value = block.get_mut(head..end);
                if let (Some(obfuscator), Some(value)) = (&self.obfuscator, value) {
                    obfuscator.value(value);
                }
            });
            return;
        }
        match be16(block, 8) as u16 {
            da::NODE_MAGIC if self.zero_stale => {
                let end =
                    be16(block, 56) * size_of::<da::NodeEntry>() + size_of::<da::NodeHeader>();
                self.change(block, da::CRC_OFFSET, |b| zero(b, end..usize::MAX));
            }
            da::ATTR_LEAF_MAGIC => {
                self.change(block, da::CRC_OFFSET, |block| {
                    // A leaf that makes no sense is left as it is.
                    let _ = self.attr_leaf(owner, block);
                });
            }
            _ => {}
        }
    }

    fn attr_leaf(&self, owner: Owner, block: &mut [u8]) -> Result<()> {
        let view = attr_leaf::Leaf::view(block, At::Byte(0))?;
        let entries = view.entries.to_vec();
        let mut used = Vec::with_capacity(entries.len() + 1);
        for entry in &entries {
            let name_at = usize::from(entry.nameidx.get());
            let flags = entry.attr_flags();
            let local = flags.contains(AttrFlags::LOCAL);
            let found = attr_leaf::Leaf::view(block, At::Byte(0))?.name_value(entry)?;
            let (name_len, value_len) = match found {
                attr_leaf::NameValue::Local { name, value } => (name.len(), value.len()),
                attr_leaf::NameValue::Remote { name, .. } => (name.len(), 0),
            };
            let start = name_at + if local { 3 } else { 9 };
            if let Some(both) = block.get_mut(start..start + name_len + value_len) {
                let (name, value) = both.split_at_mut(name_len);
                self.attribute(owner, flags, name, value);
            }
            used.push(name_at..start + name_len + value_len);
        }
        if self.zero_stale {
            used.sort_unstable_by_key(|range| range.start);
            let mut end = size_of::<attr_leaf::LeafHeader>()
                + entries.len() * size_of::<attr_leaf::LeafEntry>();
            for range in used {
                zero(block, end..range.start);
                end = range.end;
            }
            zero(block, end..usize::MAX);
        }
        Ok(())
    }

    fn symlink_block(&self, owner: Owner, bytes: &mut [u8]) {
        if be32(bytes, 0) != symlink::MAGIC {
            return;
        }
        let head = size_of::<symlink::SymlinkHeader>();
        let end = head.saturating_add(be32(bytes, 8) as usize);
        self.change(bytes, symlink::CRC_OFFSET, |bytes| {
            if self.zero_stale {
                zero(bytes, end..usize::MAX);
            }
            let path = bytes.get_mut(head..end);
            if let (Some(obfuscator), Some(path)) = (&self.obfuscator, path) {
                obfuscator.path(owner.ino.0, path);
            }
        });
    }
}

/// Size of the entry or hole at the start of `range`, and whether it is a hole; nothing at the
/// end or where it makes no sense.
fn item_size(block: &[u8], range: Range<usize>, ftype: bool) -> Option<(usize, bool)> {
    let rest = block.get(range)?;
    let head = rest.first_chunk::<9>()?;
    let is_hole = be16(head, 0) == usize::from(data::FREE_TAG);
    let size = if is_hole { be16(head, 2) } else { dir::entry_size(head[8].into(), ftype) };
    (size >= 8 && size.is_multiple_of(dir::ALIGN) && size <= rest.len()).then_some((size, is_hole))
}
