//! The scanner finds what the mounted filesystem says is there, and comes to an end whatever
//! the device holds. Comparisons with xfs_db 7.2 are in the tests of the commands.

use super::*;
use crate::device::MemoryDevice;
use crate::filesystem::{Filesystem, read_superblock};
use crate::format::btree_block::BtreeKind;
use crate::format::geometry::Fork;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};

const SIZE: u64 = 300 << 20;
const FILES: usize = 700;

/// A filesystem with a directory of several blocks, a file in so many extents that they are
/// in a btree, and the number of its extents.
pub(crate) static SAMPLE: LazyLock<(Arc<MemoryDevice>, u64)> = LazyLock::new(|| {
    let device = Arc::new(MemoryDevice::new(SIZE));
    let mut filesystem = Filesystem::make(device.clone()).unwrap();
    filesystem.make_directory("/d", 0o755).unwrap();
    for index in 0..FILES {
        filesystem.create(&format!("/d/file-{index:05}"), 0o644).unwrap();
    }
    let file = filesystem.lookup("/d/file-00003").unwrap();
    for block in 0..300u64 {
        filesystem.write(file, block * 8192, &[7; 4096]).unwrap();
    }
    let extents = filesystem.mappings(file, false).unwrap();
    let count = extents.iter().filter(|mapping| mapping.start.is_some()).count() as u64;
    filesystem.close().unwrap();
    drop(filesystem);
    (device, count)
});

/// What a full scan finds.
#[derive(Debug, Default, PartialEq)]
struct Found {
    free: u64,
    inodes: u64,
    names: u64,
    extents: BTreeMap<u64, u64>,
    blocks: u64,
}

fn scan(scanner: &Scanner<'_>, agno: u32) -> Result<Found> {
    let mut found = Found::default();
    let headers = scanner.ag_headers(agno)?;
    found.free = headers.free_list(scanner.geometry())?.len() as u64;
    scanner.free_space(&headers, BtreeKind::Bno, &mut |extent| {
        found.free += u64::from(extent.len);
        Ok(())
    })?;
    for kind in BtreeKind::IN_AG {
        scanner.tree_blocks(&headers, kind, &mut |_| {
            found.blocks += 1;
            Ok(())
        })?;
    }
    scanner.reverse_mappings(&headers, &mut |_| Ok(()))?;
    scanner.reference_counts(&headers, &mut |_| Ok(()))?;
    scanner.inodes(&headers, &mut |inode| {
        found.inodes += 1;
        for fork in [Fork::Data, Fork::Attr] {
            scanner.fork_extents(inode, fork, &mut |_| {
                *found.extents.entry(inode.ino.0).or_default() += 1;
                Ok(())
            })?;
        }
        if inode.core.file_type() == crate::format::inode::mode::DIR {
            scanner.entries(inode, &mut |entry| {
                found.names += u64::from(entry.name != b"." && entry.name != b"..");
                Ok(())
            })?;
        }
        Ok(())
    })?;
    Ok(found)
}

#[test]
fn all_that_is_there_is_found() {
    let (device, extents) = (&*SAMPLE.0, SAMPLE.1);
    let (superblock, geo) = read_superblock(device).unwrap();
    let scanner = Scanner::new(device, &geo);
    let groups = scanner.by_group(|agno| scan(&scanner, agno)).unwrap();
    let sum = |of: &dyn Fn(&Found) -> u64| groups.iter().map(of).sum::<u64>();
    let sb = &superblock.dsb;
    assert_eq!(sum(&|found| found.inodes), sb.icount.get() - sb.ifree.get());
    assert_eq!(sum(&|found| found.names), FILES as u64 + 1);
    let largest = groups.iter().flat_map(|found| found.extents.values()).max();
    assert_eq!(largest, Some(&extents));
    assert!(extents > 100);
    for agno in 0..geo.ag_count {
        let headers = scanner.ag_headers(agno).unwrap();
        headers.verify(&geo).unwrap();
        let agf = headers.agf().unwrap();
        let free = agf.freeblks.get() + agf.flcount.get();
        assert_eq!(groups[agno as usize].free, u64::from(free));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Garbage in the metadata is an error, or a report for each damaged part.
    #[test]
    fn damage_ends_in_errors(
        places in prop::collection::vec((0u64..4, 0u64..400 * 4096, any::<u8>()), 1..400),
    ) {
        let device = crate::device::OverlayDevice::new(SAMPLE.0.clone());
        let (_, geo) = read_superblock(&device).unwrap();
        for (group, offset, byte) in places {
            let at = (geo.ag_daddr(group as u32, 0) << DADDR_LOG) + 512 + offset;
            device.write_at(&[byte], at).unwrap();
        }
        let reports = Mutex::new(0);
        let report = |_: &Error| *reports.lock().unwrap() += 1;
        let strict = Scanner::new(&device, &geo);
        let tolerant = strict.on_damage(&report);
        for agno in 0..geo.ag_count {
            let failed = scan(&strict, agno).is_err();
            let before = *reports.lock().unwrap();
            scan(&tolerant, agno).unwrap();
            prop_assert_eq!(failed, *reports.lock().unwrap() > before);
        }
    }
}
