//! Random changes against plain models, with every tree walked and compared in between.

use std::collections::{BTreeMap, BTreeSet};

use super::ag_reservation::Pool;
use super::alloc::{AllocArgs, Allocated, Target, allocate};
use super::extent_free::FreeExtent;
use super::refcount::{self, RefcountIntent, RefcountOperation};
use super::rmap::{self, RmapIntent, RmapOperation};
use super::testing::{Random, Shape, format, open};
use super::trees::{Bnobt, Cntbt, Finobt, Inobt, Refcountbt, Rmapbt};
use super::{Owner, header, startup};
use crate::btree::Tree;
use crate::btree::check::{self, Summary};
use crate::format::btree_record::{
    FreeExtent as FreeRecord, Refcount, RefcountDomain, Rmap, RmapFlags,
};
use crate::format::geometry::{Fork, FsBlock};
use crate::mount::Mount;
use crate::transaction::Transaction;

const SMALL: Shape = Shape { megabytes: 64, block: 1024, groups: 2, trees: true };
const PLAIN: Shape = Shape { trees: false, ..SMALL };

/// Everything the trees of a group say.
struct Group {
    free: Vec<FreeRecord>,
    rmaps: Vec<Rmap>,
    refcounts: Vec<Refcount>,
    rmap_height: u32,
}

/// Walks a tree and appends its records to `records`.
fn collect<T: Tree>(mount: &mut Mount, tree: T, records: &mut Vec<T::Record>) -> Summary {
    let keep = |_: &mut Mount, record: &T::Record| {
        records.push(*record);
        Ok(())
    };
    check::walk(mount, tree, keep).unwrap()
}

/// Walks all trees of a group and compares counts with the AGF.
fn inspect(mount: &mut Mount, agno: u32) -> Group {
    let agf = mount.read_agf(agno).unwrap();
    let agi = mount.read_agi(agno).unwrap();
    let mut group = Group { free: vec![], rmaps: vec![], refcounts: vec![], rmap_height: 0 };
    let tree = Bnobt::new(mount, agno, agf);
    let bno = collect(mount, tree, &mut group.free);
    let mut by_size = vec![];
    let tree = Cntbt::new(mount, agno, agf);
    let cnt = collect(mount, tree, &mut by_size);
    let mut sorted = group.free.clone();
    sorted.sort_by_key(|record| (record.len, record.start));
    assert_eq!(by_size, sorted);
    let mut btree_blocks = bno.blocks + cnt.blocks - 2;
    if mount.geo.features.rmapbt {
        let tree = Rmapbt::new(mount, agno, agf);
        let walked = collect(mount, tree, &mut group.rmaps);
        btree_blocks += walked.blocks - 1;
        group.rmap_height = walked.height;
        let header = header::agf(mount, agf).unwrap();
        assert_eq!(u64::from(header.rmapblocks.get()), walked.blocks);
    }
    if mount.geo.features.reflink {
        let tree = Refcountbt::new(mount, agno, agf);
        let walked = collect(mount, tree, &mut group.refcounts);
        let header = header::agf(mount, agf).unwrap();
        assert_eq!(u64::from(header.refcntblocks.get()), walked.blocks);
    }
    check::walk(mount, Inobt::new(mount, agno, agi), |_, _| Ok(())).unwrap();
    if mount.geo.features.finobt {
        check::walk(mount, Finobt::new(mount, agno, agi), |_, _| Ok(())).unwrap();
    }
    let header = header::agf(mount, agf).unwrap();
    let free: u32 = group.free.iter().map(|record| record.len).sum();
    let longest = group.free.iter().map(|record| record.len).max().unwrap_or(0);
    assert_eq!((header.freeblks.get(), header.longest.get()), (free, longest));
    assert_eq!(u64::from(header.btreeblks.get()), btree_blocks);
    group
}

/// The counters in memory must be those that the group headers sum up to.
fn check_counters(mount: &mut Mount) {
    let counters = mount.counters;
    startup::sum_counters(mount).unwrap();
    assert_eq!(mount.counters, counters);
}

fn begin(mount: &mut Mount, blocks: u64) -> Transaction<'_> {
    let reservation = mount.reservations.write;
    Transaction::begin(mount, reservation, blocks).unwrap()
}

/// Closes, opens again and inspects: what is on the device must be the same.
fn reopen(mut mount: Mount) -> Mount {
    mount.unmount().unwrap();
    let mut mount = open(mount.device.clone());
    for agno in 0..mount.geo.ag_count {
        inspect(&mut mount, agno);
    }
    check_counters(&mut mount);
    mount
}

fn random_target(mount: &Mount, random: &mut Random) -> Target {
    let agno = random.below32(mount.geo.ag_count);
    let block = mount.geo.fsblock(agno, random.below32(mount.geo.ag_blocks));
    match random.below(5) {
        0 => Target::Exact(block),
        1 => Target::Near(block),
        2 => Target::InGroupNear(block),
        3 => Target::InGroup(agno),
        _ => Target::StartGroup(agno),
    }
}

fn allocate_and_free(shape: Shape, seed: u64, rounds: u32) {
    let mut mount = open(format(shape));
    let before = mount.counters;
    let mut random = Random(seed);
    let mut held: Vec<Allocated> = vec![];
    let mut used: BTreeSet<u64> = BTreeSet::new();
    for round in 0..rounds {
        let growing = (round / 400) % 2 == 0;
        if random.below(100) < if growing { 70 } else { 30 } || held.is_empty() {
            let max = 1 + random.below32(12);
            let mut args =
                AllocArgs::new(1 + random.below32(max), max, random_target(&mount, &mut random));
            args.alignment = [1, 1, 1, 4, 8][random.below(5) as usize];
            if matches!(args.target, Target::Exact(_)) {
                args.alignment = 1;
            }
            args.data = random.below(2) == 0;
            args.owner = Owner::INODES;
            let mut tp = begin(&mut mount, max.into());
            let found = allocate(&mut tp, &args).unwrap();
            tp.commit().unwrap();
            let Some(found) = found else { continue };
            assert!((args.min_len..=args.max_len).contains(&found.len));
            assert_eq!(mount.geo.fsblock_agbno(found.block) % args.alignment, 0);
            for block in 0..u64::from(found.len) {
                assert!(used.insert(found.block.0 + block), "allocated twice");
            }
            held.push(found);
        } else {
            let found = held.swap_remove(random.below(held.len() as u64) as usize);
            let mut tp = begin(&mut mount, 0);
            tp.defer(FreeExtent::new(found.block, found.len, Owner::INODES, Pool::None));
            tp.commit().unwrap();
            for block in 0..u64::from(found.len) {
                assert!(used.remove(&(found.block.0 + block)));
            }
        }
        if round % 500 == 0 {
            mount.checkpoint().unwrap();
        }
        if round % 250 == 0 {
            compare_with_used(&mut mount, &used);
        }
    }
    let mut mount = reopen(mount);
    compare_with_used(&mut mount, &used);
    for found in held {
        let mut tp = begin(&mut mount, 0);
        tp.defer(FreeExtent::new(found.block, found.len, Owner::INODES, Pool::None));
        tp.commit().unwrap();
    }
    let mount = reopen(mount);
    assert_eq!(mount.counters.fdblocks, before.fdblocks);
    assert_eq!(mount.counters.reserved, before.reserved);
}

fn compare_with_used(mount: &mut Mount, used: &BTreeSet<u64>) {
    for agno in 0..mount.geo.ag_count {
        let group = inspect(mount, agno);
        for record in &group.free {
            let start = mount.geo.fsblock(agno, record.start).0;
            let overlap = used.range(start..start + u64::from(record.len)).next();
            assert_eq!(overlap, None, "in use and free");
        }
        if !mount.geo.features.rmapbt {
            continue;
        }
        let mine = group.rmaps.iter().filter(|r| r.owner == Owner::INODES.owner);
        let mine: u64 = mine.map(|r| u64::from(r.len)).sum();
        let start = mount.geo.fsblock(agno, 0).0;
        let end = mount.geo.fsblock(agno + 1, 0).0;
        // mkfs allocated the chunk of the root directory: 64 inodes in group 0.
        let chunk = if agno == 0 { u64::from(64 / mount.geo.inode.per_block) } else { 0 };
        assert_eq!(mine, used.range(start..end).count() as u64 + chunk);
    }
    check_counters(mount);
}

#[test]
fn allocating_and_freeing_keeps_all_trees_in_step() {
    allocate_and_free(SMALL, 0x1234_5678_9abc_def1, 6000);
}

#[test]
fn allocating_and_freeing_without_optional_trees() {
    allocate_and_free(PLAIN, 0x0fed_cba9_8765_4321, 6000);
}

#[test]
fn a_full_filesystem_refuses_and_recovers() {
    let mut mount = open(format(SMALL));
    let before = mount.counters.fdblocks;
    let mut held = vec![];
    loop {
        let reservation = mount.reservations.write;
        let Ok(mut tp) = Transaction::begin(&mut mount, reservation, 7) else { break };
        let mut args = AllocArgs::new(1, 7, Target::StartGroup(0));
        args.owner = Owner::INODES;
        let found = allocate(&mut tp, &args).unwrap();
        tp.commit().unwrap();
        match found {
            Some(found) => held.push(found),
            None => break,
        }
    }
    let (counters, geo) = (mount.counters, mount.geo.clone());
    assert!(counters.available(&geo) < 7 + 2 * 64, "{counters:?}");
    // The reservations are untouched: the trees they are for can still grow.
    assert!(counters.fdblocks >= counters.reserved);
    let mut mount = reopen(mount);
    for found in held {
        let mut tp = begin(&mut mount, 0);
        tp.defer(FreeExtent::new(found.block, found.len, Owner::INODES, Pool::None));
        tp.commit().unwrap();
    }
    assert_eq!(reopen(mount).counters.fdblocks, before);
}

#[test]
fn data_never_gets_blocks_freed_since_the_checkpoint() {
    let mut mount = open(format(SMALL));
    let mut args = AllocArgs::new(1, 16, Target::InGroup(1));
    args.data = true;
    let mut tp = begin(&mut mount, 64);
    let first = allocate(&mut tp, &args).unwrap().unwrap();
    tp.commit().unwrap();
    let mut tp = begin(&mut mount, 64);
    tp.defer(FreeExtent::data(first.block, first.len));
    tp.commit().unwrap();
    args.target = Target::Exact(first.block);
    let mut tp = begin(&mut mount, 64);
    assert_eq!(allocate(&mut tp, &args).unwrap(), None);
    args.target = Target::Near(first.block);
    let other = allocate(&mut tp, &args).unwrap().unwrap();
    assert!(other.block.0.abs_diff(first.block.0) >= 16);
    tp.commit().unwrap();
    mount.checkpoint().unwrap();
    args.target = Target::Exact(first.block);
    let mut tp = begin(&mut mount, 64);
    assert_eq!(allocate(&mut tp, &args).unwrap(), Some(first));
    tp.commit().unwrap();
}

// ---- reverse mapping ----

/// What one file maps where: block to offset and state.
type FileMap = BTreeMap<u32, (u64, bool)>;

/// The records that describe the maps, as long as they can be.
fn expected_rmaps(files: &BTreeMap<u64, FileMap>) -> Vec<Rmap> {
    let mut records: Vec<Rmap> = vec![];
    for (&owner, map) in files {
        let mut last: Option<Rmap> = None;
        for (&block, &(offset, unwritten)) in map {
            let mut flags = RmapFlags::empty();
            flags.set(RmapFlags::UNWRITTEN, unwritten);
            match &mut last {
                Some(run)
                    if run.startblock + run.len == block
                        && run.offset + u64::from(run.len) == offset
                        && run.flags == flags =>
                {
                    run.len += 1;
                }
                _ => {
                    records.extend(last);
                    last = Some(Rmap { startblock: block, len: 1, owner, offset, flags });
                }
            }
        }
        records.extend(last);
    }
    records.sort_by_key(Rmap::low_key);
    records
}

fn change_mappings(shared: bool, seed: u64, rounds: u32) -> Mount {
    let mut mount = open(format(SMALL));
    let mut random = Random(seed);
    // One run of blocks to describe; mapping does not need it to be allocated.
    let mut tp = begin(&mut mount, 8000);
    let args = AllocArgs::new(4000, 4000, Target::InGroup(1));
    let space = allocate(&mut tp, &args).unwrap().unwrap();
    tp.commit().unwrap();
    let first = mount.geo.fsblock_agbno(space.block);
    let mut files: BTreeMap<u64, FileMap> = BTreeMap::new();
    let inos: Vec<u64> = (0..4).map(|i| 128 + i).collect();
    let base = |ino: u64, block: u32| u64::from(block) + 1000 * (ino - 127);
    for round in 0..rounds {
        let ino = inos[random.below(4) as usize];
        let start = first + random.below32(3990);
        let len = 1 + random.below32(10);
        let taken = |map: &FileMap, block: u32| map.contains_key(&block);
        let run = start..start + len;
        let own = files.entry(ino).or_default().clone();
        let all = run.clone().all(|block| taken(&own, block));
        let none = run.clone().all(|block| !taken(&own, block));
        let others = files.iter().any(|(&o, m)| o != ino && run.clone().any(|b| taken(m, b)));
        let unwritten = random.below(3) == 0;
        let state = own.get(&start).is_some_and(|mapped| mapped.1);
        let uniform = run.clone().all(|b| own.get(&b).is_some_and(|mapped| mapped.1 == state));
        let (operation, state) = if none && (shared || !others) {
            let op = if shared { RmapOperation::MapShared } else { RmapOperation::Map };
            (op, unwritten)
        } else if all && uniform && random.below(2) == 0 {
            let op = if shared { RmapOperation::ConvertShared } else { RmapOperation::Convert };
            (op, !state)
        } else if all && uniform {
            let op = if shared { RmapOperation::UnmapShared } else { RmapOperation::Unmap };
            (op, state)
        } else {
            continue;
        };
        let block = mount.geo.fsblock(1, start);
        let offset = base(ino, start);
        let mut tp = begin(&mut mount, 0);
        RmapIntent::file(operation, ino, Fork::Data, offset, (block, len), state).defer(&mut tp);
        tp.commit().unwrap();
        let map = files.entry(ino).or_default();
        for block in run {
            match operation {
                RmapOperation::Unmap | RmapOperation::UnmapShared => map.remove(&block),
                _ => map.insert(block, (base(ino, block), state)),
            };
        }
        if round % 500 == 0 {
            compare_rmaps(&mut mount, &files);
        }
    }
    compare_rmaps(&mut mount, &files);
    let mut mount = reopen(mount);
    compare_rmaps(&mut mount, &files);
    mount
}

fn compare_rmaps(mount: &mut Mount, files: &BTreeMap<u64, FileMap>) {
    let group = inspect(mount, 1);
    let found: Vec<Rmap> = group.rmaps.into_iter().filter(|r| r.owner < 1 << 40).collect();
    assert_eq!(found, expected_rmaps(files));
}

#[test]
fn mappings_merge_and_split() {
    let mut mount = change_mappings(false, 0x9e37_79b9_7f4a_7c15, 8000);
    assert!(inspect(&mut mount, 1).rmap_height >= 3);
}

#[test]
fn shared_mappings_merge_and_split() {
    let mut mount = change_mappings(true, 0x2545_f491_4f6c_dd1d, 8000);
    assert!(inspect(&mut mount, 1).rmap_height >= 3);
    let mut records = 0;
    let mut count = |_: &Rmap| {
        records += 1;
        Ok(())
    };
    rmap::for_each(&mut mount, 1, &mut count).unwrap();
    assert!(records > 1000);
}

// ---- reference counts ----

fn expected_refcounts(counts: &BTreeMap<u32, u32>, staged: &BTreeSet<u32>) -> Vec<Refcount> {
    let mut records: Vec<Refcount> = vec![];
    let mut add = |domain, block: u32, refcount: u32| match records.last_mut() {
        Some(last)
            if last.domain == domain
                && last.startblock + last.len == block
                && last.refcount == refcount =>
        {
            last.len += 1;
        }
        _ => records.push(Refcount { domain, startblock: block, len: 1, refcount }),
    };
    for (&block, &count) in counts.iter().filter(|(_, count)| **count >= 2) {
        add(RefcountDomain::Shared, block, count);
    }
    for &block in staged {
        add(RefcountDomain::Cow, block, 1);
    }
    records
}

#[test]
fn reference_counts_follow_a_count_per_block() {
    let mut mount = open(format(SMALL));
    let before = mount.counters.fdblocks;
    let mut random = Random(0x1357_9bdf_0246_8ace);
    let mut tp = begin(&mut mount, 8000);
    let args = AllocArgs::new(3000, 3000, Target::InGroup(1));
    let space = allocate(&mut tp, &args).unwrap().unwrap();
    tp.commit().unwrap();
    let first = mount.geo.fsblock_agbno(space.block);
    let mut counts: BTreeMap<u32, u32> = (first..first + 3000).map(|block| (block, 1)).collect();
    let mut staged = BTreeSet::new();
    for round in 0..6000u32 {
        let start = first + random.below32(2900);
        let len = 1 + random.below32(if round % 100 == 0 { 100 } else { 8 });
        let run = start..start + len;
        let operation = match random.below(8) {
            0..5 => RefcountOperation::Increase,
            5 | 6 => RefcountOperation::Decrease,
            _ if run.clone().all(|b| staged.contains(&b)) => RefcountOperation::FreeCow,
            _ => RefcountOperation::AllocCow,
        };
        let allowed = match operation {
            // A block that nobody uses is free, and stays out of the game.
            RefcountOperation::Increase | RefcountOperation::Decrease => {
                run.clone().all(|b| counts[&b] > 0 && !staged.contains(&b))
            }
            RefcountOperation::AllocCow => {
                run.clone().all(|b| counts[&b] == 1 && !staged.contains(&b))
            }
            RefcountOperation::FreeCow => true,
        };
        if !allowed {
            continue;
        }
        let block = mount.geo.fsblock(1, start);
        let mut tp = begin(&mut mount, 0);
        RefcountIntent { operation, start: block, len }.defer(&mut tp);
        tp.commit().unwrap();
        for block in run {
            match operation {
                RefcountOperation::Increase => *counts.entry(block).or_default() += 1,
                RefcountOperation::Decrease => *counts.entry(block).or_default() -= 1,
                RefcountOperation::AllocCow => assert!(staged.insert(block)),
                RefcountOperation::FreeCow => assert!(staged.remove(&block)),
            }
        }
        if round % 500 == 0 {
            let group = inspect(&mut mount, 1);
            assert_eq!(group.refcounts, expected_refcounts(&counts, &staged));
            compare_shared(&mut mount, &counts, start);
        }
    }
    let group = inspect(&mut mount, 1);
    assert_eq!(group.refcounts, expected_refcounts(&counts, &staged));
    let freed = counts.values().filter(|count| **count == 0).count();
    assert!(freed > 50, "{freed}");

    // Leftovers of copies go, and so do all other users, down to nothing.
    let mut tp = begin(&mut mount, 0);
    for &block in &staged {
        let start = tp.geo.fsblock(1, block);
        RmapIntent {
            operation: RmapOperation::Alloc,
            start,
            len: 1,
            owner: Owner::COW,
            unwritten: false,
            alone: false,
        }
        .defer(&mut tp);
    }
    tp.commit().unwrap();
    assert_eq!(refcount::recover_cow_leftovers(&mut mount).unwrap(), staged.len() as u64);
    for (&block, &count) in counts.iter().filter(|(block, _)| !staged.contains(block)) {
        for _ in 0..count {
            let start = mount.geo.fsblock(1, block);
            let mut tp = begin(&mut mount, 0);
            let operation = RefcountOperation::Decrease;
            RefcountIntent { operation, start, len: 1 }.defer(&mut tp);
            tp.commit().unwrap();
        }
    }
    assert_eq!(inspect(&mut mount, 1).refcounts, []);
    assert_eq!(reopen(mount).counters.fdblocks, before);
}

fn compare_shared(mount: &mut Mount, counts: &BTreeMap<u32, u32>, start: u32) {
    let shared = |block: u32| counts.get(&block).is_some_and(|count| *count >= 2);
    let from = (start..start + 50).find(|block| shared(*block));
    let expected = from.map(|from| {
        let to = (from..start + 50).find(|block| !shared(*block)).unwrap_or(start + 50);
        (mount.geo.fsblock(1, from), to - from)
    });
    let block: FsBlock = mount.geo.fsblock(1, start);
    assert_eq!(refcount::find_shared(mount, block, 50).unwrap(), expected);
}
