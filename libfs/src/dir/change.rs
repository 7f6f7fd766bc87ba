//! Adding, replacing and removing directory entries.

use super::block;
use super::convert;
use super::data::{self, DATA_MAGIC, Free};
use super::free_index::{FreeIndex, set_best};
use super::hash_tree::{self, TreeLeaf};
use super::leaf::{self, LeafEntry, NO_BLOCK, SingleLeaf};
use super::lookup::{self, Form, Found, bad_data, read_short, read_single_leaf};
use super::shortform;
use super::store::{Params, Store, StoreMut};
use crate::buffer::BufferKind;
use crate::error::Errno;
use crate::format::dir::shortform::ShortForm;
use crate::format::geometry::Ino;
use crate::{Error, Result};

/// What a directory entry points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) ino: u64,
    /// File type as in directory entries.
    pub(crate) ftype: u8,
}

/// An empty directory in `parent`.
pub(crate) fn init<S: StoreMut>(store: &mut S, parent: u64) -> Result<()> {
    let short = ShortForm { parent: Ino(parent), entries: Vec::new() };
    write_short(store, &short)
}

fn write_short<S: StoreMut>(store: &mut S, short: &ShortForm) -> Result<()> {
    let contents = short.encode(store.params().ftype);
    store.set_inline(&contents)?;
    store.set_size(contents.len() as u64)
}

fn short_fits<S: StoreMut>(store: &S, short: &ShortForm) -> bool {
    shortform::countable(short) && store.fits_inline(short.encoded_size(store.params().ftype))
}

/// Adds an entry, which must not exist yet, in whatever format it then takes.
pub(crate) fn add<S: StoreMut>(store: &mut S, name: &[u8], target: Target) -> Result<()> {
    loop {
        // Each format that has no room hands over to the next larger one.
        match lookup::form(store)? {
            Form::Short => {
                if add_short(store, name, target)? {
                    return Ok(());
                }
                convert::short_to_block(store)?;
            }
            Form::Block => {
                if add_block(store, name, target)? {
                    return Ok(());
                }
                convert::block_to_leaf(store)?;
            }
            Form::Leaf => {
                if add_leaf(store, name, target)? {
                    return Ok(());
                }
                convert::leaf_to_node(store)?;
            }
            Form::Node => return add_node(store, name, target),
        }
    }
}

fn add_short<S: StoreMut>(store: &mut S, name: &[u8], target: Target) -> Result<bool> {
    let mut short = read_short(store)?;
    let params = store.params();
    let (layout, dir) = (params.layout(), params.dir());
    let fits = shortform::insert(&mut short, name, target.ino, target.ftype, layout, &dir)
        && short_fits(store, &short);
    if fits {
        write_short(store, &short)?;
    }
    Ok(fits)
}

fn add_block<S: StoreMut>(store: &mut S, name: &[u8], target: Target) -> Result<bool> {
    let params = store.params();
    let mut bytes = store.read(0, BufferKind::DirBlock)?.to_vec();
    let hash = params.hash(name);
    let added = block::add(&mut bytes, params.layout(), hash, target.ino, name, target.ftype);
    let added = added.ok_or_else(|| bad_data(store, 0))?;
    if added {
        store.write(0, BufferKind::DirBlock, &bytes)?;
    }
    Ok(added)
}

fn add_leaf<S: StoreMut>(store: &mut S, name: &[u8], target: Target) -> Result<bool> {
    let params = store.params();
    let mut single = read_single_leaf(store)?;
    let db = choose_block(&single.bests, params.layout().entry_len(name.len()));
    let bests = single.bests.len().max(db + 1);
    let fits = |single: &SingleLeaf| {
        let entry = usize::from(leaf::stale_count(&single.entries) == 0);
        SingleLeaf::len(single.entries.len() + entry, bests) <= params.block_size
    };
    if !fits(&single) {
        single.entries.retain(|entry| !entry.is_stale());
        if !fits(&single) {
            return Ok(false);
        }
    }
    let exists = single.bests.get(db).is_some_and(|&best| best != NO_BLOCK);
    let (offset, best) = add_data(store, db as u32, exists, name, target)?;
    set_best(&mut single.bests, db, best);
    let address = params.address(db as u32, offset);
    leaf::insert_entry(&mut single.entries, LeafEntry { hash: params.hash(name), address });
    debug_assert!(single.fits(params.block_size));
    let content = single.encode(params.block_size);
    store.write(params.tree_root, BufferKind::DirLeaf1, &content)?;
    Ok(true)
}

/// The first data block with room for `need` bytes.
fn find_block(bests: &[u16], need: usize) -> Option<usize> {
    bests.iter().position(|&best| best != NO_BLOCK && usize::from(best) >= need)
}

/// The first data block with room for `need` bytes, or else the first that does not exist.
fn choose_block(bests: &[u16], need: usize) -> usize {
    find_block(bests, need)
        .or_else(|| bests.iter().position(|&best| best == NO_BLOCK))
        .unwrap_or(bests.len())
}

/// Adds an entry to data block `db`, which is made if it does not exist. Gives the entry's
/// offset and the block's longest free space.
fn add_data<S: StoreMut>(
    store: &mut S,
    db: u32,
    exists: bool,
    name: &[u8],
    target: Target,
) -> Result<(usize, u16)> {
    let params = store.params();
    let layout = params.layout();
    if u64::from(db) >= params.max_data_blocks() {
        return Err(Error::os(Errno::ENOSPC, "adding to a directory of the largest size"));
    }
    let bno = params.data_bno(db);
    let mut bytes = if exists {
        store.read(bno, BufferKind::DirData)?.to_vec()
    } else {
        data::new_block(DATA_MAGIC, layout, params.block_size)
    };
    let free = data::free_space(&bytes, layout, params.block_size);
    let best = free.iter().flatten().rev().max_by_key(|piece| piece.len).copied();
    let need = layout.entry_len(name.len());
    let place = best.filter(|best| best.len >= need).ok_or_else(|| bad_data(store, db))?;
    data::write_entry(&mut bytes, layout, place, target.ino, name, target.ftype);
    data::update_best(&mut bytes, layout, params.block_size).ok_or_else(|| bad_data(store, db))?;
    if exists {
        store.write(bno, BufferKind::DirData, &bytes)?;
    } else {
        store.create(bno, BufferKind::DirData, &bytes)?;
        let end = (u64::from(db) + 1) << params.block_log;
        if end > store.size() {
            store.set_size(end)?;
        }
    }
    Ok((place.offset, data::best_free(&bytes)))
}

/// Whether an entry can be added without taking a block, in a directory whose inode has
/// `capacity` bytes for it.
pub(crate) fn has_room<S: Store>(store: &mut S, name: &[u8], capacity: usize) -> Result<bool> {
    let params = store.params();
    let need = params.layout().entry_len(name.len());
    match lookup::form(store)? {
        Form::Short => {
            let mut short = read_short(store)?;
            let (layout, dir) = (params.layout(), params.dir());
            // The largest inode number, since the real one is not known.
            Ok(shortform::insert(&mut short, name, u64::MAX, 0, layout, &dir)
                && shortform::countable(&short)
                && short.encoded_size(params.ftype) <= capacity)
        }
        Form::Block => {
            let mut bytes = store.read(0, BufferKind::DirBlock)?.to_vec();
            let hash = params.hash(name);
            let added = block::add(&mut bytes, params.layout(), hash, 1, name, 0);
            added.ok_or_else(|| bad_data(store, 0))
        }
        Form::Leaf => {
            let single = read_single_leaf(store)?;
            let stale = leaf::stale_count(&single.entries);
            let entries = single.entries.len() + usize::from(stale == 0);
            Ok(find_block(&single.bests, need).is_some()
                && SingleLeaf::len(entries, single.bests.len()) <= params.block_size)
        }
        Form::Node => {
            let (_, mut leaf): (_, leaf::Leaf) = hash_tree::find(store, params.hash(name))?;
            leaf::insert_entry(
                &mut leaf.entries,
                LeafEntry { hash: params.hash(name), address: 1 },
            );
            Ok(leaf.fits(params.block_size) && choose_slot(store, need)?.exists)
        }
    }
}

/// A data block as the free index knows it.
struct Slot {
    /// Its number.
    db: u32,
    /// File block of the free index block that lists it.
    free_bno: u64,
    /// That block, if it exists.
    free: Option<FreeIndex>,
    exists: bool,
}

fn add_node<S: StoreMut>(store: &mut S, name: &[u8], target: Target) -> Result<()> {
    let params = store.params();
    let slot = choose_slot(store, params.layout().entry_len(name.len()))?;
    let (offset, best) = add_data(store, slot.db, slot.exists, name, target)?;
    write_best(store, slot.free_bno, slot.free, slot.db, best)?;
    let hash = params.hash(name);
    let (path, mut leaf): (_, leaf::Leaf) = hash_tree::find(store, hash)?;
    let address = params.address(slot.db, offset);
    leaf::insert_entry(&mut leaf.entries, LeafEntry { hash, address });
    hash_tree::update(store, &path, leaf)
}

/// A data block with room for `need` bytes, or else the first that does not exist. The last
/// index blocks are looked at first: those before them are likely full.
fn choose_slot<S: Store>(store: &mut S, need: usize) -> Result<Slot> {
    let params = store.params();
    let capacity = FreeIndex::capacity(params.block_size);
    let most = params.max_data_blocks() / capacity as u64;
    let blocks = store.mapped_end()?.saturating_sub(params.free_start) / params.fs_blocks;
    let mut missing: Option<Slot> = None;
    // The block behind the last one stands for a new one.
    for block in (0..=blocks.min(most)).rev() {
        let free_bno = params.free_start + block * params.fs_blocks;
        let free = if block < blocks { read_free(store, free_bno)? } else { None };
        let bests = free.as_ref().map_or(&[][..], |free| &free.bests[..]);
        let index = choose_block(bests, need);
        let exists = bests.get(index).is_some_and(|&best| best != NO_BLOCK);
        if exists || index < capacity {
            let db = (block * capacity as u64 + index as u64) as u32;
            let slot = Slot { db, free_bno, free, exists };
            if exists {
                return Ok(slot);
            }
            missing = Some(slot);
        }
    }
    missing.ok_or_else(|| Error::os(Errno::ENOSPC, "adding to a directory of the largest size"))
}

/// The free index block at `bno`, if there is one.
fn read_free<S: Store>(store: &mut S, bno: u64) -> Result<Option<FreeIndex>> {
    if store.next_mapped(bno)? != Some(bno) {
        return Ok(None);
    }
    match FreeIndex::decode(store.read(bno, BufferKind::DirFree)?) {
        Some(free) => Ok(Some(free)),
        None => Err(store.corrupt(format!("free index block {bno} is damaged"))),
    }
}

/// File block of the free index block that lists data block `db`.
fn free_bno_of(params: Params, db: u32) -> u64 {
    let block = u64::from(db) / FreeIndex::capacity(params.block_size) as u64;
    params.free_start + block * params.fs_blocks
}

/// Enters the longest free space of data block `db` in its free index block, which was
/// `free`. The index block is made or freed as needed.
fn write_best<S: StoreMut>(
    store: &mut S,
    bno: u64,
    free: Option<FreeIndex>,
    db: u32,
    best: u16,
) -> Result<()> {
    let params = store.params();
    let exists = free.is_some();
    let capacity = FreeIndex::capacity(params.block_size) as u32;
    let mut free = free.unwrap_or(FreeIndex { first: db / capacity * capacity, bests: vec![] });
    let unchanged = free.clone();
    set_best(&mut free.bests, (db % capacity) as usize, best);
    let content = free.encode(params.block_size);
    match exists {
        false => store.create(bno, BufferKind::DirFree, &content),
        true if free.used() == 0 && store.can_free(bno)? => store.free(bno, BufferKind::DirFree),
        true if free == unchanged => Ok(()),
        true => store.write(bno, BufferKind::DirFree, &content),
    }
}

/// Makes the entry `name` point to another inode. Gives what it pointed to before.
pub(crate) fn replace<S: StoreMut>(
    store: &mut S,
    name: &[u8],
    target: Target,
) -> Result<Option<Target>> {
    if lookup::form(store)? == Form::Short && !replace_short(store, name, target)? {
        convert::short_to_block(store)?;
    }
    let params = store.params();
    let Some(found) = lookup::find(store, name)? else { return Ok(None) };
    let old = Target { ino: found.ino, ftype: found.ftype };
    let kind = match lookup::form(store)? {
        Form::Short => return Ok(Some(old)),
        Form::Block => BufferKind::DirBlock,
        Form::Leaf | Form::Node => BufferKind::DirData,
    };
    let bno = params.data_bno(found.db);
    let mut bytes = store.read(bno, kind)?.to_vec();
    data::set_target(&mut bytes, params.layout(), found.offset, target.ino, target.ftype);
    store.write(bno, kind, &bytes)?;
    Ok(Some(old))
}

/// `false` if the directory no longer fits in its inode with the new number.
fn replace_short<S: StoreMut>(store: &mut S, name: &[u8], target: Target) -> Result<bool> {
    let mut short = read_short(store)?;
    if name == b".." {
        short.parent = Ino(target.ino);
    } else {
        let Some(found) = lookup::find(store, name)? else { return Ok(true) };
        if let Some(entry) = short.entries.get_mut(found.offset) {
            entry.ino = Ino(target.ino);
            entry.ftype = target.ftype;
        }
    }
    let fits = short_fits(store, &short);
    if fits {
        write_short(store, &short)?;
    }
    Ok(fits)
}

/// Removes the entry `name`, and takes the smallest format that then fits. Gives what it
/// pointed to, `None` if there was no such entry.
pub(crate) fn remove<S: StoreMut>(store: &mut S, name: &[u8]) -> Result<Option<Target>> {
    let form = lookup::form(store)?;
    if form == Form::Node {
        return remove_node(store, name);
    }
    let Some(found) = lookup::find(store, name)? else { return Ok(None) };
    match form {
        Form::Short => {
            let mut short = read_short(store)?;
            if found.offset < short.entries.len() {
                short.entries.remove(found.offset);
            }
            write_short(store, &short)?;
        }
        Form::Block => {
            let params = store.params();
            let mut bytes = store.read(0, BufferKind::DirBlock)?.to_vec();
            block::remove(&mut bytes, params.layout(), found.hash, found.offset)
                .ok_or_else(|| bad_data(store, 0))?;
            store.write(0, BufferKind::DirBlock, &bytes)?;
            convert::try_block_to_short(store)?;
        }
        _ => remove_leaf(store, found)?,
    }
    Ok(Some(Target { ino: found.ino, ftype: found.ftype }))
}

fn remove_leaf<S: StoreMut>(store: &mut S, found: Found) -> Result<()> {
    let params = store.params();
    let mut single = read_single_leaf(store)?;
    mark_stale(&mut single.entries, params, found);
    let best = remove_data(store, found)?;
    set_best(&mut single.bests, found.db as usize, best);
    let content = single.encode(params.block_size);
    store.write(params.tree_root, BufferKind::DirLeaf1, &content)?;
    convert::try_leaf_to_block(store)
}

fn mark_stale(entries: &mut [LeafEntry], params: Params, found: Found) {
    let address = params.address(found.db, found.offset);
    let range = leaf::range_of(entries, found.hash);
    if let Some(entry) = entries[range].iter_mut().find(|entry| entry.address == address) {
        entry.address = 0;
    }
}

/// Removes an entry from its data block, which is freed when it was the last one. Gives the
/// block's longest free space, [`NO_BLOCK`] if it is gone.
fn remove_data<S: StoreMut>(store: &mut S, found: Found) -> Result<u16> {
    let params = store.params();
    let layout = params.layout();
    let bno = params.data_bno(found.db);
    let mut bytes = store.read(bno, BufferKind::DirData)?.to_vec();
    let len = data::entry_at(&bytes, layout, found.offset).map(|e| layout.entry_len(e.name.len()));
    len.and_then(|len| {
        let piece = Free { offset: found.offset, len };
        data::release(&mut bytes, layout, params.block_size, piece)
    })
    .ok_or_else(|| bad_data(store, found.db))?;
    if !data::is_empty(&bytes, layout) || !store.can_free(bno)? {
        store.write(bno, BufferKind::DirData, &bytes)?;
        return Ok(data::best_free(&bytes));
    }
    store.free(bno, BufferKind::DirData)?;
    let end = store.mapped_end_before(params.tree_root)? / params.fs_blocks;
    store.set_size(end << params.block_log)?;
    Ok(NO_BLOCK)
}

fn remove_node<S: StoreMut>(store: &mut S, name: &[u8]) -> Result<Option<Target>> {
    let params = store.params();
    let Some((path, mut leaf, found)) = lookup::find_in_tree(store, name)? else {
        return Ok(None);
    };
    mark_stale(&mut leaf.entries, params, found);
    let best = remove_data(store, found)?;
    let free_bno = free_bno_of(params, found.db);
    let free = read_free(store, free_bno)?;
    if free.is_none() {
        return Err(store.corrupt(format!("free index block {free_bno} is missing")));
    }
    write_best(store, free_bno, free, found.db, best)?;
    hash_tree::shrink(store, &path, leaf)?;
    convert::try_node_to_leaf(store)?;
    Ok(Some(Target { ino: found.ino, ftype: found.ftype }))
}
