//! Changing a directory from one format to the next larger or smaller one.

use super::block;
use super::data::{self, ALIGN, BLOCK_MAGIC, DATA_MAGIC, Free, Record};
use super::free_index::{FreeIndex, set_best};
use super::hash_tree::{self, Links, TreeLeaf};
use super::leaf::{Leaf, LeafEntry, NO_BLOCK, SingleLeaf};
use super::lookup::{FTYPE_DIR, bad_data, read_short, read_single_leaf};
use super::shortform;
use super::store::{Params, StoreMut};
use crate::Result;
use crate::buffer::BufferKind;
use crate::format::dir::shortform::{Entry as ShortEntry, ShortForm};
use crate::format::geometry::Ino;

/// Shortform to single block: every entry goes to the offset it was promised.
pub(crate) fn short_to_block<S: StoreMut>(store: &mut S) -> Result<()> {
    let params = store.params();
    let short = read_short(store)?;
    let owner = store.owner();
    let content = build_block(params, owner, &short);
    let content = content.ok_or_else(|| store.corrupt("its inline entries have bad offsets"))?;
    store.leave_inline()?;
    store.create(0, BufferKind::DirBlock, &content)?;
    store.set_size(params.block_size as u64)
}

fn build_block(params: Params, owner: u64, short: &ShortForm) -> Option<Vec<u8>> {
    let layout = params.layout();
    let end = block::data_end(params.block_size, short.entries.len() + 2);
    let mut bytes = data::new_block(BLOCK_MAGIC, layout, end);
    let dot = data::HEADER_LEN;
    let dotdot = dot + layout.entry_len(1);
    let dots = [(dot, &b"."[..], owner, FTYPE_DIR), (dotdot, b"..", short.parent.0, FTYPE_DIR)];
    let entries = short.entries.iter().map(|e| (e.offset.into(), &e.name[..], e.ino.0, e.ftype));
    let mut leaf = Vec::with_capacity(short.entries.len() + 2);
    let mut at = dot;
    for (offset, name, ino, ftype) in dots.into_iter().chain(entries) {
        let len = layout.entry_len(name.len());
        let gap: usize = offset;
        if gap < at || !gap.is_multiple_of(ALIGN) || gap + len > end {
            return None;
        }
        data::write_free(&mut bytes, Free { offset: at, len: gap - at });
        let place = Free { offset: gap, len: end - gap };
        data::write_entry(&mut bytes, layout, place, ino, name, ftype);
        leaf.push(LeafEntry { hash: params.hash(name), address: params.address(0, gap) });
        at = gap + len;
    }
    leaf.sort_by_key(|entry| entry.hash);
    block::encode_leaf(&mut bytes, &leaf);
    data::update_best(&mut bytes, layout, end)?;
    Some(bytes)
}

/// Single block to one leaf block beside one data block.
pub(crate) fn block_to_leaf<S: StoreMut>(store: &mut S) -> Result<()> {
    let params = store.params();
    let mut bytes = store.read(0, BufferKind::DirBlock)?.to_vec();
    let entries = strip_leaf(&mut bytes, params).ok_or_else(|| bad_data(store, 0))?;
    let leaf = SingleLeaf { entries, bests: vec![data::best_free(&bytes)] };
    store.write(0, BufferKind::DirData, &bytes)?;
    store.create(params.tree_root, BufferKind::DirLeaf1, &leaf.encode(params.block_size))
}

/// Takes the leaf entries off a block and makes it a data block.
fn strip_leaf(bytes: &mut [u8], params: Params) -> Option<Vec<LeafEntry>> {
    let mut entries = block::decode_leaf(bytes)?;
    let start = block::data_end(params.block_size, entries.len());
    bytes.get_mut(..4)?.copy_from_slice(&DATA_MAGIC.to_be_bytes());
    let freed = Free { offset: start, len: params.block_size - start };
    data::release(bytes, params.layout(), params.block_size, freed)?;
    entries.retain(|entry| !entry.is_stale());
    Some(entries)
}

/// One leaf block to a tree and a free index.
pub(crate) fn leaf_to_node<S: StoreMut>(store: &mut S) -> Result<()> {
    let params = store.params();
    let single = read_single_leaf(store)?;
    let free = FreeIndex { first: 0, bests: single.bests };
    let leaf = Leaf { links: Links::default(), entries: single.entries };
    store.create(params.free_start, BufferKind::DirFree, &free.encode(params.block_size))?;
    store.write(params.tree_root, BufferKind::DirLeafN, &leaf.encode(params.block_size))
}

/// Tree to one leaf block, if it fits; then on to a single block, if it fits.
pub(crate) fn try_node_to_leaf<S: StoreMut>(store: &mut S) -> Result<()> {
    let params = store.params();
    let step = params.fs_blocks;
    let one_leaf = store.mapped_end_before(params.free_start)? == params.tree_root + step;
    if !one_leaf || store.mapped_end()? != params.free_start + step {
        return Ok(());
    }
    let free = FreeIndex::decode(store.read(params.free_start, BufferKind::DirFree)?);
    let free = free.ok_or_else(|| store.corrupt("its free index is damaged"))?;
    let (path, mut leaf): (_, Leaf) = hash_tree::find(store, 0)?;
    leaf.entries.retain(|entry| !entry.is_stale());
    let fits = SingleLeaf::len(leaf.entries.len(), free.bests.len()) <= params.block_size;
    if !path.is_root() || !fits {
        return Ok(());
    }
    let single = SingleLeaf { entries: leaf.entries, bests: free.bests };
    let content = single.encode(params.block_size);
    store.write(params.tree_root, BufferKind::DirLeaf1, &content)?;
    store.free(params.free_start, BufferKind::DirFree)?;
    try_leaf_to_block(store)
}

/// One leaf block to a single block, if it fits; then on to shortform, if it fits.
pub(crate) fn try_leaf_to_block<S: StoreMut>(store: &mut S) -> Result<()> {
    let params = store.params();
    let mut leaf = read_single_leaf(store)?;
    trim_empty_blocks(store, &mut leaf)?;
    if leaf.bests.len() != 1 {
        return Ok(());
    }
    leaf.entries.retain(|entry| !entry.is_stale());
    let end = block::data_end(params.block_size, leaf.entries.len());
    let mut bytes = store.read(0, BufferKind::DirData)?.to_vec();
    let free = data::free_space(&bytes, params.layout(), params.block_size);
    let Some(last) = free.ok_or_else(|| bad_data(store, 0))?.last().copied() else {
        return Ok(());
    };
    if last.offset + last.len != params.block_size || last.offset > end {
        return Ok(());
    }
    data::write_free(&mut bytes, Free { offset: last.offset, len: end - last.offset });
    super::bytes::put32(&mut bytes, 0, BLOCK_MAGIC);
    block::encode_leaf(&mut bytes, &leaf.entries);
    data::update_best(&mut bytes, params.layout(), end).ok_or_else(|| bad_data(store, 0))?;
    store.free(params.tree_root, BufferKind::DirLeaf1)?;
    store.write(0, BufferKind::DirBlock, &bytes)?;
    try_block_to_short(store)
}

/// Frees data blocks without entries at the end of a directory with one leaf block.
fn trim_empty_blocks<S: StoreMut>(store: &mut S, leaf: &mut SingleLeaf) -> Result<()> {
    let params = store.params();
    let empty = (params.block_size - data::HEADER_LEN) as u16;
    let mut trimmed = false;
    while leaf.bests.len() > 1 && leaf.bests.last() == Some(&empty) {
        let db = leaf.bests.len() as u32 - 1;
        store.free(params.data_bno(db), BufferKind::DirData)?;
        set_best(&mut leaf.bests, db as usize, NO_BLOCK);
        trimmed = true;
    }
    if trimmed {
        store.set_size(((leaf.bests.len()) << params.block_log) as u64)?;
        let content = leaf.encode(params.block_size);
        store.write(params.tree_root, BufferKind::DirLeaf1, &content)?;
    }
    Ok(())
}

/// Single block to shortform, if it fits in the inode.
pub(crate) fn try_block_to_short<S: StoreMut>(store: &mut S) -> Result<()> {
    let params = store.params();
    let bytes = store.read(0, BufferKind::DirBlock)?;
    let short = collect_short(bytes, params).ok_or_else(|| bad_data(store, 0))?;
    if !shortform::countable(&short) || !store.fits_inline(short.encoded_size(params.ftype)) {
        return Ok(());
    }
    let contents = short.encode(params.ftype);
    store.free(0, BufferKind::DirBlock)?;
    store.set_inline(&contents)?;
    store.set_size(contents.len() as u64)
}

fn collect_short(bytes: &[u8], params: Params) -> Option<ShortForm> {
    let count = block::decode_leaf(bytes)?.len();
    let end = block::data_end(params.block_size, count);
    let mut short = ShortForm { parent: Ino(0), entries: Vec::new() };
    for record in data::records(bytes, params.layout(), end) {
        let Record::Entry(entry) = record? else { continue };
        match entry.name {
            b"." => {}
            b".." => short.parent = Ino(entry.ino),
            name => short.entries.push(ShortEntry {
                offset: u16::try_from(entry.offset).ok()?,
                name: name.to_vec(),
                ftype: entry.ftype,
                ino: Ino(entry.ino),
            }),
        }
    }
    Some(short)
}
