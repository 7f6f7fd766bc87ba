//! Clones in memory: contents, sharing and reference counts against simple expectations.

use super::{Dedupe, RemapRequest, clone_range, copy_range, dedupe_range};
use crate::Errno;
use crate::file::namespace::{NewFile, create};
use crate::file::{read, truncate, write};
use crate::format::inode::DiFlags2;
use crate::inode::bmap::{self, Target, mapping_at};
use crate::inode::{InodeRef, WhichFork};
use crate::mount::Mount;
use crate::space::refcount::find_shared;
use crate::space::testing::{self, Random, Shape};

const BLOCK: u64 = 1024;

fn filesystem() -> (Mount, InodeRef, InodeRef) {
    let shape = Shape { megabytes: 64, block: BLOCK as u32, groups: 2, trees: true };
    let mut mount = testing::open(testing::format(shape));
    let [a, b] = [b"a", b"b"].map(|name| {
        let root = mount.iget(mount.geo.root_ino.0).unwrap();
        let new = NewFile { permissions: 0o644, uid: 0, gid: 0 };
        create(&mut mount, root, name, &new).unwrap()
    });
    (mount, a, b)
}

fn contents(mount: &mut Mount, inode: InodeRef) -> Vec<u8> {
    let mut data = vec![0; mount.inode(inode).core.size as usize];
    assert_eq!(read(mount, inode, 0, &mut data).unwrap(), data.len());
    data
}

fn whole(source: InodeRef, target: InodeRef) -> RemapRequest {
    RemapRequest { source, source_offset: 0, target, target_offset: 0, length: 0 }
}

/// Whether the block behind file block `at` is shared.
fn is_shared(mount: &mut Mount, inode: InodeRef, at: u64) -> bool {
    let map = bmap::extents(mount, inode, WhichFork::Data).unwrap();
    let Target::Written(start) = mapping_at(map, at, at + 1).target else { return false };
    find_shared(mount, start, 1).unwrap().is_some()
}

#[test]
fn a_clone_of_many_extents_shares_them_all() {
    let (mut mount, a, b) = filesystem();
    for i in 0..500 {
        write(&mut mount, a, 2 * i * BLOCK, &[i as u8 | 1; BLOCK as usize]).unwrap();
    }
    truncate(&mut mount, a, 999 * BLOCK + 17).unwrap();
    let free = mount.counters.fdblocks;
    clone_range(&mut mount, &whole(a, b)).unwrap();
    assert_eq!(contents(&mut mount, a), contents(&mut mount, b));
    assert!((0..500).all(|i| is_shared(&mut mount, b, 2 * i)));
    assert!(free - mount.counters.fdblocks < 40, "only trees take blocks");
    for inode in [a, b] {
        assert!(mount.inode(inode).core.flags2.contains(DiFlags2::REFLINK));
    }
    truncate(&mut mount, a, 0).unwrap();
    assert!(!(0..500).any(|i| is_shared(&mut mount, b, 2 * i)));
    mount.unmount().unwrap();
}

#[test]
fn what_the_target_had_is_freed_or_kept() {
    let (mut mount, a, b) = filesystem();
    write(&mut mount, a, 4 * BLOCK, &[1; 4 * BLOCK as usize]).unwrap();
    write(&mut mount, b, 0, &[2; 10 * BLOCK as usize]).unwrap();
    let request = RemapRequest { length: 6 * BLOCK, ..whole(a, b) };
    clone_range(&mut mount, &request).unwrap();
    let mut expected = vec![2; 10 * BLOCK as usize];
    expected[..4 * BLOCK as usize].fill(0);
    expected[4 * BLOCK as usize..6 * BLOCK as usize].fill(1);
    assert_eq!(contents(&mut mount, b), expected);
    assert_eq!(mount.inode(b).core.nblocks, 6);
    let within = RemapRequest { source: b, source_offset: 4 * BLOCK, length: 2 * BLOCK, ..request };
    clone_range(&mut mount, &within).unwrap();
    expected[..2 * BLOCK as usize].fill(1);
    assert_eq!(contents(&mut mount, b), expected);
    mount.unmount().unwrap();
}

#[test]
fn only_equal_contents_are_deduplicated() {
    let (mut mount, a, b) = filesystem();
    let data: Vec<u8> = (0..5 * BLOCK + 100).map(|i| (i / 300) as u8).collect();
    write(&mut mount, a, 0, &data).unwrap();
    write(&mut mount, b, 0, &data).unwrap();
    write(&mut mount, b, 2 * BLOCK + 5, b"x").unwrap();
    let request = RemapRequest { length: data.len() as u64, ..whole(a, b) };
    assert_eq!(dedupe_range(&mut mount, &request).unwrap(), Dedupe::Differs);
    assert!(!is_shared(&mut mount, a, 0));
    let (at, length) = (3 * BLOCK, 2 * BLOCK + 100);
    let request = RemapRequest { source_offset: at, target_offset: at, length, ..request };
    assert_eq!(dedupe_range(&mut mount, &request).unwrap(), Dedupe::Same(length));
    assert!((3..6).all(|block| is_shared(&mut mount, a, block)));
    mount.unmount().unwrap();
}

#[test]
fn copies_share_whole_blocks_and_copy_the_rest() {
    let (mut mount, a, b) = filesystem();
    write(&mut mount, a, 0, &[1; 3 * BLOCK as usize + 7]).unwrap();
    write(&mut mount, b, 0, &[2; 5 * BLOCK as usize]).unwrap();
    let request = RemapRequest { length: u64::MAX / 2, ..whole(a, b) };
    assert_eq!(copy_range(&mut mount, &request).unwrap(), 3 * BLOCK);
    assert!(is_shared(&mut mount, b, 2));
    let tail = RemapRequest { source_offset: 3 * BLOCK, target_offset: 3 * BLOCK, ..request };
    assert_eq!(copy_range(&mut mount, &tail).unwrap(), 7);
    assert!(!is_shared(&mut mount, b, 3));
    let mut expected = vec![2; 5 * BLOCK as usize];
    expected[..3 * BLOCK as usize + 7].fill(1);
    assert_eq!(contents(&mut mount, b), expected);
    let behind = RemapRequest { source_offset: 9 * BLOCK, ..request };
    assert_eq!(copy_range(&mut mount, &behind).unwrap(), 0);
    mount.unmount().unwrap();
}

#[test]
fn refused_requests_change_nothing() {
    let (mut mount, a, b) = filesystem();
    write(&mut mount, a, 0, &[1; 3 * BLOCK as usize + 7]).unwrap();
    write(&mut mount, b, 0, &[2; 5 * BLOCK as usize]).unwrap();
    let before = contents(&mut mount, b);
    let plain = whole(a, b);
    for request in [
        plain,
        RemapRequest { source_offset: 1, length: BLOCK, ..plain },
        RemapRequest { target_offset: 1, length: BLOCK, ..plain },
        RemapRequest { length: 4 * BLOCK, ..plain },
        RemapRequest { source_offset: 9 * BLOCK, ..plain },
        RemapRequest { target: a, length: BLOCK, ..plain },
        RemapRequest { target_offset: u64::MAX - 1023, length: BLOCK, ..plain },
        RemapRequest { length: u64::MAX, ..plain },
    ] {
        let error = clone_range(&mut mount, &request).unwrap_err();
        assert_eq!(error.errno(), Errno::EINVAL, "{request:?}");
    }
    assert_eq!(contents(&mut mount, b), before);
    assert!(!mount.inode(b).core.flags2.contains(DiFlags2::REFLINK));
    mount.unmount().unwrap();
}

/// Two copies of the same files, one cloned into at random, one written: always the same.
#[test]
fn random_clones_read_as_if_they_were_copied() {
    let (mut mount, a, b) = filesystem();
    let mut random = Random(0xc10e);
    let mut model = [Vec::<u8>::new(), Vec::new()];
    for step in 0..400u64 {
        let (from, to) = (random.below(2) as usize, random.below(2) as usize);
        let files = [a, b];
        let at = random.below(40) * BLOCK;
        if random.below(2) == 0 {
            let at = at + random.below(BLOCK);
            let data = vec![step as u8; random.below(9 * BLOCK) as usize + 1];
            write(&mut mount, files[to], at, &data).unwrap();
            let end = at as usize + data.len();
            let len = model[to].len().max(end);
            model[to].resize(len, 0);
            model[to][at as usize..end].copy_from_slice(&data);
        } else {
            let request = RemapRequest {
                source: files[from],
                source_offset: random.below(40) * BLOCK,
                target: files[to],
                target_offset: at,
                length: random.below(9) * BLOCK,
            };
            if clone_range(&mut mount, &request).is_ok() {
                let start = request.source_offset as usize;
                let rest = model[from].len() - start;
                let len = if request.length == 0 { rest } else { request.length as usize };
                let data = model[from][start..start + len].to_vec();
                let end = at as usize + len;
                if len > 0 {
                    let size = model[to].len().max(end);
                    model[to].resize(size, 0);
                    model[to][at as usize..end].copy_from_slice(&data);
                }
            }
        }
        assert!(contents(&mut mount, a) == model[0], "step {step}");
        assert!(contents(&mut mount, b) == model[1], "step {step}");
    }
    mount.unmount().unwrap();
}
