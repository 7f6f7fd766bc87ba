//! Random changes of a fork's extents against a plain list of blocks.

use std::collections::BTreeMap;

use super::edit::{self, ReverseMapping};
use super::{BmapIntent, BmapOperation, extents};
use crate::btree::check;
use crate::file::namespace::{NewFile, create};
use crate::format::geometry::FsBlock;
use crate::inode::bmbt::BmapTree;
use crate::inode::extent_map::Extent;
use crate::inode::{InodeFork, InodeRef, WhichFork};
use crate::mount::Mount;
use crate::space::testing::{self, Random, Shape};
use crate::transaction::Transaction;

const DATA: WhichFork = WhichFork::Data;

fn small_filesystem() -> (Mount, InodeRef) {
    let shape = Shape { megabytes: 64, block: 1024, groups: 2, trees: false };
    let mut mount = testing::open(testing::format(shape));
    let root = mount.iget(mount.geo.root_ino.0).unwrap();
    let new = NewFile { permissions: 0o644, uid: 0, gid: 0 };
    let inode = create(&mut mount, root, b"file", &new).unwrap();
    (mount, inode)
}

/// What each mapped file block is mapped to.
type Model = BTreeMap<u64, (u64, bool)>;

/// Map in memory, btree and model agree; records are as long as they can be.
fn assert_same(mount: &mut Mount, inode: InodeRef, model: &Model) {
    let list: Vec<Extent> = extents(mount, inode, DATA).unwrap().iter().collect();
    let blocks = list
        .iter()
        .flat_map(|e| (0..e.len).map(move |i| (e.offset + i, (e.start.0 + i, e.unwritten))));
    assert!(blocks.eq(model.iter().map(|(&block, &target)| (block, target))));
    assert!(list.windows(2).all(|pair| !pair[0].joins(&pair[1])));
    if let InodeFork::Btree { .. } = mount.inode(inode).data {
        let mut found = Vec::new();
        let tree = BmapTree::new(mount, inode, DATA);
        check::walk(mount, tree, |_, record| {
            found.push(*record);
            Ok(())
        })
        .unwrap();
        assert_eq!(found, list);
    }
}

/// One mapped run of blocks with equal state and consecutive targets, cut at random.
fn some_part(model: &Model, random: &mut Random) -> Option<Extent> {
    let wanted = random.below(3000);
    let (&offset, &(start, unwritten)) = model.range(wanted..).next()?;
    let most = random.below(20) + 1;
    let len = (0..most)
        .take_while(|i| model.get(&(offset + i)) == Some(&(start + i, unwritten)))
        .count() as u64;
    Some(Extent { offset, start: FsBlock(start), len, unwritten })
}

fn some_hole(model: &Model, random: &mut Random) -> Extent {
    loop {
        let offset = random.below(3000);
        // Mostly consecutive blocks, so that neighbours can be merged.
        let start = 5000 + offset + if random.below(4) == 0 { 40 } else { 0 };
        let most = random.below(20) + 1;
        let len = (0..most).take_while(|i| !model.contains_key(&(offset + i))).count() as u64;
        if len > 0 {
            return Extent { offset, start: FsBlock(start), len, unwritten: random.below(2) == 0 };
        }
    }
}

#[test]
fn random_edits_agree_with_a_list_of_blocks() {
    let (mut mount, inode) = small_filesystem();
    let mut model = Model::new();
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut most = 0;
    for turn in 0..4000u64 {
        // First the file fills, then it empties.
        let filling = turn < 2000;
        let reservation = mount.reservations.write;
        let mut tp = Transaction::begin(&mut mount, reservation, 20).unwrap();
        let kind = random.below(10);
        let part = some_part(&model, &mut random);
        match part {
            Some(part) if kind < 3 => {
                edit::convert(&mut tp, inode, DATA, part, !part.unwritten).unwrap();
                for i in 0..part.len {
                    model.insert(part.offset + i, (part.start.0 + i, !part.unwritten));
                }
            }
            Some(part) if (kind < 5) == filling => {
                edit::remove(&mut tp, inode, DATA, part, ReverseMapping::Unchanged).unwrap();
                (0..part.len).for_each(|i| _ = model.remove(&(part.offset + i)));
            }
            _ => {
                let new = some_hole(&model, &mut random);
                edit::add(&mut tp, inode, DATA, new, ReverseMapping::Unchanged).unwrap();
                for i in 0..new.len {
                    model.insert(new.offset + i, (new.start.0 + i, new.unwritten));
                }
            }
        }
        tp.commit().unwrap();
        if turn % 50 == 0 {
            assert_same(&mut mount, inode, &model);
        }
        most = most.max(mount.inode(inode).data.nextents());
    }
    assert!(most > 200, "{most}");
    while !model.is_empty() {
        let Some(part) = some_part(&model, &mut random) else { continue };
        let reservation = mount.reservations.write;
        let mut tp = Transaction::begin(&mut mount, reservation, 20).unwrap();
        tp.defer(BmapIntent::new(
            &tp,
            inode,
            DATA,
            BmapOperation::Unmap,
            Extent { offset: part.offset, len: 100, ..part },
        ));
        tp.commit().unwrap();
        model.retain(|block, _| !(part.offset..part.offset + 100).contains(block));
        assert_same(&mut mount, inode, &model);
    }
    assert_eq!(mount.inode(inode).data.nextents(), 0);
}

#[test]
fn what_is_mapped_cannot_be_mapped_again() {
    let (mut mount, inode) = small_filesystem();
    let first = Extent { offset: 10, start: FsBlock(5000), len: 10, unwritten: false };
    for (offset, len, fits) in
        [(5, 6, false), (19, 1, false), (12, 2, false), (5, 5, true), (20, 1, true)]
    {
        let reservation = mount.reservations.write;
        let mut tp = Transaction::begin(&mut mount, reservation, 20).unwrap();
        if extents(&tp, inode, DATA).unwrap().containing(first.offset).is_none() {
            edit::add(&mut tp, inode, DATA, first, ReverseMapping::Unchanged).unwrap();
        }
        let new = Extent { offset, start: FsBlock(6000), len, unwritten: false };
        let added = edit::add(&mut tp, inode, DATA, new, ReverseMapping::Unchanged);
        assert_eq!(added.is_ok(), fits, "{offset} {len}");
        tp.commit().unwrap();
    }
}
