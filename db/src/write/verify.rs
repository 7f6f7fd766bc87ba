//! Whether what is at the cursor makes sense as what it is taken for.

use crate::session::Cursor;
use crate::types::Type;
use libfs::buffer::BufferKind;
use libfs::format::dquot::DiskDquot;
use libfs::format::geometry::Geometry;
use libfs::format::superblock::{Dsb, Superblock};
use libfs::format::{attr::remote, da, dir};
use libfs::{At, Result};

/// Checks a structure as Linux does before it writes one.
///
/// # Errors
///
/// An error names what is wrong.
pub fn verify(geo: &Geometry, cursor: &Cursor) -> Result<()> {
    let data = cursor.data();
    match cursor.kind {
        Type::Sb => Superblock { dsb: *Dsb::view(data)? }.verify_for_write(cursor.daddr),
        Type::Dqblk => DiskDquot::view(data, At::Daddr(cursor.daddr))?.verify(geo, cursor.daddr),
        _ => match buffer_kind(cursor.kind, data) {
            Some(kind) => kind.verify_structure(geo, &cursor.buffer, cursor.daddr),
            None => Ok(()),
        },
    }
}

/// The kind of metadata block that a type is; blocks of directories and attribute forks say
/// it by their magic number.
pub fn buffer_kind(kind: Type, data: &[u8]) -> Option<BufferKind> {
    let magic = data.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let tree_magic = data.get(8..).and_then(<[u8]>::first_chunk);
    let tree_magic = tree_magic.map_or(0, |bytes| u16::from_be_bytes(*bytes));
    Some(match kind {
        Type::Agf => BufferKind::Agf,
        Type::Agi => BufferKind::Agi,
        Type::Agfl => BufferKind::Agfl,
        Type::Bnobt => BufferKind::Bnobt,
        Type::Cntbt => BufferKind::Cntbt,
        Type::Inobt => BufferKind::Inobt,
        Type::Finobt => BufferKind::Finobt,
        Type::Rmapbt => BufferKind::Rmapbt,
        Type::Refcntbt => BufferKind::Refcountbt,
        Type::Bmapbta | Type::Bmapbtd => BufferKind::Bmbt,
        Type::Inode => BufferKind::InodeCluster,
        Type::Symlink => BufferKind::Symlink,
        Type::Attr3 if magic == remote::MAGIC => BufferKind::AttrRemote,
        Type::Dir3 if magic == dir::free::MAGIC => BufferKind::DirFree,
        Type::Dir3 if magic == dir::data::BLOCK_MAGIC => BufferKind::DirBlock,
        Type::Dir3 if magic == dir::data::DATA_MAGIC => BufferKind::DirData,
        Type::Attr3 | Type::Dir3 if tree_magic == da::NODE_MAGIC => BufferKind::DaNode,
        Type::Attr3 => BufferKind::AttrLeaf,
        Type::Dir3 if tree_magic == da::DIR_LEAF1_MAGIC => BufferKind::DirLeaf1,
        Type::Dir3 => BufferKind::DirLeafN,
        _ => return None,
    })
}
