//! Setting and removing attributes, in steps that each fit one transaction.
//!
//! An attribute whose value has blocks of its own takes several: the entry is made
//! incomplete, blocks are allocated and written, then the entry is completed. Removal goes
//! the other way round. An incomplete entry is invisible. What a step does depends only on
//! what it finds and on the [`Stage`], so that a change whose intent is in the log can
//! begin anew after a crash.

use super::leaf::{Entry, Leaf, Value};
use super::lookup::{self, Form, Key, Place, Want, read_short};
use super::store::{ValueWrite, value_blocks};
use crate::Result;
use crate::dir::hash_tree::{self, Links, TreeLeaf};
use crate::dir::store::StoreMut;
use crate::format::attr::AttrFlags;
use crate::format::attr::leaf::{local_size, local_size_max};
use crate::format::attr::remote::RemoteHeader;
use crate::format::attr::shortform::{self, ShortForm};
use crate::transaction::Step;

/// Longest name and value in shortform.
const SHORT_MAX: usize = u8::MAX as usize;
/// Most attributes in shortform.
const SHORT_COUNT: usize = u8::MAX as usize;

/// How far a change got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Stage {
    /// At the beginning, or where a crash made it begin again.
    #[default]
    Start,
    /// Allocating blocks for the value of the incomplete entry: they begin at `bno`, and
    /// `done` of them are there.
    Allocate { bno: u64, done: u64 },
    /// Removing the incomplete entry, and the blocks of its value, of which the entry knows
    /// nothing any more: `blocks` from `bno` on.
    Purge { bno: u64, blocks: u64 },
}

/// A change of one attribute.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change<'a> {
    pub(crate) key: Key<'a>,
    /// The new value; `None` to remove the attribute.
    pub(crate) value: Option<&'a [u8]>,
    /// The old value must stay until the new one is complete, as nothing in the log would
    /// finish the change after a crash.
    pub(crate) keep_old: bool,
    /// The fork stays even when its last attribute is gone.
    pub(crate) keep_fork: bool,
}

/// Does one step of a change. [`Step::Again`] asks for the next one, in a new transaction.
pub(crate) fn step<S: ValueWrite>(
    store: &mut S,
    change: &Change<'_>,
    stage: &mut Stage,
) -> Result<Step> {
    match *stage {
        Stage::Start => start(store, change, stage),
        Stage::Allocate { bno, done } => allocate(store, change, stage, bno, done),
        Stage::Purge { bno, blocks } => purge(store, change, stage, bno, blocks),
    }
}

fn start<S: ValueWrite>(store: &mut S, change: &Change<'_>, stage: &mut Stage) -> Result<Step> {
    match (lookup::form(store)?, change.value) {
        (Form::Empty, None) => Ok(Step::Done),
        (Form::Empty | Form::Short, _) => start_short(store, change),
        (Form::Tree, None) => start_removal(store, change, stage),
        (Form::Tree, Some(value)) => start_set(store, change, stage, value),
    }
}

/// Sets or removes in the inode; if there is no room, makes a leaf block for the next step.
fn start_short<S: ValueWrite>(store: &mut S, change: &Change<'_>) -> Result<Step> {
    let mut short = read_short(store)?;
    if let Some(index) = change.key.index_in(&short) {
        short.entries.remove(index);
    }
    let Some(value) = change.value else {
        write_short(store, &short, change.keep_fork)?;
        return Ok(Step::Done);
    };
    let key = &change.key;
    if key.name.len() <= SHORT_MAX && value.len() <= SHORT_MAX && short.entries.len() < SHORT_COUNT
    {
        let (name, value) = (key.name.to_vec(), value.to_vec());
        short.entries.push(shortform::Entry { flags: key.namespace, name, value });
        if store.fits_inline(short.encoded_size()) {
            write_short(store, &short, true)?;
            return Ok(Step::Done);
        }
    }
    short_to_leaf(store)?;
    Ok(Step::Again)
}

fn write_short<S: ValueWrite>(store: &mut S, short: &ShortForm, keep_fork: bool) -> Result<()> {
    if short.entries.is_empty() && !keep_fork {
        return store.remove_fork();
    }
    store.set_inline(&short.encode())
}

fn short_to_leaf<S: ValueWrite>(store: &mut S) -> Result<()> {
    let mut leaf = Leaf::default();
    for entry in read_short(store)?.entries {
        let hash = super::stored_hash(&store.params(), entry.flags, &entry.name, &entry.value);
        leaf.insert(Entry::new(hash, entry.flags, &entry.name, Value::Local(entry.value)));
    }
    if store.inline().is_some() {
        store.leave_inline()?;
    }
    let params = store.params();
    store.create(params.tree_root, Leaf::KIND, &leaf.encode(params.block_size))
}

fn start_removal<S: ValueWrite>(
    store: &mut S,
    change: &Change<'_>,
    stage: &mut Stage,
) -> Result<Step> {
    let mut place = lookup::find(store, &change.key, Want::Complete)?;
    if place.is_none() && !change.keep_old {
        // A removal that a crash cut off.
        place = lookup::find(store, &change.key, Want::Incomplete)?;
    }
    let Some(place) = place else { return Ok(Step::Done) };
    match place.leaf.entries.get(place.index).map(|entry| &entry.value) {
        Some(Value::Remote { .. }) => {
            *stage = mark_incomplete(store, place)?;
            Ok(Step::Again)
        }
        _ => {
            remove_entry(store, place)?;
            try_tree_to_short(store, change.keep_fork)?;
            Ok(Step::Done)
        }
    }
}

fn start_set<S: ValueWrite>(
    store: &mut S,
    change: &Change<'_>,
    stage: &mut Stage,
    value: &[u8],
) -> Result<Step> {
    if !change.keep_old
        && let Some(left_over) = lookup::find(store, &change.key, Want::Incomplete)?
    {
        *stage = mark_incomplete(store, left_over)?;
        return Ok(Step::Again);
    }
    let old = lookup::find(store, &change.key, Want::Complete)?;
    let old_is_remote = old.as_ref().is_some_and(|place| {
        matches!(
            place.leaf.entries.get(place.index),
            Some(Entry { value: Value::Remote { .. }, .. })
        )
    });
    let block_size = store.params().block_size;
    let is_local = local_size(change.key.name.len(), value.len()) < local_size_max(block_size);
    match old {
        Some(place) if old_is_remote && (is_local || !change.keep_old) => {
            // The blocks of the old value are freed first, or, if nothing could finish this
            // after a crash, the new value is put in place in the same transaction.
            *stage = mark_incomplete(store, place)?;
            if change.keep_old {
                insert(store, new_entry(change, Value::Local(value.to_vec())))?;
            }
            return Ok(Step::Again);
        }
        Some(place) if !old_is_remote && (is_local || !change.keep_old) => {
            let Place { path, mut leaf, index } = place;
            leaf.entries.remove(index);
            if is_local {
                // Same hash, same leaf: one change.
                leaf.insert(new_entry(change, Value::Local(value.to_vec())));
                hash_tree::update(store, &path, leaf)?;
                return Ok(Step::Done);
            }
            hash_tree::shrink(store, &path, leaf)?;
        }
        _ => {}
    }
    if is_local {
        insert(store, new_entry(change, Value::Local(value.to_vec())))?;
        return Ok(Step::Done);
    }
    let mut entry = new_entry(change, Value::Remote { block: 0, len: 0 });
    entry.flags |= AttrFlags::INCOMPLETE;
    insert(store, entry)?;
    *stage = Stage::Allocate { bno: 0, done: 0 };
    Ok(Step::Again)
}

fn new_entry(change: &Change<'_>, value: Value) -> Entry {
    Entry::new(change.key.hash, change.key.namespace, change.key.name, value)
}

fn insert<S: StoreMut>(store: &mut S, entry: Entry) -> Result<()> {
    let (path, mut leaf): (_, Leaf) = hash_tree::find(store, entry.hash)?;
    leaf.insert(entry);
    hash_tree::update(store, &path, leaf)
}

/// Makes an entry incomplete. From then on it has no value blocks: as in Linux, so that
/// whoever finishes the removal after a crash does not trip over blocks freed before it.
fn mark_incomplete<S: StoreMut>(store: &mut S, place: Place) -> Result<Stage> {
    let Place { path, mut leaf, index } = place;
    let stage = make_incomplete(&mut leaf, index, store.params().block_size);
    hash_tree::update(store, &path, leaf)?;
    Ok(stage)
}

/// As [`mark_incomplete`], in memory. Gives the stage that removes the entry.
fn make_incomplete(leaf: &mut Leaf, index: usize, block_size: usize) -> Stage {
    let mut stage = Stage::Purge { bno: 0, blocks: 0 };
    if let Some(entry) = leaf.entries.get_mut(index) {
        entry.flags |= AttrFlags::INCOMPLETE;
        if let Value::Remote { block, len } = &mut entry.value
            && *block != 0
        {
            let blocks = value_blocks(*len as usize, block_size);
            stage = Stage::Purge { bno: (*block).into(), blocks };
            (*block, *len) = (0, 0);
        }
    }
    stage
}

fn remove_entry<S: StoreMut>(store: &mut S, place: Place) -> Result<()> {
    let Place { path, mut leaf, index } = place;
    leaf.entries.remove(index);
    hash_tree::shrink(store, &path, leaf)
}

/// Allocates blocks for the value, one run a step; with the last of them, writes the value
/// and completes the entry.
fn allocate<S: ValueWrite>(
    store: &mut S,
    change: &Change<'_>,
    stage: &mut Stage,
    bno: u64,
    done: u64,
) -> Result<Step> {
    let block_size = store.params().block_size;
    let value = change.value.unwrap_or_default();
    let blocks = value_blocks(value.len(), block_size);
    let bno = if done == 0 { store.unused_run(blocks)? } else { bno };
    if done < blocks {
        let got = store.allocate_value(bno + done, blocks - done)?;
        *stage = Stage::Allocate { bno, done: done + got };
        return Ok(Step::Again);
    }
    let room = RemoteHeader::capacity(block_size as u32) as usize;
    for (i, part) in value.chunks(room).enumerate() {
        store.write_value(bno + i as u64, (i * room) as u32, part)?;
    }
    complete(store, change, stage, Value::Remote { block: bno as u32, len: value.len() as u32 })
}

/// Makes the incomplete entry the attribute; the old one, if there is one, becomes
/// incomplete in the same transaction.
fn complete<S: ValueWrite>(
    store: &mut S,
    change: &Change<'_>,
    stage: &mut Stage,
    value: Value,
) -> Result<Step> {
    let old =
        if change.keep_old { lookup::find(store, &change.key, Want::Complete)? } else { None };
    let Some(Place { path, mut leaf, index }) = lookup::find(store, &change.key, Want::Incomplete)?
    else {
        return Err(store.corrupt("an attribute that was being set is gone"));
    };
    if let Some(entry) = leaf.entries.get_mut(index) {
        entry.flags -= AttrFlags::INCOMPLETE;
        entry.value = value;
    }
    let Some(old) = old else {
        hash_tree::update(store, &path, leaf)?;
        return Ok(Step::Done);
    };
    if old.path == path {
        *stage = make_incomplete(&mut leaf, old.index, store.params().block_size);
        hash_tree::update(store, &path, leaf)?;
    } else {
        hash_tree::update(store, &path, leaf)?;
        *stage = mark_incomplete(store, old)?;
    }
    Ok(Step::Again)
}

/// Frees the blocks of the incomplete entry's value, then removes the entry.
fn purge<S: ValueWrite>(
    store: &mut S,
    change: &Change<'_>,
    stage: &mut Stage,
    bno: u64,
    blocks: u64,
) -> Result<Step> {
    if blocks != 0 {
        if store.free_value(bno, blocks)? {
            *stage = Stage::Purge { bno: 0, blocks: 0 };
        }
        return Ok(Step::Again);
    }
    // With what an earlier crash may have left there are two.
    while let Some(place) = lookup::find(store, &change.key, Want::Incomplete)? {
        remove_entry(store, place)?;
    }
    let next = after_purge(change, stage);
    if next == Step::Done {
        try_tree_to_short(store, change.keep_fork)?;
    }
    Ok(next)
}

/// The new value is still to be set, unless it was put in place before.
fn after_purge(change: &Change<'_>, stage: &mut Stage) -> Step {
    if change.value.is_none() || change.keep_old {
        return Step::Done;
    }
    *stage = Stage::Start;
    Step::Again
}

/// Moves the attributes into the inode if they fit there; removes the fork if none is left.
fn try_tree_to_short<S: ValueWrite>(store: &mut S, keep_fork: bool) -> Result<()> {
    let params = store.params();
    if store.mapped_end()? != params.fs_blocks {
        return Ok(());
    }
    let (path, leaf): (_, Leaf) = hash_tree::find(store, 0)?;
    let mut short = ShortForm::default();
    for Entry { flags, name, value, .. } in leaf.entries {
        let Value::Local(value) = value else { return Ok(()) };
        if flags.contains(AttrFlags::INCOMPLETE) || value.len() > SHORT_MAX {
            return Ok(());
        }
        short.entries.push(shortform::Entry { flags, name, value });
    }
    let fits = short.entries.len() <= SHORT_COUNT && store.fits_inline(short.encoded_size());
    if !path.is_root() || !fits {
        return Ok(());
    }
    debug_assert_eq!(leaf.links, Links::default());
    store.free(params.tree_root, Leaf::KIND)?;
    write_short(store, &short, keep_fork)
}
