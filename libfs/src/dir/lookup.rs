//! Finding and listing directory entries in every format.

use super::block;
use super::data::{self, ALIGN, Layout, Record};
use super::hash_tree::{self, Path, TreeLeaf};
use super::leaf::{self, Leaf, LeafEntry, SingleLeaf};
use super::store::{Params, Store};
use crate::buffer::BufferKind;
use crate::format::dir::shortform::ShortForm;
use crate::format::dir::{FileType, fold_case, hash_name, hash_name_ignoring_case};
use crate::format::geometry::{DIR_SPACE, DirGeometry, Ino};
use crate::{Error, Result};
use std::ops::ControlFlow;

/// File type number of a directory.
pub(crate) const FTYPE_DIR: u8 = FileType::Directory as u8;

/// The format of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// In the inode.
    Short,
    /// Data and leaf entries in one block.
    Block,
    /// Data blocks and one leaf block.
    Leaf,
    /// Data blocks, a tree over leaf blocks, a free index.
    Node,
}

/// Where an entry was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) ino: u64,
    pub(crate) ftype: u8,
    /// Number of its data block.
    pub(crate) db: u32,
    /// Offset in the block, in bytes; in shortform, the index of the entry.
    pub(crate) offset: usize,
    pub(crate) hash: u32,
}

/// A directory entry as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, without any terminator.
    pub name: Vec<u8>,
    /// Inode number.
    pub ino: u64,
    /// File type as in the entry (`XFS_DIR3_FT_*`), 0 for unknown.
    pub ftype: u8,
    /// Position in the directory, stable while the entry exists.
    pub cookie: u32,
}

impl Params {
    /// How entries are laid out.
    pub(crate) fn layout(&self) -> Layout {
        Layout { block_size: self.block_size, ftype: self.ftype }
    }

    /// Data block number and byte offset of an address.
    pub(crate) fn split_address(&self, address: u32) -> (u32, usize) {
        let byte = u64::from(address) * ALIGN as u64;
        ((byte >> self.block_log) as u32, byte as usize & (self.block_size - 1))
    }

    /// The address of an entry.
    pub(crate) fn address(&self, db: u32, offset: usize) -> u32 {
        (((u64::from(db) << self.block_log) + offset as u64) / ALIGN as u64) as u32
    }

    /// File block of a data block.
    pub(crate) fn data_bno(&self, db: u32) -> u64 {
        u64::from(db) * self.fs_blocks
    }

    /// How many data blocks a directory can have.
    pub(crate) fn max_data_blocks(&self) -> u64 {
        DIR_SPACE >> self.block_log
    }

    /// The hash of an entry's name.
    pub(crate) fn hash(&self, name: &[u8]) -> u32 {
        if self.ignore_case { hash_name_ignoring_case(name) } else { hash_name(name) }
    }

    /// Whether two names are the same.
    pub(crate) fn same_name(&self, a: &[u8], b: &[u8]) -> bool {
        let same = |(&a, &b): (&u8, &u8)| fold_case(a) == fold_case(b);
        a == b || self.ignore_case && a.len() == b.len() && a.iter().zip(b).all(same)
    }

    /// The geometry of directories these parameters were made from.
    pub(crate) fn dir(&self) -> DirGeometry {
        DirGeometry {
            block_size: self.block_size as u32,
            block_log: self.block_log,
            fs_blocks: self.fs_blocks as u32,
            leaf_block: self.tree_root,
            free_block: self.free_start,
        }
    }
}

/// The format of a directory.
pub(crate) fn form<S: Store>(store: &mut S) -> Result<Form> {
    if store.inline().is_some() {
        return Ok(Form::Short);
    }
    let params = store.params();
    let end = store.mapped_end()?;
    if end == 0 {
        return Err(store.corrupt("the directory has no blocks"));
    }
    Ok(if end == params.fs_blocks {
        Form::Block
    } else if end == params.tree_root + params.fs_blocks {
        Form::Leaf
    } else {
        Form::Node
    })
}

/// The contents of a shortform directory.
pub(crate) fn read_short<S: Store>(store: &S) -> Result<ShortForm> {
    let bytes = store.inline().unwrap_or_default();
    ShortForm::decode(bytes, store.size(), store.params().ftype, Ino(store.owner()))
}

/// The leaf block of a directory that has one.
pub(crate) fn read_single_leaf<S: Store>(store: &mut S) -> Result<SingleLeaf> {
    let bno = store.params().tree_root;
    let leaf = SingleLeaf::decode(store.read(bno, BufferKind::DirLeaf1)?);
    leaf.ok_or_else(|| store.corrupt("its leaf block is damaged"))
}

/// The leaf entries of a single-block directory.
fn read_block_leaf<S: Store>(store: &mut S) -> Result<Vec<LeafEntry>> {
    let entries = block::decode_leaf(store.read(0, BufferKind::DirBlock)?);
    entries.ok_or_else(|| store.corrupt("its leaf entries are damaged"))
}

/// The error for a data block that contradicts itself or its leaf.
pub(crate) fn bad_data<S: Store>(store: &S, db: u32) -> Error {
    store.corrupt(format!("directory data block {db} is damaged"))
}

/// Looks `name` up.
pub(crate) fn find<S: Store>(store: &mut S, name: &[u8]) -> Result<Option<Found>> {
    match form(store)? {
        Form::Short => find_short(store, name),
        Form::Block => {
            let entries = read_block_leaf(store)?;
            find_among(store, &entries, name, BufferKind::DirBlock)
        }
        Form::Leaf => {
            let entries = read_single_leaf(store)?.entries;
            find_among(store, &entries, name, BufferKind::DirData)
        }
        Form::Node => Ok(find_in_tree(store, name)?.map(|(_, _, found)| found)),
    }
}

fn find_short<S: Store>(store: &S, name: &[u8]) -> Result<Option<Found>> {
    let short = read_short(store)?;
    let params = store.params();
    let hash = params.hash(name);
    let dots = Found { ino: short.parent.0, ftype: FTYPE_DIR, db: 0, offset: 0, hash };
    match name {
        b"." => return Ok(Some(Found { ino: store.owner(), ..dots })),
        b".." => return Ok(Some(dots)),
        _ => {}
    }
    let mut entries = short.entries.iter().enumerate();
    let found = entries.find(|(_, entry)| params.same_name(&entry.name, name));
    Ok(found.map(|(index, entry)| Found {
        ino: entry.ino.0,
        ftype: entry.ftype,
        offset: index,
        ..dots
    }))
}

/// Looks at the data entries of all leaf entries that have the name's hash.
fn find_among<S: Store>(
    store: &mut S,
    entries: &[LeafEntry],
    name: &[u8],
    kind: BufferKind,
) -> Result<Option<Found>> {
    let params = store.params();
    let hash = params.hash(name);
    for entry in &entries[leaf::range_of(entries, hash)] {
        if entry.is_stale() {
            continue;
        }
        let (db, offset) = params.split_address(entry.address);
        let bytes = store.read(params.data_bno(db), kind)?;
        let Some(entry) = data::entry_at(bytes, params.layout(), offset) else {
            return Err(bad_data(store, db));
        };
        if params.same_name(entry.name, name) {
            let (ino, ftype) = (entry.ino, entry.ftype);
            return Ok(Some(Found { ino, ftype, db, offset, hash }));
        }
    }
    Ok(None)
}

/// Looks `name` up in a directory with a tree; also gives the leaf that holds it.
pub(crate) fn find_in_tree<S: Store>(
    store: &mut S,
    name: &[u8],
) -> Result<Option<(Path, Leaf, Found)>> {
    let hash = store.params().hash(name);
    let mut place: Option<(Path, Leaf)> = Some(hash_tree::find(store, hash)?);
    while let Some((path, leaf)) = place {
        if let Some(found) = find_among(store, &leaf.entries, name, BufferKind::DirData)? {
            return Ok(Some((path, leaf, found)));
        }
        if leaf.last_hash() != Some(hash) {
            break;
        }
        place = hash_tree::next(store, &path)?;
    }
    Ok(None)
}

/// Calls `each` with every entry, "." and ".." included, in the order of their positions,
/// until it has seen enough.
pub(crate) fn for_each<S: Store>(
    store: &mut S,
    mut each: impl FnMut(DirEntry) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let params = store.params();
    let kind = match form(store)? {
        Form::Short => return for_each_short(store, each),
        Form::Block => BufferKind::DirBlock,
        Form::Leaf | Form::Node => BufferKind::DirData,
    };
    let mut next = store.next_mapped(0)?;
    while let Some(bno) = next.filter(|&bno| bno < params.tree_root) {
        let db = (bno / params.fs_blocks) as u32;
        let bytes = store.read(bno, kind)?;
        let end = if kind == BufferKind::DirBlock {
            let entries = block::decode_leaf(bytes).map(|entries| entries.len());
            entries.map(|count| block::data_end(params.block_size, count))
        } else {
            Some(params.block_size)
        };
        let entries = end.and_then(|end| entries_of(bytes, params, db, end));
        for entry in entries.ok_or_else(|| bad_data(store, db))? {
            if each(entry)?.is_break() {
                return Ok(());
            }
        }
        next = store.next_mapped(bno + params.fs_blocks)?;
    }
    Ok(())
}

fn entries_of(bytes: &[u8], params: Params, db: u32, end: usize) -> Option<Vec<DirEntry>> {
    let mut entries = Vec::new();
    for record in data::records(bytes, params.layout(), end) {
        if let Record::Entry(entry) = record? {
            entries.push(DirEntry {
                name: entry.name.to_vec(),
                ino: entry.ino,
                ftype: entry.ftype,
                cookie: params.address(db, entry.offset),
            });
        }
    }
    Some(entries)
}

fn for_each_short<S: Store>(
    store: &S,
    mut each: impl FnMut(DirEntry) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let short = read_short(store)?;
    let params = store.params();
    let dot = data::HEADER_LEN;
    let dotdot = dot + params.layout().entry_len(1);
    let dots = [(".", store.owner(), dot), ("..", short.parent.0, dotdot)];
    let dots = dots.map(|(name, ino, offset)| (name.into(), ino, FTYPE_DIR, offset));
    let entries = short.entries.into_iter().map(|e| (e.name, e.ino.0, e.ftype, e.offset.into()));
    for (name, ino, ftype, offset) in dots.into_iter().chain(entries) {
        let cookie = params.address(0, offset);
        if each(DirEntry { name, ino, ftype, cookie })?.is_break() {
            return Ok(());
        }
    }
    Ok(())
}
