//! The copy-on-write fork in memory: what is staged, used and given back.

use super::{cancel_all, stage, staged_in, write_staged};
use crate::Errno;
use crate::file::namespace::{NewFile, create};
use crate::file::remap::{RemapRequest, clone_range};
use crate::file::{AllocateMode, allocate, read, truncate, write};
use crate::format::btree_record::RefcountDomain;
use crate::format::inode::DiFlags2;
use crate::inode::bmap;
use crate::inode::{InodeRef, WhichFork};
use crate::mount::Mount;
use crate::space::testing::{self, Shape};
use crate::space::trees::Refcountbt;

const BLOCK: u64 = 1024;
const BLOCKS: u64 = 200;

/// A file `a` of [`BLOCKS`] blocks, and `b`, which shares all of them.
fn shared() -> (Mount, InodeRef, InodeRef) {
    let shape = Shape { megabytes: 64, block: BLOCK as u32, groups: 2, trees: true };
    let mut mount = testing::open(testing::format(shape));
    let [a, b] = [b"a", b"b"].map(|name| new_file(&mut mount, name));
    write(&mut mount, a, 0, &old()).unwrap();
    share(&mut mount, a, b);
    (mount, a, b)
}

fn new_file(mount: &mut Mount, name: &[u8]) -> InodeRef {
    let root = mount.iget(mount.geo.root_ino.0).unwrap();
    let new = NewFile { permissions: 0o644, uid: 0, gid: 0 };
    create(mount, root, name, &new).unwrap()
}

fn share(mount: &mut Mount, source: InodeRef, target: InodeRef) {
    let request = RemapRequest { source, source_offset: 0, target, target_offset: 0, length: 0 };
    clone_range(mount, &request).unwrap();
}

fn old() -> Vec<u8> {
    (0..BLOCKS * BLOCK).map(|i| (i / BLOCK) as u8 | 1).collect()
}

fn contents(mount: &mut Mount, inode: InodeRef) -> Vec<u8> {
    let mut data = vec![0; mount.inode(inode).core.size as usize];
    assert_eq!(read(mount, inode, 0, &mut data).unwrap(), data.len());
    data
}

/// First block and length of everything staged for a file.
fn staged(mount: &Mount, inode: InodeRef) -> Vec<(u64, u64)> {
    staged_in(mount, inode, (0, u64::MAX)).iter().map(|e| (e.offset, e.len)).collect()
}

/// Blocks that the reference count trees say are staged.
fn recorded(mount: &mut Mount) -> u64 {
    let mut blocks = 0;
    for agno in 0..mount.geo.ag_count {
        let agf = mount.read_agf(agno).unwrap();
        let mut cursor = Refcountbt::cursor(mount, agno, agf);
        let mut more = cursor.first(mount).unwrap();
        while more {
            let record = cursor.expect(mount).unwrap();
            if record.domain == RefcountDomain::Cow {
                blocks += u64::from(record.len);
            }
            more = cursor.increment(mount).unwrap();
        }
    }
    blocks
}

#[test]
fn what_is_staged_in_advance_serves_the_next_writes() {
    let (mut mount, a, b) = shared();
    write(&mut mount, b, 40 * BLOCK, &[9; BLOCK as usize]).unwrap();
    assert_eq!(staged(&mount, b), [(32, 8), (41, 23)], "32 blocks were staged");
    assert_eq!(recorded(&mut mount), 31);
    for block in 32..64 {
        write(&mut mount, b, block * BLOCK, &[9; BLOCK as usize]).unwrap();
    }
    assert_eq!((staged(&mount, b), recorded(&mut mount)), (vec![], 0));
    let map = bmap::extents(&mount, b, WhichFork::Data).unwrap();
    let extents: Vec<(u64, u64)> = map.iter().map(|e| (e.offset, e.len)).collect();
    assert_eq!(extents, [(0, 32), (32, 32), (64, BLOCKS - 64)], "the copies lie together");
    assert_eq!(contents(&mut mount, a), old());
    let mut expected = old();
    expected[32 * BLOCK as usize..64 * BLOCK as usize].fill(9);
    assert_eq!(contents(&mut mount, b), expected);
}

#[test]
fn neighbours_that_are_not_shared_use_what_is_staged() {
    let (mut mount, _, b) = shared();
    let punch = AllocateMode::PunchHole;
    allocate(&mut mount, b, punch, 50 * BLOCK, 2 * BLOCK).unwrap();
    write(&mut mount, b, 40 * BLOCK, &[9; BLOCK as usize]).unwrap();
    let free = mount.counters.fdblocks;
    write(&mut mount, b, 50 * BLOCK + 100, &[9; 100]).unwrap();
    assert_eq!(staged(&mount, b), [(32, 8), (41, 9), (51, 13)]);
    assert_eq!(mount.counters.fdblocks, free, "the block was staged already");
    let mut expected = old();
    expected[40 * BLOCK as usize..41 * BLOCK as usize].fill(9);
    expected[50 * BLOCK as usize..52 * BLOCK as usize].fill(0);
    expected[50 * BLOCK as usize + 100..50 * BLOCK as usize + 200].fill(9);
    assert_eq!(contents(&mut mount, b), expected);
}

#[test]
fn the_hint_of_the_file_decides_how_much_is_staged() {
    for (hint, expected) in [(1, vec![]), (10, vec![(40, 5), (46, 4)]), (7, vec![(42, 3), (46, 3)])]
    {
        let (mut mount, _, b) = shared();
        let core = &mut mount.inode_mut(b).core;
        core.flags2 |= DiFlags2::COWEXTSIZE;
        core.cowextsize = hint;
        write(&mut mount, b, 45 * BLOCK, &[9; BLOCK as usize]).unwrap();
        assert_eq!(staged(&mount, b), expected, "hint {hint}");
    }
}

#[test]
fn cut_off_closed_and_unused_blocks_are_given_back() {
    let (mut mount, _, b) = shared();
    mount.hold_inode(b);
    mount.hold_inode(b);
    let free = mount.counters.fdblocks;
    write(&mut mount, b, 40 * BLOCK, &[9; BLOCK as usize]).unwrap();
    assert_eq!(free - mount.counters.fdblocks, 32);
    truncate(&mut mount, b, 50 * BLOCK).unwrap();
    assert_eq!(staged(&mount, b), [(32, 8), (41, 9)]);
    mount.release_inode(b).unwrap();
    assert_eq!(recorded(&mut mount), 17, "there is one user left");
    mount.release_inode(b).unwrap();
    assert_eq!((staged(&mount, b), recorded(&mut mount)), (vec![], 0));
    assert_eq!(free - mount.counters.fdblocks, 1);
}

#[test]
fn a_file_that_shares_nothing_any_more_says_so() {
    let (mut mount, a, b) = shared();
    let shares = |mount: &Mount, file| mount.inode(file).core.flags2.contains(DiFlags2::REFLINK);
    let unshare = AllocateMode::UnshareRange;
    allocate(&mut mount, b, unshare, 0, BLOCKS * BLOCK).unwrap();
    assert!(shares(&mount, b), "it was just written to");
    let numbers = [a, b].map(|file| mount.inode(file).ino);
    let device = mount.device.clone();
    mount.unmount().unwrap();
    let mut mount = testing::open(device);
    let [a, b] = numbers.map(|number| mount.iget(number).unwrap());
    assert_eq!(recorded(&mut mount), 0);
    for file in [a, b] {
        assert!(shares(&mount, file));
        allocate(&mut mount, file, unshare, 0, 1).unwrap();
        assert!(!shares(&mount, file));
        assert_eq!(contents(&mut mount, file), old());
    }
    truncate(&mut mount, b, 0).unwrap();
    assert_eq!(contents(&mut mount, a), old());
}

#[test]
fn data_goes_to_staged_blocks_only() {
    let (mut mount, _, b) = shared();
    let error = write_staged(&mut mount, b, 0, &[1; 10]).unwrap_err();
    assert!(error.to_string().contains("no blocks are staged for file block 0"), "{error}");
    stage(&mut mount, b, (0, 5)).unwrap();
    write_staged(&mut mount, b, 3 * BLOCK + 1, &[1; 10]).unwrap();
    assert_eq!(contents(&mut mount, b), old(), "nobody sees it");
    cancel_all(&mut mount, b).unwrap();
    assert_eq!(recorded(&mut mount), 0);
    assert_eq!(contents(&mut mount, b), old());
}

#[test]
fn when_space_is_short_others_give_back_what_they_have_staged() {
    let (mut mount, _, b) = shared();
    write(&mut mount, b, 40 * BLOCK, &[9; BLOCK as usize]).unwrap();
    assert_eq!(recorded(&mut mount), 31);
    let (filler, c) = (new_file(&mut mount, b"filler"), new_file(&mut mount, b"c"));
    // All but a few blocks, with what the trees may need for a mapping.
    let spare = bmap::alloc::btree_blocks(&mount.geo, WhichFork::Data);
    let free = mount.counters.available(&mount.geo) - spare - 4;
    let keep = AllocateMode::Allocate { keep_size: true };
    allocate(&mut mount, filler, keep, 0, free * BLOCK).unwrap();
    assert_eq!(recorded(&mut mount), 31);
    write(&mut mount, c, 0, &[7; 20 * BLOCK as usize]).unwrap();
    assert_eq!((staged(&mount, b), recorded(&mut mount)), (vec![], 0));
    assert_eq!(contents(&mut mount, c), [7; 20 * BLOCK as usize]);
    // What does not fit at all is refused, and changes nothing that can be seen.
    let before = contents(&mut mount, b);
    let rest = mount.counters.available(&mount.geo) - spare;
    assert!(rest < 100, "{rest} blocks");
    let error = allocate(&mut mount, b, AllocateMode::UnshareRange, 0, BLOCKS * BLOCK);
    assert_eq!(error.unwrap_err().errno(), Errno::ENOSPC);
    assert_eq!(contents(&mut mount, b), before);
    assert_eq!(recorded(&mut mount), staged(&mount, b).iter().map(|part| part.1).sum::<u64>());
    assert!(mount.shutdown.is_none());
}
