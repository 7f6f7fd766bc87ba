//! Plans and filesystems in memory. That the bytes are right is for the peer tests to
//! say; here are the parts they cannot reach.

use std::sync::Arc;

use zerocopy::FromBytes;

use super::{AgSizing, Amount, DeviceTraits, LogSizing, Options, Plan, PlanError, Sizes};
use crate::Errno;
use crate::device::{
    Device, Event, FaultDevice, FaultRule, MemoryDevice, OverlayDevice, RecorderDevice,
};
use crate::format::ag::{Agf, Agi};
use crate::format::btree_block::{self, BtreeKind};
use crate::format::geometry::Ino;
use crate::format::inode::Dinode;
use crate::format::superblock::Superblock;
use crate::format::{inode, log};

const GIBI: u64 = 1 << 30;
const SIZES: Sizes = Sizes { block: 4096, sector: 512, log_sector: 512 };

fn plan(size: u64, options: &Options) -> Result<Plan, PlanError> {
    Plan::new(options, SIZES, &DeviceTraits::image_file(size), &mut |_| {})
}

fn made() -> (Plan, Arc<MemoryDevice>) {
    let plan = plan(GIBI, &Options::default()).unwrap();
    let device = Arc::new(MemoryDevice::new(GIBI));
    plan.write(&*device, false, &mut |_, _| {}).unwrap();
    (plan, device)
}

fn read(device: &dyn Device, daddr: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    device.read_at(&mut bytes, daddr << 9).unwrap();
    bytes
}

#[test]
fn numbers_of_a_default_filesystem_are_those_of_xfsprogs() {
    // xfs_db on what mkfs.xfs 7.2 makes of 1 GiB.
    let (plan, device) = made();
    assert_eq!((plan.log_start().unwrap().0, plan.geometry.log.blocks), (131_079, 16_384));
    let primary = Superblock::decode(&read(&*device, 0, 512)).unwrap().dsb;
    assert_eq!(
        (primary.rootino.get(), primary.rbmino.get(), primary.rsumino.get()),
        (128, 129, 130)
    );
    assert_eq!((primary.icount.get(), primary.ifree.get()), (64, 61));
    assert_eq!(primary.fdblocks.get(), 245_724);
    let sector = read(&*device, 1, 512);
    let agf = Agf::ref_from_prefix(&sector).unwrap().0;
    assert_eq!((agf.flcount.get(), agf.freeblks.get(), agf.longest.get()), (6, 65_515, 65_512));
}

#[test]
fn what_is_written_passes_every_verifier() {
    let (plan, device) = made();
    let geometry = &plan.geometry;
    for agno in 0..geometry.ag_count {
        let sector = |daddr| read(&*device, daddr, 512);
        let (agf, agi) = (sector(geometry.agf_daddr(agno)), sector(geometry.agi_daddr(agno)));
        Agf::ref_from_prefix(&agf).unwrap().0.verify(geometry, agno).unwrap();
        Agi::ref_from_prefix(&agi).unwrap().0.verify(geometry, agno).unwrap();
        for kind in BtreeKind::IN_AG {
            let daddr = geometry.agblock_daddr(agno, geometry.initial_root(kind).unwrap());
            let block = read(&*device, daddr, 4096);
            crate::format::checksum::check(
                &block,
                kind.crc_offset(),
                "root",
                crate::At::Daddr(daddr),
            )
            .unwrap();
            btree_block::verify(&block, geometry, kind, daddr).unwrap();
        }
    }
    let chunk = read(&*device, 16 * 8, 64 * 512);
    for (number, bytes) in (128..).zip(chunk.chunks(512)) {
        crate::format::checksum::check(bytes, inode::CRC_OFFSET, "inode", crate::At::Inode(number))
            .unwrap();
        Dinode::view(bytes, Ino(number)).unwrap().verify(geometry, Ino(number)).unwrap();
    }
}

#[test]
fn the_superblock_comes_last_and_after_a_flush() {
    let plan = plan(GIBI, &Options::default()).unwrap();
    let device = RecorderDevice::new(Arc::new(MemoryDevice::new(GIBI)));
    plan.write(&device, false, &mut |_, _| {}).unwrap();
    let events = device.take_events();
    let [.., Event::Flush, Event::Write { offset: 0, data, .. }, Event::Flush] = &events[..] else {
        panic!("{:?}", events.len());
    };
    Superblock::decode(data).unwrap();
    // Before that, the superblock says that it is not finished.
    for event in &events[..events.len() - 2] {
        if let Event::Write { offset: 0, data, .. } = event {
            assert!(Superblock::decode(&data[..512]).is_err());
        }
    }
}

#[test]
fn a_failing_write_is_reported_and_leaves_no_filesystem() {
    let plan = plan(GIBI, &Options::default()).unwrap();
    let whole = FaultDevice::new(Arc::new(MemoryDevice::new(GIBI)), Vec::new());
    plan.write(&whole, false, &mut |_, _| {}).unwrap();
    for number in 0..whole.writes() {
        let memory = Arc::new(MemoryDevice::new(GIBI));
        let device = FaultDevice::new(memory.clone(), vec![FaultRule::FailWrite(number)]);
        let error = plan.write(&device, false, &mut |_, _| {}).unwrap_err();
        assert_eq!(error.errno(), Errno::EIO, "write {number}");
        assert!(Superblock::decode(&read(&*memory, 0, 512)).is_err(), "write {number}");
    }
}

#[test]
fn zeros_are_written_where_the_device_cannot_make_them() {
    let plan = plan(GIBI, &Options::default()).unwrap();
    let noise = Arc::new(MemoryDevice::new(GIBI));
    let log = plan.geometry.fsblock_daddr(plan.log_start().unwrap());
    noise.write_at(&[7; 8192], (log << 9) + 4096).unwrap();
    let device = OverlayDevice::new(noise);
    let mut steps = Vec::new();
    plan.write(&device, false, &mut |done, total| steps.push((done, total))).unwrap();
    assert_eq!(steps.first(), Some(&(0, 64 << 20)));
    assert_eq!(steps.last(), Some(&(64 << 20, 64 << 20)));
    assert_eq!(read(&device, log, 1024), log::clean_record(&[0; 16], 512));
    assert!(read(&device, log + 2, 16384).iter().all(|byte| *byte == 0));
}

#[test]
fn a_device_that_shrank_meanwhile_is_refused() {
    let plan = plan(GIBI, &Options::default()).unwrap();
    let device = MemoryDevice::new(GIBI - 4096);
    let error = plan.write(&device, false, &mut |_, _| {}).unwrap_err();
    assert_eq!(error.errno(), Errno::ENOSPC);
}

#[test]
fn copies_of_an_older_superblock_go_where_it_leads() {
    let device = MemoryDevice::new(GIBI);
    let old = Options { ag_sizing: AgSizing::Count(7), ..Options::default() };
    let old = plan(GIBI, &old).unwrap();
    old.write(&device, false, &mut |_, _| {}).unwrap();
    let copies: Vec<u64> = (1..7).map(|agno| old.geometry.sb_daddr(agno)).collect();
    let new = plan(GIBI, &Options::default()).unwrap();
    new.write(&device, true, &mut |_, _| {}).unwrap();
    for daddr in copies {
        assert_eq!(read(&device, daddr, 512), [0; 512], "daddr {daddr}");
    }
}

#[test]
fn an_old_superblock_of_nonsense_is_harmless() {
    let plan = plan(GIBI, &Options::default()).unwrap();
    let mut sb = [0xff; 512];
    sb[..4].copy_from_slice(b"XFSB");
    for blocklog in [9u8, 16, 0xff] {
        sb[120] = blocklog;
        sb[4..8].copy_from_slice(&1u32.checked_shl(blocklog.into()).unwrap_or(0).to_be_bytes());
        let device = MemoryDevice::new(GIBI);
        device.write_at(&sb, 0).unwrap();
        plan.write(&device, true, &mut |_, _| {}).unwrap();
    }
}

#[test]
fn impossible_requests_have_names() {
    let refused = |size, options: Options| plan(size, &options).unwrap_err();
    let default = Options::default;
    assert_eq!(refused(200 << 20, default()), PlanError::FilesystemTooSmall);
    assert_eq!(refused(1 << 20, default()), PlanError::DataTooSmall { blocks: 256, minimum: 4096 });
    let options = Options { ag_sizing: AgSizing::Count(1), ..default() };
    assert_eq!(refused(GIBI, options), PlanError::SingleAg);
    let size = Amount { bytes: 300 << 20, text: "300m".into() };
    let options = Options { log_sizing: LogSizing::Size(size), ..default() };
    let expected = PlanError::LogTooLarge { blocks: 76_800, maximum: 65_524 };
    assert_eq!(refused(GIBI, options), expected);
    let options = Options { inode_size: Some(4096), ..default() };
    assert_eq!(refused(GIBI, options), PlanError::InodeSize { size: 4096, block: 4096 });
}
