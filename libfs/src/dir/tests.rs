//! Random changes of directories in memory, against a plain map.

use super::change::{self, Target};
use super::lookup::{self, Form};
use super::store::{Store, memory::MemoryStore};
use super::{block, data, free_index::FreeIndex, hash_tree, leaf};
use crate::buffer::BufferKind;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// A small generator of reproducible numbers (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % limit
    }
}

type Model = BTreeMap<Vec<u8>, Target>;

fn new_directory(block_size: usize, dir_block_size: usize) -> MemoryStore {
    let mut store = MemoryStore::directory(block_size, dir_block_size, 336);
    change::init(&mut store, 99).unwrap();
    store
}

fn check(store: &mut MemoryStore, model: &Model) {
    let mut listed = Model::new();
    let mut last = None;
    lookup::for_each(store, |entry| {
        assert!(last < Some(entry.cookie));
        last = Some(entry.cookie);
        assert!(listed.insert(entry.name, Target { ino: entry.ino, ftype: entry.ftype }).is_none());
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    assert_eq!(listed.remove(&b"."[..]).unwrap().ino, 128);
    assert_eq!(listed.remove(&b".."[..]).unwrap().ino, 99);
    assert_eq!(&listed, model);
    for (name, target) in model {
        let found = lookup::find(store, name).unwrap().expect("listed but not found");
        assert_eq!((found.ino, found.ftype), (target.ino, target.ftype));
    }
    check_structure(store, model.len() + 2);
}

/// What xfs_repair checks of leaf entries, free space and sizes.
fn check_structure(store: &mut MemoryStore, entries: usize) {
    let params = store.params();
    let form = lookup::form(store).unwrap();
    if form == Form::Short {
        assert_eq!(store.size as usize, store.inline.as_ref().unwrap().len());
        return;
    }
    let end = store.mapped_end_before(params.tree_root).unwrap();
    assert_eq!(store.size, end * (params.block_size as u64 / params.fs_blocks));
    let mut bests: BTreeMap<u32, u16> = BTreeMap::new();
    for (bno, (_, bytes)) in store.blocks.range(..params.tree_root) {
        let mut copy = bytes.clone();
        let end = match form {
            Form::Block => {
                block::data_end(params.block_size, block::decode_leaf(bytes).unwrap().len())
            }
            _ => params.block_size,
        };
        data::update_best(&mut copy, params.layout(), end).unwrap();
        assert_eq!(&copy, bytes, "best free is up to date");
        assert!(store.full || !data::is_empty(bytes, params.layout()));
        bests.insert((bno / params.fs_blocks) as u32, data::best_free(bytes));
    }
    let (live, recorded) = match form {
        Form::Short => unreachable!(),
        Form::Block => (block::decode_leaf(&store.blocks[&0].1).unwrap(), bests.clone()),
        Form::Leaf => {
            let single = lookup::read_single_leaf(store).unwrap();
            (single.entries, numbered(0, &single.bests))
        }
        Form::Node => (tree_entries(store), recorded_bests(store)),
    };
    assert_eq!(recorded, bests);
    assert!(live.is_sorted_by_key(|entry| entry.hash));
    assert_eq!(live.len() - leaf::stale_count(&live), entries);
}

fn numbered(first: u32, bests: &[u16]) -> BTreeMap<u32, u16> {
    let existing = (first..).zip(bests.iter().copied());
    existing.filter(|&(_, best)| best != leaf::NO_BLOCK).collect()
}

fn recorded_bests(store: &MemoryStore) -> BTreeMap<u32, u16> {
    let mut all = BTreeMap::new();
    for (bno, (kind, bytes)) in store.blocks.range(store.params.free_start..) {
        assert_eq!(*kind, BufferKind::DirFree);
        let free = FreeIndex::decode(bytes).unwrap();
        let place = (bno - store.params.free_start) / store.params.fs_blocks;
        assert_eq!(free.first as u64, place * FreeIndex::capacity(bytes.len()) as u64);
        assert!(store.full || free.used() > 0);
        all.extend(numbered(free.first, &free.bests));
    }
    all
}

/// All leaf entries by walking the tree; the links must say the same.
fn tree_entries(store: &mut MemoryStore) -> Vec<leaf::LeafEntry> {
    let mut all = Vec::new();
    let mut back = 0;
    let mut forw = None;
    let mut place: Option<(_, leaf::Leaf)> = Some(hash_tree::find(store, 0).unwrap());
    while let Some((path, leaf)) = place {
        assert_eq!(leaf.links.back, back);
        if let Some(forw) = forw {
            assert_eq!(path.leaf, u64::from(forw));
        }
        back = path.leaf as u32;
        forw = Some(leaf.links.forw);
        all.extend(leaf.entries);
        if path.is_root() {
            back = 0;
            break;
        }
        place = hash_tree::next(store, &path).unwrap();
    }
    assert_eq!(forw, Some(0));
    let _ = back;
    all
}

fn random_name(random: &mut Random, longest: u64) -> Vec<u8> {
    let len = 1 + random.below(longest);
    (0..len).map(|_| b'a' + random.below(26) as u8).collect()
}

fn random_changes(block_size: usize, dir_block_size: usize, seed: u64, most: usize, rounds: usize) {
    let store = new_directory(block_size, dir_block_size);
    let mut store = random_changes_of(store, seed, most, rounds);
    assert_eq!(lookup::form(&mut store).unwrap(), Form::Short);
}

/// Changes a directory, then empties it.
fn random_changes_of(mut store: MemoryStore, seed: u64, most: usize, rounds: usize) -> MemoryStore {
    let mut random = Random(seed);
    let mut model = Model::new();
    let mut growing = true;
    for round in 0..rounds {
        if model.len() >= most {
            growing = false;
        } else if model.is_empty() {
            growing = true;
        }
        let add = random.below(10) < if growing { 8 } else { 2 };
        let longest = if random.below(4) == 0 { 255 } else { 12 };
        if add || model.is_empty() {
            let name = random_name(&mut random, longest);
            let large = random.below(20) == 0;
            let ino = 1 + random.below(1000) + if large { 1 << 33 } else { 0 };
            let target = Target { ino, ftype: 1 + random.below(7) as u8 };
            if let Some(known) = model.get(&name) {
                let old = change::replace(&mut store, &name, target).unwrap();
                assert_eq!(old.as_ref(), Some(known));
            } else {
                assert_eq!(lookup::find(&mut store, &name).unwrap(), None);
                change::add(&mut store, &name, target).unwrap();
            }
            model.insert(name, target);
        } else {
            let index = random.below(model.len() as u64) as usize;
            let name = model.keys().nth(index).unwrap().clone();
            let removed = change::remove(&mut store, &name).unwrap();
            assert_eq!(removed, model.remove(&name));
        }
        if round % 500 == 0 || model.len() < 3 && round % 10 == 0 {
            check(&mut store, &model);
        }
    }
    check(&mut store, &model);
    for name in model.keys() {
        change::remove(&mut store, name).unwrap().unwrap();
    }
    check(&mut store, &Model::new());
    store
}

#[test]
fn directories_shrink_as_far_as_they_can() {
    let mut store = new_directory(1024, 1024);
    store.full = true;
    random_changes_of(store, 9, 400, 2000);
}

#[test]
fn small_directories() {
    for seed in 0..10 {
        random_changes(4096, 4096, seed, 30, 200);
    }
}

#[test]
fn directories_of_every_format() {
    random_changes(1024, 1024, 1, 500, 2500);
    random_changes(4096, 4096, 2, 800, 2000);
    random_changes(4096, 8192, 3, 800, 1500);
    random_changes(1024, 65536, 4, 300, 600);
}

#[test]
fn many_entries_make_a_deep_tree() {
    let mut store = new_directory(512, 512);
    let mut model = Model::new();
    for i in 0..6_000u64 {
        let name = format!("file number {i}").into_bytes();
        let target = Target { ino: 1000 + i, ftype: 1 };
        change::add(&mut store, &name, target).unwrap();
        model.insert(name, target);
    }
    check(&mut store, &model);
    let names: Vec<_> = model.keys().cloned().collect();
    let mut random = Random(7);
    let mut order: Vec<usize> = (0..names.len()).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, random.below(i as u64 + 1) as usize);
    }
    for (count, index) in order.into_iter().enumerate() {
        change::remove(&mut store, &names[index]).unwrap().unwrap();
        model.remove(&names[index]);
        if count % 1500 == 0 {
            check(&mut store, &model);
        }
    }
    assert_eq!(lookup::form(&mut store).unwrap(), Form::Short);
}

#[test]
fn equal_hashes_are_told_apart() {
    let mut store = new_directory(1024, 1024);
    let mut model = Model::new();
    // Swapping these two bytes for those two keeps the hash: 'a' << 7 ^ 'x' and so on.
    for i in 0..600u32 {
        let mut name = format!("{i:06}-").into_bytes();
        // Cancel the counter's contribution by appending what makes the hash constant.
        let hash = crate::format::dir::hash_name(&name).rotate_left(35);
        let fix = hash ^ 0x5a5a_5a5a;
        let mut tail = [0u8; 5];
        for (k, byte) in tail.iter_mut().enumerate() {
            *byte = (fix >> (28 - 7 * k) & 0x7f) as u8;
        }
        name.extend(tail);
        let target = Target { ino: 1 + u64::from(i), ftype: 1 };
        if name.contains(&0) || name.contains(&b'/') {
            continue;
        }
        change::add(&mut store, &name, target).unwrap();
        model.insert(name, target);
    }
    let hashes: std::collections::BTreeSet<u32> =
        model.keys().map(|name| crate::format::dir::hash_name(name)).collect();
    assert_eq!(hashes.len(), 1, "the test's own arithmetic");
    assert!(model.len() > 200);
    check(&mut store, &model);
    let names: Vec<_> = model.keys().cloned().collect();
    for (i, name) in names.iter().enumerate() {
        change::remove(&mut store, name).unwrap().unwrap();
        model.remove(name);
        if i % 50 == 0 {
            check(&mut store, &model);
        }
    }
}

/// Directories whose blocks say anything: errors, but no panic and no endless walk.
#[test]
fn damage_is_an_error_at_worst() {
    let mut random = Random(11);
    let mut originals = Vec::new();
    for count in [3, 40, 300, 3000] {
        let mut store = new_directory(1024, 1024);
        for i in 0..count {
            let name = format!("file number {i}").into_bytes();
            change::add(&mut store, &name, Target { ino: 1000 + i, ftype: 1 }).unwrap();
        }
        originals.push(store);
    }
    for round in 0..1500 {
        let original = &originals[round % originals.len()];
        let mut store = MemoryStore {
            inline: original.inline.clone(),
            blocks: original.blocks.clone(),
            ..*original
        };
        store.damaged = true;
        for _ in 0..1 + random.below(4) {
            damage(&mut store, &mut random);
        }
        let name = format!("file number {}", random.below(300)).into_bytes();
        let _ = lookup::find(&mut store, &name);
        let _ = lookup::for_each(&mut store, |_| Ok(ControlFlow::Continue(())));
        let _ = change::has_room(&mut store, b"another", 336);
        let _ = change::remove(&mut store, &name);
        let _ = change::add(&mut store, &name, Target { ino: 7, ftype: 1 });
        let _ = change::replace(&mut store, &name, Target { ino: 1 << 40, ftype: 1 });
        for i in 0..20 {
            let name = format!("file number {}", random.below(300) + i).into_bytes();
            let _ = change::remove(&mut store, &name);
        }
    }
}

/// Changes a few bytes of a block, or of what is inline: at the front, where the counts are,
/// at the back or anywhere; small values or any.
fn damage(store: &mut MemoryStore, random: &mut Random) {
    let index = random.below(store.blocks.len().max(1) as u64) as usize;
    let bytes = match &mut store.inline {
        Some(inline) => inline,
        None => &mut store.blocks.values_mut().nth(index).unwrap().1,
    };
    let len = bytes.len() as u64;
    let at = match random.below(3) {
        0 => random.below(len.min(80)),
        1 => len - 1 - random.below(len.min(40)),
        _ => random.below(len),
    } as usize;
    bytes[at] = match random.below(3) {
        0 => random.below(4) as u8,
        1 => 0xff,
        _ => random.below(256) as u8,
    };
}

#[test]
fn room_is_found_where_it_is() {
    let mut random = Random(3);
    let mut store = new_directory(1024, 1024);
    for i in 0..2000u64 {
        let name = random_name(&mut random, 40);
        if lookup::find(&mut store, &name).unwrap().is_some() {
            continue;
        }
        let room = change::has_room(&mut store, &name, 336).unwrap();
        let before: Vec<u64> = store.blocks.keys().copied().collect();
        let inline = store.inline.is_some();
        change::add(&mut store, &name, Target { ino: i, ftype: 1 }).unwrap();
        let after: Vec<u64> = store.blocks.keys().copied().collect();
        let took = before != after || inline != store.inline.is_some();
        assert!(!(room && took), "entry {i} took a block");
    }
}
