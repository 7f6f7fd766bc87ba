//! Taking extents out of free space.
//!
//! Before anything is taken from a group, its free list is made as long as the btrees may
//! need it. What is taken is removed from both free space trees, gets its reverse mapping,
//! and is taken off the counters and reservations it belongs to.

use std::mem::offset_of;

use super::ag_reservation::{self, Pool};
use super::extent_free::FreeExtent as DeferredFree;
use super::free_space::{self, end};
use super::trees::{BlockKey, Bnobt, Cntbt, SizeKey};
use super::{Owner, agfl, header, rmap};
use crate::Result;
use crate::buffer::BufferId;
use crate::format::ag::Agf;
use crate::format::btree_record::FreeExtent;
use crate::format::geometry::FsBlock;
use crate::mount::Mount;
use crate::transaction::Transaction;

/// Free extents looked at in each direction from a place before size matters more.
const NEAR_STEPS: u32 = 32;
/// Free extents of sufficient size looked at for one that is not busy, or nearer.
const SIZE_STEPS: u32 = 64;

/// Where an extent should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Exactly there, or nowhere.
    Exact(FsBlock),
    /// As near as possible; in any group if that one has no room.
    Near(FsBlock),
    /// As near as possible, in the same group only.
    InGroupNear(FsBlock),
    /// Anywhere in this group.
    InGroup(u32),
    /// Anywhere, this group first.
    StartGroup(u32),
}

/// What to allocate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllocArgs {
    /// Fewest blocks that are of use; at least 1.
    pub min_len: u32,
    /// Most blocks wanted.
    pub max_len: u32,
    /// The first block's number within its group is a multiple of this; at least 1.
    pub alignment: u32,
    /// Blocks that the transaction will need in the same group altogether; 0 if unknown.
    pub total: u32,
    /// Blocks that must be left free in the group.
    pub min_left: u32,
    /// Where.
    pub target: Target,
    /// Reservation to draw on.
    pub pool: Pool,
    /// Whom the reverse mapping names; [`Owner::ELSEWHERE`] if an intent will say.
    pub owner: Owner,
    /// The blocks will be written without going through the log (file data, remote
    /// attribute values), so that they must not be ones freed since the last checkpoint.
    pub data: bool,
    /// First and last block of the group at which the extent may begin; `None` for any.
    pub range: Option<(u32, u32)>,
}

impl AllocArgs {
    /// Between `min_len` and `max_len` blocks of logged metadata, without alignment, reverse
    /// mapping or reservation.
    pub fn new(min_len: u32, max_len: u32, target: Target) -> Self {
        Self {
            min_len,
            max_len,
            alignment: 1,
            total: 0,
            min_left: 0,
            target,
            pool: Pool::None,
            owner: Owner::ELSEWHERE,
            data: false,
            range: None,
        }
    }
}

/// An allocated extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocated {
    /// First block.
    pub block: FsBlock,
    /// Number of blocks.
    pub len: u32,
}

/// A free extent and what to take of it.
#[derive(Debug, Clone, Copy)]
struct Choice {
    whole: FreeExtent,
    part: FreeExtent,
}

/// Allocates an extent; `None` if no group that may be used has one. The transaction may
/// be dirty even then: free lists may have been filled.
///
/// # Errors
/// [`crate::Error::Corrupt`] or [`crate::Error::Io`] from the group's headers and trees.
pub fn allocate(tp: &mut Transaction<'_>, args: &AllocArgs) -> Result<Option<Allocated>> {
    let geo = tp.geo.clone();
    let (first, place, one_group) = match args.target {
        Target::Exact(block) | Target::InGroupNear(block) => {
            (geo.fsblock_agno(block), Some(geo.fsblock_agbno(block)), true)
        }
        Target::Near(block) => (geo.fsblock_agno(block), Some(geo.fsblock_agbno(block)), false),
        Target::InGroup(agno) => (agno, None, true),
        Target::StartGroup(agno) => (agno, None, false),
    };
    let first = if first < geo.ag_count { first } else { 0 };
    if one_group {
        return allocate_in(tp, first, place, args);
    }
    // Rather one whole extent in another group than pieces in this one.
    let longest = longest_anywhere(tp, first, args)?;
    if longest > args.min_len {
        let whole = AllocArgs { min_len: longest, ..*args };
        if let Some(found) = allocate_from(tp, first, place, &whole)? {
            return Ok(Some(found));
        }
    }
    allocate_from(tp, first, place, args)
}

/// The longest extent that any group has for the request, up to the wanted length.
fn longest_anywhere(mount: &mut Mount, first: u32, args: &AllocArgs) -> Result<u32> {
    let count = mount.geo.ag_count;
    let mut longest = args.min_len;
    for agno in (first..count).chain(0..first) {
        if longest >= args.max_len {
            break;
        }
        let agf = mount.read_agf(agno)?;
        if let Some((usable, _)) = room(mount, agno, agf, args)? {
            longest = longest.max(usable.min(args.max_len));
        }
    }
    Ok(longest)
}

/// Tries every group, from `first` on.
fn allocate_from(
    tp: &mut Transaction<'_>,
    first: u32,
    place: Option<u32>,
    args: &AllocArgs,
) -> Result<Option<Allocated>> {
    let count = tp.geo.ag_count;
    for agno in (first..count).chain(0..first) {
        let place = place.filter(|_| agno == first);
        if let Some(found) = allocate_in(tp, agno, place, args)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn allocate_in(
    tp: &mut Transaction<'_>,
    agno: u32,
    place: Option<u32>,
    args: &AllocArgs,
) -> Result<Option<Allocated>> {
    let agf = tp.read_agf(agno)?;
    let Some((_, max_len)) = room(tp, agno, agf, args)? else { return Ok(None) };
    let args = &AllocArgs { max_len, ..*args };
    let header = header::agf(tp, agf)?;
    if header.flcount.get() != needed_in_free_list(tp, header) {
        // Nothing should have changed when there is no suitable extent after all: all may
        // be busy, or badly aligned.
        if find(tp, agno, agf, place, args)?.is_none() || !fix_free_list(tp, agno, agf, false)? {
            return Ok(None);
        }
    }
    let Some(Choice { whole, part }) = find(tp, agno, agf, place, args)? else { return Ok(None) };
    free_space::take(tp, agno, agf, whole, part)?;
    tp.ags[agno as usize].busy.remove(part.start, part.len);
    if args.owner != Owner::ELSEWHERE {
        rmap::add_owner(tp, agno, agf, part.start, part.len, &args.owner)?;
    }
    ag_reservation::took(tp, agno, args.pool, part.len);
    Ok(Some(Allocated { block: tp.geo.fsblock(agno, part.start), len: part.len }))
}

fn find(
    mount: &mut Mount,
    agno: u32,
    agf: BufferId,
    place: Option<u32>,
    args: &AllocArgs,
) -> Result<Option<Choice>> {
    match (args.target, place) {
        (Target::Exact(_), Some(at)) => find_exact(mount, agno, agf, at, args),
        (_, Some(at)) => find_near(mount, agno, agf, at, args),
        (_, None) => find_by_size(mount, agno, agf, None, args),
    }
}

// ---- is there room ----

fn needed_in_free_list(mount: &Mount, agf: &Agf) -> u32 {
    mount.geo.min_freelist(agf.bnolevel.get(), agf.cntlevel.get(), agf.rmaplevel.get())
}

/// Whether the group can satisfy the request with what free list and reservations leave;
/// if so, its longest extent, and the most blocks the request may take.
fn room(mount: &Mount, agno: u32, id: BufferId, args: &AllocArgs) -> Result<Option<(u32, u32)>> {
    let agf = header::agf(mount, id)?;
    let (free, longest) = (i64::from(agf.freeblks.get()), i64::from(agf.longest.get()));
    let listed = i64::from(agf.flcount.get());
    let need = i64::from(needed_in_free_list(mount, agf));
    let others = mount.ags[agno as usize].reservations.needed_by_others(args.pool);
    let reserved = i64::from(others);
    let least = i64::from(args.min_len) + i64::from(args.alignment) - 1;

    // The longest extent less what must come out of it for the free list and for
    // reservations that the other extents cannot satisfy.
    let refill = (need - listed).max(0);
    let beyond = (reserved - (free - longest)).max(0);
    let usable =
        if longest > refill + beyond { longest - refill - beyond } else { i64::from(longest > 0) };
    if usable < least {
        return Ok(None);
    }
    // Blocks in an overlong free list are on their way back already.
    let left = free + listed.min(need) - reserved - need - i64::from(args.min_left);
    if left < i64::from(args.total).max(least) {
        return Ok(None);
    }
    let most = left.min(i64::from(args.max_len));
    let narrow = |blocks: i64| u32::try_from(blocks).ok();
    Ok(narrow(usable).zip(narrow(most)).filter(|&(_, most)| most >= args.min_len))
}

/// Makes the free list as long as the trees may need it and not longer. When `freeing`, a
/// group too full for that is accepted: freeing makes room. Returns false if it is not.
///
/// # Errors
/// [`crate::Error::Corrupt`] or [`crate::Error::Io`] from the group's headers and trees.
pub(crate) fn fix_free_list(
    tp: &mut Transaction<'_>,
    agno: u32,
    agf: BufferId,
    freeing: bool,
) -> Result<bool> {
    let listed = |tp: &Transaction<'_>| header::field(tp, agf, offset_of!(Agf, flcount));
    let need = needed_in_free_list(tp, header::agf(tp, agf)?);
    while listed(tp) > need {
        let Some(agbno) = agfl::take(tp, agno, agf)? else { break };
        let block = tp.geo.fsblock(agno, agbno);
        tp.defer(DeferredFree::new(block, 1, Owner::AG, Pool::FreeList));
    }
    while listed(tp) < need {
        let missing = need - listed(tp);
        let args =
            AllocArgs { pool: Pool::FreeList, ..AllocArgs::new(1, missing, Target::InGroup(agno)) };
        let Some(Choice { whole, part }) = find_by_size(tp, agno, agf, None, &args)? else {
            return Ok(freeing);
        };
        free_space::take(tp, agno, agf, whole, part)?;
        tp.ags[agno as usize].busy.remove(part.start, part.len);
        rmap::add_owner(tp, agno, agf, part.start, part.len, &Owner::AG)?;
        for agbno in part.start..end(&part) {
            agfl::put(tp, agno, agf, agbno)?;
        }
    }
    Ok(true)
}

// ---- which extent ----

/// What can be used of the free extent `whole`: the longest piece up to the wanted length,
/// as near to `place` as it can be within the extent.
fn fit(
    mount: &Mount,
    agno: u32,
    whole: FreeExtent,
    place: Option<u32>,
    args: &AllocArgs,
) -> Option<Choice> {
    let busy = &mount.ags[agno as usize].busy;
    let all = match args.range {
        None => (whole.start, end(&whole)),
        Some((first, last)) => {
            (whole.start.max(first), end(&whole).min(last.saturating_add(args.max_len)))
        }
    };
    if !args.data || busy.is_empty() {
        return fit_part(all, place, args).map(|part| Choice { whole, part });
    }
    let mut best: Option<FreeExtent> = None;
    for range in busy.free_parts(all.0, all.1) {
        if let Some(part) = fit_part(range, place, args)
            && best.is_none_or(|best| part.len > best.len)
        {
            best = Some(part);
            if part.len == args.max_len {
                break;
            }
        }
    }
    best.map(|part| Choice { whole, part })
}

fn fit_part((start, stop): (u32, u32), place: Option<u32>, args: &AllocArgs) -> Option<FreeExtent> {
    let align = |block: u32| block.checked_next_multiple_of(args.alignment.max(1));
    let first = align(start)?;
    let room = stop.checked_sub(first)?;
    if room < args.min_len || room == 0 {
        return None;
    }
    let len = room.min(args.max_len);
    let last = (stop - len) / args.alignment.max(1) * args.alignment.max(1);
    let start = match place {
        // Everything is before the place: take the end.
        Some(place) if place >= stop => last.max(first),
        Some(place) => align(place).filter(|&at| at > first && at <= last).unwrap_or(first),
        None => first,
    };
    Some(FreeExtent { start, len })
}

fn distance(part: &FreeExtent, place: u32) -> u32 {
    part.start.abs_diff(place)
}

fn find_exact(
    mount: &mut Mount,
    agno: u32,
    agf: BufferId,
    place: u32,
    args: &AllocArgs,
) -> Result<Option<Choice>> {
    let found = free_space::extent_at_or_before(mount, agno, agf, place)?;
    let Some(whole) = found.filter(|whole| end(whole) > place) else { return Ok(None) };
    let mut stop = end(&whole);
    if args.data
        && let Some((from, _)) = mount.ags[agno as usize].busy.overlap(place, stop)
    {
        stop = from.max(place);
    }
    let len = (stop - place).min(args.max_len);
    let part = FreeExtent { start: place, len };
    Ok((len >= args.min_len && len > 0).then_some(Choice { whole, part }))
}

/// The nearest of some free extents on either side of `place` that are long enough; if none
/// is, one by size, near if possible.
fn find_near(
    mount: &mut Mount,
    agno: u32,
    agf: BufferId,
    place: u32,
    args: &AllocArgs,
) -> Result<Option<Choice>> {
    let mut left = Bnobt::cursor(mount, agno, agf);
    let mut more_left = left.lookup_le(mount, &BlockKey { start: place, len: 0 })?;
    let mut right = left.clone();
    let mut more_right = right.increment(mount)?;
    for _ in 0..NEAR_STEPS {
        let mut best: Option<Choice> = None;
        if more_left {
            best = fit(mount, agno, left.expect(mount)?, Some(place), args);
            more_left = left.decrement(mount)?;
        }
        if more_right {
            let other = fit(mount, agno, right.expect(mount)?, Some(place), args);
            best = nearer(best, other, place, args.max_len);
            more_right = right.increment(mount)?;
        }
        if let Some(choice) = best.filter(|choice| choice.part.len == args.max_len) {
            return Ok(Some(choice));
        }
        if !more_left && !more_right {
            break;
        }
    }
    find_by_size(mount, agno, agf, Some(place), args)
}

/// The better of two choices: long enough first, then the nearer.
fn nearer(a: Option<Choice>, b: Option<Choice>, place: u32, len: u32) -> Option<Choice> {
    let (Some(one), Some(two)) = (a, b) else { return a.or(b) };
    let rank = |c: &Choice| (c.part.len < len, distance(&c.part, place));
    Some(if rank(&two) < rank(&one) { two } else { one })
}

/// The smallest free extent that is long enough (or, given a place, the nearest of some that
/// are), else the longest of those that are too short.
fn find_by_size(
    mount: &mut Mount,
    agno: u32,
    agf: BufferId,
    place: Option<u32>,
    args: &AllocArgs,
) -> Result<Option<Choice>> {
    let mut cursor = Cntbt::cursor(mount, agno, agf);
    let mut best: Option<Choice> = None;
    let mut more = cursor.lookup_ge(mount, &SizeKey { len: args.max_len, start: 0 })?;
    let mut steps = 0;
    while more && steps < SIZE_STEPS {
        let found = fit(mount, agno, cursor.expect(mount)?, place, args);
        best = match place {
            Some(place) => nearer(best, found, place, args.max_len),
            None => longer(best, found),
        };
        if place.is_none() && best.is_some_and(|best| best.part.len == args.max_len) {
            return Ok(best);
        }
        more = cursor.increment(mount)?;
        steps += 1;
    }
    if best.is_some_and(|best| best.part.len == args.max_len) {
        return Ok(best);
    }
    // Nothing is long enough, or all of it is busy or badly aligned: from the longest down.
    let mut more = cursor.last(mount)?;
    while more {
        let whole = cursor.expect(mount)?;
        if whole.len < args.min_len || best.is_some_and(|best| best.part.len >= whole.len) {
            break;
        }
        best = longer(best, fit(mount, agno, whole, place, args));
        more = cursor.decrement(mount)?;
    }
    Ok(best)
}

fn longer(a: Option<Choice>, b: Option<Choice>) -> Option<Choice> {
    let (Some(one), Some(two)) = (a, b) else { return a.or(b) };
    Some(if two.part.len > one.part.len { two } else { one })
}
