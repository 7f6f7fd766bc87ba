//! The long form with its root in an inode; the trees of allocation groups are tested in
//! [`crate::space`].

use std::collections::BTreeMap;

use super::{Cursor, block, check};
use crate::format::extent::Extent;
use crate::format::geometry::{Fork, FsBlock};
use crate::inode::bmbt::BmapTree;
use crate::inode::fork::BtreeRoot;
use crate::inode::{InodeFork, InodeRef};
use crate::mount::Mount;
use crate::space::Owner;
use crate::space::alloc::{AllocArgs, Target, allocate};
use crate::space::testing::{Random, Shape, format, open};
use crate::transaction::Transaction;

fn begin(mount: &mut Mount) -> Transaction<'_> {
    let reservation = mount.reservations.itruncate;
    Transaction::begin(mount, reservation, 50).unwrap()
}

/// The root directory with an empty extent tree: one leaf and a root that names it.
fn empty_tree(mount: &mut Mount) -> InodeRef {
    let inode = mount.iget(mount.geo.root_ino.0).unwrap();
    let ino = mount.inode(inode).ino;
    let mut tp = begin(mount);
    let owner = Owner::extent_btree(ino, Fork::Data);
    let args = AllocArgs { owner, ..AllocArgs::new(1, 1, Target::InGroup(0)) };
    let leaf = allocate(&mut tp, &args).unwrap().unwrap().block;
    let tree = BmapTree::new(&tp, inode, Fork::Data);
    block::new_block(&mut tp, &tree, leaf.0, 0, (None, None)).unwrap();
    let root = BtreeRoot { level: 1, children: vec![(0, leaf)] };
    tp.inode_mut(inode).data = InodeFork::Btree { root, map: None, count: 0 };
    tp.commit().unwrap();
    inode
}

fn extent(offset: u64, len: u64) -> Extent {
    Extent { offset, start: FsBlock(2000 + offset % 1000), len, unwritten: false }
}

/// Walks the tree and compares it with the model; returns height and blocks.
fn compare(mount: &mut Mount, inode: InodeRef, model: &BTreeMap<u64, u64>) -> (u32, u64) {
    let tree = BmapTree::new(mount, inode, Fork::Data);
    let mut found = vec![];
    let mut keep = |_: &mut Mount, record: &Extent| {
        found.push(*record);
        Ok(())
    };
    let walked = check::walk(mount, tree, &mut keep).unwrap();
    let expected: Vec<_> = model.iter().map(|(&offset, &len)| extent(offset, len)).collect();
    assert_eq!(found, expected);
    (walked.height, walked.blocks)
}

fn lookups_agree(mount: &mut Mount, inode: InodeRef, model: &BTreeMap<u64, u64>, at: u64) {
    let mut cursor = Cursor::new(mount, BmapTree::new(mount, inode, Fork::Data));
    let expect = |entry: Option<(&u64, &u64)>| entry.map(|(&offset, &len)| extent(offset, len));
    let le = cursor.lookup_le(mount, &at).unwrap();
    assert_eq!(cursor.get(mount).unwrap(), expect(model.range(..=at).next_back()));
    assert_eq!(le, cursor.get(mount).unwrap().is_some());
    let ge = cursor.lookup_ge(mount, &at).unwrap();
    assert_eq!(cursor.get(mount).unwrap(), expect(model.range(at..).next()));
    assert_eq!(ge, cursor.get(mount).unwrap().is_some());
    assert_eq!(cursor.lookup_eq(mount, &at).unwrap(), model.contains_key(&at));
}

#[test]
fn a_tree_with_its_root_in_an_inode_grows_and_shrinks() {
    let shape = Shape { megabytes: 64, block: 1024, groups: 2, trees: true };
    let mut mount = open(format(shape));
    let inode = empty_tree(&mut mount);
    let mut random = Random(0xdead_beef_cafe_f00d);
    let mut model: BTreeMap<u64, u64> = BTreeMap::new();
    let mut highest = 0;
    for round in 0..24_000u32 {
        let growing = round / 6000 % 2 == 0;
        let offset = 3 * random.below(6000);
        let mut tp = begin(&mut mount);
        let mut cursor = Cursor::new(&tp, BmapTree::new(&tp, inode, Fork::Data));
        let exists = cursor.lookup_eq(&mut tp, &offset).unwrap();
        assert_eq!(exists, model.contains_key(&offset));
        let len = 1 + random.below(3);
        match (exists, random.below(10) < if growing { 8 } else { 1 }) {
            (false, true) => {
                cursor.insert(&mut tp, &extent(offset, len)).unwrap();
                assert_eq!(cursor.get(&tp).unwrap(), Some(extent(offset, len)));
                model.insert(offset, len);
            }
            (true, true) => {
                cursor.update(&mut tp, &extent(offset, len)).unwrap();
                model.insert(offset, len);
            }
            (true, false) => {
                cursor.delete(&mut tp).unwrap();
                model.remove(&offset);
                let before = cursor.decrement(&mut tp).unwrap();
                let expected = model.range(..offset).next_back();
                assert_eq!(before, expected.is_some());
                let expected = expected.map(|(&offset, &len)| extent(offset, len));
                assert_eq!(cursor.get(&tp).unwrap(), expected);
            }
            (false, false) => {}
        }
        tp.commit().unwrap();
        if round % 500 == 0 {
            highest = highest.max(compare(&mut mount, inode, &model).0);
            for _ in 0..20 {
                lookups_agree(&mut mount, inode, &model, random.below(18_100));
            }
        }
    }
    assert!(highest >= 3, "{highest}");
    let offsets: Vec<u64> = model.keys().copied().collect();
    for offset in offsets {
        let mut tp = begin(&mut mount);
        let mut cursor = Cursor::new(&tp, BmapTree::new(&tp, inode, Fork::Data));
        assert!(cursor.lookup_eq(&mut tp, &offset).unwrap());
        cursor.delete(&mut tp).unwrap();
        tp.commit().unwrap();
    }
    // An empty leaf below the root in the inode: what began it all.
    assert_eq!(compare(&mut mount, inode, &BTreeMap::new()), (2, 1));
}
