//! Random changes of attributes in memory, against a plain map.

use super::change::{self, Change, Stage};
use super::leaf::{Entry, Leaf, Value};
use super::lookup::{self, Form, Key};
use crate::dir::hash_tree;
use crate::dir::store::{Store, memory::MemoryStore};
use crate::format::attr::AttrFlags;
use crate::transaction::Step;
use std::collections::BTreeMap;

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

type Model = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

fn key_of(name: &(u8, Vec<u8>)) -> Key<'_> {
    let hash = crate::format::attr::hash(&name.1);
    Key { hash, namespace: AttrFlags::from_bits_retain(name.0), name: &name.1, value: None }
}

/// Runs a change; between steps nothing but the old or the new state may be visible.
fn run(store: &mut MemoryStore, key: Key<'_>, value: Option<&[u8]>, keep_old: bool) {
    let change = Change { key, value, keep_old, keep_fork: false };
    let before = lookup::get(store, &key).unwrap();
    let mut stage = Stage::Start;
    for _ in 0..1000 {
        if change::step(store, &change, &mut stage).unwrap() == Step::Done {
            assert_eq!(lookup::get(store, &key).unwrap().as_deref(), value);
            return;
        }
        let now = lookup::get(store, &key).unwrap();
        let fine = now == before || now.as_deref() == value || now.is_none() && !keep_old;
        assert!(fine, "neither old nor new");
    }
    panic!("no end");
}

fn check(store: &mut MemoryStore, model: &Model) {
    let mut listed = Model::new();
    for stored in lookup::list(store).unwrap() {
        let value = match stored.value {
            Value::Local(value) => value,
            Value::Remote { block, len } => {
                super::store::ValueRead::read_value(store, block.into(), len).unwrap()
            }
        };
        assert!(listed.insert((stored.flags.bits(), stored.name), value).is_none());
    }
    assert_eq!(&listed, model);
    for (name, value) in model {
        assert_eq!(lookup::get(store, &key_of(name)).unwrap().as_ref(), Some(value));
    }
    if lookup::form(store).unwrap() == Form::Tree {
        check_tree(store);
    }
}

fn check_tree(store: &mut MemoryStore) {
    let mut place: Option<(_, Leaf)> = Some(hash_tree::find(store, 0).unwrap());
    let mut last = 0;
    let mut back = 0;
    while let Some((path, leaf)) = place {
        assert_eq!(leaf.links.back, back);
        assert!(!leaf.entries.is_empty());
        for entry in &leaf.entries {
            assert!(entry.hash >= last && !entry.is_incomplete());
            last = entry.hash;
        }
        back = path.leaf as u32;
        place = hash_tree::next(store, &path).unwrap();
    }
}

fn random_changes(block_size: usize, seed: u64, most: usize, rounds: usize, keep_old: bool) {
    let mut random = Random(seed);
    let mut store = MemoryStore::attributes(block_size, 150);
    store.inline = None;
    let mut model = Model::new();
    let mut growing = true;
    for round in 0..rounds {
        if model.len() >= most {
            growing = false;
        } else if model.is_empty() {
            growing = true;
        }
        let add = random.below(10) < if growing { 8 } else { 2 };
        if add || model.is_empty() {
            let longest = if random.below(5) == 0 { 255 } else { 3 };
            let len = 1 + random.below(longest);
            let name: Vec<u8> = (0..len).map(|_| b'a' + random.below(4) as u8).collect();
            let value_len = match random.below(12) {
                0 => random.below(65536),
                1..=3 => random.below(block_size as u64),
                _ => random.below(60),
            };
            let value: Vec<u8> = (0..value_len).map(|i| (i as u8) ^ round as u8).collect();
            let name = ([0, 2, 4][random.below(3) as usize], name);
            run(&mut store, key_of(&name), Some(&value), keep_old);
            model.insert(name, value);
        } else {
            let index = random.below(model.len() as u64) as usize;
            let name = model.keys().nth(index).unwrap().clone();
            run(&mut store, key_of(&name), None, keep_old);
            model.remove(&name);
        }
        if round % 100 == 0 {
            check(&mut store, &model);
        }
    }
    check(&mut store, &model);
    for name in model.keys() {
        run(&mut store, key_of(name), None, keep_old);
    }
    assert!(store.blocks.is_empty() && store.inline().is_none());
}

#[test]
fn a_few_attributes() {
    for seed in 0..20 {
        random_changes(4096, seed, 6, 150, seed % 2 == 0);
    }
}

#[test]
fn attributes_of_every_format() {
    random_changes(1024, 1, 150, 800, false);
    random_changes(1024, 2, 150, 800, true);
    random_changes(4096, 3, 150, 800, false);
    random_changes(65536, 4, 60, 300, true);
}

/// A crash loses the stage; the change begins anew and must end as if nothing happened.
#[test]
fn interrupted_changes_can_begin_anew() {
    let mut random = Random(5);
    for round in 0..300 {
        let mut store = MemoryStore::attributes(1024, 150);
        store.inline = None;
        let name = (0, b"name".to_vec());
        let size = |random: &mut Random| {
            vec![random.below(256) as u8; [10, 200, 700, 5000, 20000][random.below(5) as usize]]
        };
        let old = size(&mut random);
        run(&mut store, key_of(&name), Some(&old), false);
        let new = size(&mut random);
        let value = (round % 3 != 0).then_some(&new[..]);
        let change = Change { key: key_of(&name), value, keep_old: false, keep_fork: false };
        let mut stage = Stage::Start;
        for _ in 0..random.below(8) {
            if change::step(&mut store, &change, &mut stage).unwrap() == Step::Done {
                break;
            }
        }
        run(&mut store, key_of(&name), value, false);
        let listed = lookup::list(&mut store).unwrap();
        assert_eq!(listed.len(), usize::from(value.is_some()));
    }
}

#[test]
fn damage_is_an_error_at_worst() {
    let mut random = Random(8);
    let mut original = MemoryStore::attributes(1024, 150);
    original.inline = None;
    for i in 0..200 {
        let name = (0, format!("attribute {i}").into_bytes());
        let len = random.below(300) as usize;
        run(&mut original, key_of(&name), Some(&vec![7; len]), false);
    }
    for _ in 0..800 {
        let mut store = MemoryStore { inline: None, blocks: original.blocks.clone(), ..original };
        store.damaged = true;
        for _ in 0..1 + random.below(4) {
            let block = random.below(store.blocks.len() as u64) as usize;
            let bytes = &mut store.blocks.values_mut().nth(block).unwrap().1;
            let at = if random.below(2) == 0 { random.below(200) } else { random.below(1024) };
            bytes[at as usize] = [0, 0xff, random.below(256) as u8][random.below(3) as usize];
        }
        let _ = lookup::list(&mut store);
        for i in 0..20 {
            let name = (0, format!("attribute {}", random.below(200)).into_bytes());
            let value = (i % 2 == 0).then_some(&[1u8; 200][..]);
            let change = Change { key: key_of(&name), value, keep_old: false, keep_fork: false };
            let _ = change::step(&mut store, &change, &mut Stage::Start);
        }
    }
}

/// What an earlier crash left of an attribute is in nobody's way.
#[test]
fn leftovers_do_not_count() {
    let name = (0, b"name".to_vec());
    for (round, keep_old) in [false, true, false, true].into_iter().enumerate() {
        for new in [None, Some(vec![1; 20]), Some(vec![2; 5000])] {
            for old in [None, Some(vec![3; 700]), Some(vec![4; 9000])] {
                let mut store = MemoryStore::attributes(1024, 150);
                store.inline = None;
                for i in 0..5 {
                    let other = (0, format!("other {i}").into_bytes());
                    run(&mut store, key_of(&other), Some(&[9; 100]), false);
                }
                if let Some(old) = &old {
                    run(&mut store, key_of(&name), Some(old), false);
                }
                let (path, mut leaf): (_, Leaf) =
                    hash_tree::find(&mut store, key_of(&name).hash).unwrap();
                let value = match round {
                    0 | 1 => Value::Remote { block: 0, len: 0 },
                    _ => Value::Local(vec![5; 30]),
                };
                let flags = AttrFlags::INCOMPLETE;
                leaf.insert(Entry::new(key_of(&name).hash, flags, &name.1, value));
                hash_tree::update(&mut store, &path, leaf).unwrap();
                assert_eq!(lookup::get(&mut store, &key_of(&name)).unwrap(), old);
                run(&mut store, key_of(&name), new.as_deref(), keep_old);
                let listed = lookup::list(&mut store).unwrap();
                assert_eq!(listed.len(), 5 + usize::from(new.is_some()));
            }
        }
    }
}
