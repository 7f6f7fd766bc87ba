//! Damaged headers and trees, with checksums that are right: every operation ends, in an
//! error or not, and never in a panic or an endless loop.

use std::sync::Arc;

use super::ag_reservation::Pool;
use super::alloc::{AllocArgs, Target, allocate};
use super::extent_free::FreeExtent;
use super::refcount::{self, RefcountIntent, RefcountOperation};
use super::rmap::{RmapIntent, RmapOperation};
use super::testing::{Random, Shape, format, try_open};
use super::trees::{Bnobt, Cntbt, Refcountbt, Rmapbt};
use super::{Owner, startup};
use crate::Result;
use crate::btree::check;
use crate::device::{Device, OverlayDevice};
use crate::format::ag::{AGF_CRC_OFFSET, AGFL_CRC_OFFSET};
use crate::format::btree_block::{BtreeKind, Header};
use crate::format::checksum;
use crate::format::geometry::Fork;
use crate::mount::Mount;
use crate::transaction::Transaction;

/// Where a structure lies, how long it is, and where its checksum is.
type Place = (u64, usize, usize);

/// A filesystem whose trees have several levels, and where their blocks are.
fn filled() -> (Arc<dyn Device>, Vec<Place>) {
    let shape = Shape { megabytes: 64, block: 1024, groups: 2, trees: true };
    let mut mount = try_open(format(shape)).unwrap();
    let mut random = Random(0x5eed_5eed_5eed_5eed);
    let mut held = vec![];
    for round in 0..1500u64 {
        let mut args = AllocArgs::new(1, 4, Target::InGroup(1));
        args.owner = Owner::INODES;
        let reservation = mount.reservations.write;
        let mut tp = Transaction::begin(&mut mount, reservation, 50).unwrap();
        let found = allocate(&mut tp, &args).unwrap().unwrap();
        let (start, len) = (found.block, found.len);
        if round % 2 == 0 {
            tp.defer(FreeExtent::new(start, 1, Owner::INODES, Pool::None));
        } else {
            let increase = RefcountOperation::Increase;
            RefcountIntent { operation: increase, start, len: 1 + (round % 3) as u32 }
                .defer(&mut tp);
            let (map, ino) = (RmapOperation::MapShared, 128 + random.below(3));
            RmapIntent::file(map, ino, Fork::Data, 9 * round, (start, len), false).defer(&mut tp);
        }
        tp.commit().unwrap();
        held.push(found);
    }
    mount.unmount().unwrap();
    let mut places = vec![];
    let geo = mount.geo.clone();
    for agno in 0..geo.ag_count {
        for _ in 0..10 {
            places.push((geo.agf_daddr(agno) * 512, 512, AGF_CRC_OFFSET));
            places.push((geo.agfl_daddr(agno) * 512, 512, AGFL_CRC_OFFSET));
        }
        for agbno in 0..geo.ag_size(agno) {
            let daddr = geo.agblock_daddr(agno, agbno);
            let mut block = vec![0; geo.block_size as usize];
            mount.device.read_at(&mut block, daddr * 512).unwrap();
            let header = Header::read(&block, BtreeKind::Bno, crate::At::Daddr(daddr)).unwrap();
            if BtreeKind::from_magic(header.magic).is_some() && header.blkno == daddr {
                places.push((daddr * 512, block.len(), BtreeKind::Bno.crc_offset()));
            }
        }
    }
    assert!(places.len() > 100, "{}", places.len());
    (mount.device.clone(), places)
}

/// Changes some bytes of a structure: a field of the header, an entry, or anything.
fn damage(device: &dyn Device, (offset, len, crc): Place, random: &mut Random) {
    let mut block = vec![0; len];
    device.read_at(&mut block, offset).unwrap();
    for _ in 0..=random.below(3) {
        let at = match random.below(3) {
            0 => 4 + random.below(12) as usize,
            1 => 56 + random.below(len as u64 / 2 - 56) as usize,
            _ => random.below(len as u64) as usize,
        };
        block[at] = match random.below(4) {
            0 => 0,
            1 => 0xff,
            2 => block[at].wrapping_add(1),
            _ => random.next() as u8,
        };
        // Or an entry repeated: keys and pointers that point to the same block twice.
        if random.below(4) == 0 && at + 16 < len {
            block.copy_within(at..at + 4, at + 4);
        }
    }
    checksum::stamp(&mut block, crc);
    device.write_at(&block, offset).unwrap();
}

fn walk_all(mount: &mut Mount, agno: u32) -> Result<()> {
    let agf = mount.read_agf(agno)?;
    check::walk(mount, Bnobt::new(mount, agno, agf), |_, _| Ok(()))?;
    check::walk(mount, Cntbt::new(mount, agno, agf), |_, _| Ok(()))?;
    check::walk(mount, Refcountbt::new(mount, agno, agf), |_, _| Ok(()))?;
    check::walk(mount, Rmapbt::new(mount, agno, agf), |_, _| Ok(())).map(|_| ())
}

/// Uses a damaged filesystem until the first error.
fn work(device: Arc<dyn Device>, random: &mut Random) -> Result<()> {
    let mut mount = try_open(device)?;
    startup::sum_counters(&mut mount)?;
    let mut held = vec![];
    for _ in 0..60 {
        let agno = random.below32(2);
        let block = mount.geo.fsblock(agno, 20 + random.below32(8000));
        let reservation = mount.reservations.write;
        let mut tp = Transaction::begin(&mut mount, reservation, 50)?;
        let ino = 128 + random.below(3);
        let rmap = |operation, offset| {
            RmapIntent::file(operation, ino, Fork::Data, offset, (block, 2), false)
        };
        match random.below(7) {
            0 | 1 => {
                let mut args = AllocArgs::new(1, 5, Target::Near(block));
                args.owner = Owner::INODES;
                held.extend(allocate(&mut tp, &args)?);
            }
            2 => {
                if let Some(found) = held.pop() {
                    let owner = Owner::INODES;
                    tp.defer(FreeExtent::new(found.block, found.len, owner, Pool::None));
                }
            }
            3 => rmap(RmapOperation::MapShared, random.below(20_000)).defer(&mut tp),
            4 => tp.defer(FreeExtent::new(block, 1, Owner::ANYBODY, Pool::None)),
            5 => rmap(RmapOperation::UnmapShared, random.below(20_000)).defer(&mut tp),
            _ => {
                let operation = RefcountOperation::Increase;
                RefcountIntent { operation, start: block, len: 30 }.defer(&mut tp);
            }
        }
        tp.commit()?;
        refcount::find_shared(&mut mount, block, 100)?;
    }
    mount.unmount()
}

#[test]
fn damaged_trees_end_in_errors() {
    let (device, places) = filled();
    let mut random = Random(0x0ddb_a110_ddba_1100);
    let mut errors = 0;
    for _ in 0..150 {
        let copy: Arc<dyn Device> = Arc::new(OverlayDevice::new(device.clone()));
        for _ in 0..=random.below(2) {
            let place = places[random.below(places.len() as u64) as usize];
            damage(&*copy, place, &mut random);
        }
        if let Ok(mut mount) = try_open(copy.clone()) {
            let walked = (0..2).try_for_each(|agno| walk_all(&mut mount, agno));
            errors += u32::from(walked.is_err());
        }
        let worked = work(copy, &mut random);
        errors += u32::from(worked.is_err());
    }
    assert!(errors > 150, "{errors}");
}
