//! Walks a whole tree and verifies every invariant listed in [`super`].

use super::block::{self, Side};
use super::cursor::Cursor;
use super::{MAX_HEIGHT, Tree};
use crate::mount::Mount;
use crate::{Error, Result};

/// What a walk found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Levels, the root's included.
    pub height: u32,
    /// Blocks, without a root in an inode.
    pub blocks: u64,
    /// Records.
    pub records: u64,
    /// Blocks other than the root that are less than half full.
    pub underfull: u64,
}

/// What the walk remembers of the blocks it has seen.
struct Seen<K> {
    summary: Summary,
    /// Per level: the last block, and what it says is to its right.
    last: [Option<(u64, Option<u64>)>; MAX_HEIGHT],
    /// Key of the last record.
    key: Option<K>,
}

/// Walks the whole tree, shows every record to `visit`, and verifies order, keys, high keys,
/// siblings, counts, levels and owners.
///
/// The memory it needs does not depend on the tree, and no block is visited twice: that
/// would contradict the sibling pointers.
///
/// # Errors
/// [`Error::Corrupt`] for the first violation, [`Error::Io`] from the device, and whatever
/// `visit` returns.
pub fn walk<T: Tree>(
    mount: &mut Mount,
    tree: T,
    mut visit: impl FnMut(&mut Mount, &T::Record) -> Result<()>,
) -> Result<Summary> {
    let mut cursor = Cursor::new(mount, tree);
    cursor.enter(mount)?;
    let mut seen = Seen { summary: Summary::default(), last: [None; MAX_HEIGHT], key: None };
    seen.summary.height = cursor.height;
    let mut level = cursor.height - 1;
    enter_block(&mut cursor, mount, level, &mut seen)?;
    while level < cursor.height {
        let count = cursor.numrecs(mount, level);
        let step = cursor.step_mut(level);
        step.slot += 1;
        if step.slot > count {
            level += 1;
        } else if level > 0 {
            cursor.descend(mount, level)?;
            check_high_key(&cursor, mount, level)?;
            level -= 1;
            enter_block(&mut cursor, mount, level, &mut seen)?;
        } else {
            let record = cursor.expect(mount)?;
            let key = T::low_key(&record);
            if seen.key.is_some_and(|last| last >= key) {
                return Err(cursor.bad(0, format!("{key:?} follows {:?}", seen.key)));
            }
            seen.key = Some(key);
            seen.summary.records += 1;
            visit(mount, &record)?;
        }
    }
    for (level, last) in seen.last.iter().enumerate().take(cursor.height as usize) {
        if let Some((block, Some(right))) = last {
            let why = format!("last of level {level}, but has a right sibling {right}");
            return Err(super::corrupt(&cursor.tree, Some(*block), why));
        }
    }
    Ok(seen.summary)
}

/// Counts the block at `level`, which the walk enters, and compares it with its left
/// neighbour.
fn enter_block<T: Tree>(
    cursor: &mut Cursor<T>,
    mount: &Mount,
    level: u32,
    seen: &mut Seen<T::Key>,
) -> Result<()> {
    cursor.step_mut(level).slot = 0;
    let Some(block) = cursor.block(level) else { return Ok(()) };
    seen.summary.blocks += 1;
    let root = level + 1 == cursor.height;
    if !root && cursor.numrecs(mount, level) < cursor.layout.minimum(level) {
        seen.summary.underfull += 1;
    }
    let left = cursor.sibling(mount, level, Side::Left);
    let right = cursor.sibling(mount, level, Side::Right);
    let previous = seen.last[level as usize].replace((block, right));
    if left != previous.map(|(block, _)| block) {
        return Err(cursor.bad(level, format!("left sibling {left:?}, expected {previous:?}")));
    }
    if let Some((before, named)) = previous
        && named != Some(block)
    {
        return Err(cursor.bad(level, format!("block {before} has {named:?} to its right")));
    }
    check_order_of_keys(cursor, mount, level)
}

/// The keys of an inner block must ascend strictly.
fn check_order_of_keys<T: Tree>(cursor: &Cursor<T>, mount: &Mount, level: u32) -> Result<()> {
    if level == 0 {
        return Ok(());
    }
    let bytes = mount.buffer(cursor.buffer(level)?);
    let mut last = None;
    for slot in 1..=block::numrecs_of(bytes) {
        let key = cursor.low_key_in(bytes, level, slot);
        if last.is_some() && key <= last {
            return Err(cursor.bad(level, format!("key {slot} is {key:?}, after {last:?}")));
        }
        last = key;
    }
    Ok(())
}

/// The high key of the entry at `level` must be the greatest below it.
fn check_high_key<T: Tree>(cursor: &Cursor<T>, mount: &Mount, level: u32) -> Result<()> {
    if !T::OVERLAPPING {
        return Ok(());
    }
    let bytes = mount.buffer(cursor.buffer(level)?);
    let says = cursor.high_key_in(bytes, level, cursor.step(level).slot);
    let is = cursor.greatest_high_key(mount, level - 1);
    if says == is {
        return Ok(());
    }
    let error: Error = cursor.bad(level - 1, format!("high key {is:?}, above it {says:?}"));
    Err(error)
}
