//! Untorn writes in memory: what is left after one that failed, and the largest ones.

use std::sync::Arc;

use super::{CopyReason, UntornWay, limits, write_untorn};
use crate::Errno;
use crate::device::{AtomicWriteLimits, FaultDevice, FaultRule, LimitedDevice};
use crate::file::namespace::{NewFile, create};
use crate::file::{read, write};
use crate::inode::bmap;
use crate::inode::{InodeRef, WhichFork};
use crate::mount::Mount;
use crate::space::testing::{self, Shape};

const BLOCK: u64 = 1024;
const KIBI: usize = 1024;

struct World {
    mount: Mount,
    device: Arc<FaultDevice>,
    file: InodeRef,
}

/// A filesystem on a device with untorn writes of 1 to 16 KiB, and a file in it.
fn world() -> World {
    world_with(true)
}

/// Reference counts, and with them copy on write, are among the trees.
fn world_with(trees: bool) -> World {
    let shape = Shape { megabytes: 64, block: BLOCK as u32, groups: 2, trees };
    let limits = AtomicWriteLimits { unit_min: 512, unit_max: 16 << 10 };
    let limited = Arc::new(LimitedDevice::new(testing::format(shape), limits));
    let device = Arc::new(FaultDevice::new(limited, Vec::new()));
    let mut mount = testing::open(device.clone());
    let root = mount.iget(mount.geo.root_ino.0).unwrap();
    let new = NewFile { permissions: 0o644, uid: 0, gid: 0 };
    let file = create(&mut mount, root, b"file", &new).unwrap();
    World { mount, device, file }
}

impl World {
    fn write(&mut self, offset: u64, data: &[u8]) {
        assert_eq!(write(&mut self.mount, self.file, offset, data).unwrap(), data.len());
    }

    fn untorn(&mut self, offset: u64, data: &[u8]) -> crate::Result<UntornWay> {
        write_untorn(&mut self.mount, self.file, offset, data, true)
    }

    fn contents(&mut self) -> Vec<u8> {
        let mut data = vec![0; self.mount.inode(self.file).core.size as usize];
        assert_eq!(read(&mut self.mount, self.file, 0, &mut data).unwrap(), data.len());
        data
    }

    fn extents(&self) -> usize {
        bmap::extents(&self.mount, self.file, WhichFork::Data).unwrap().iter().count()
    }
}

#[test]
fn a_failure_of_the_device_leaves_the_old_contents() {
    let mut world = world();
    for block in 0..8 {
        world.write(2 * block * BLOCK, &[7; KIBI]);
    }
    let old = world.contents();
    let times = world.mount.inode(world.file).core.mtime;
    world.device.set_rules(vec![FaultRule::FailWritesFrom(world.device.writes())]);
    let error = world.untorn(0, &[9; 8 * KIBI]).unwrap_err();
    assert_eq!(error.errno(), Errno::EIO);
    world.device.set_rules(Vec::new());
    assert_eq!(world.contents(), old);
    assert_eq!(world.mount.inode(world.file).core.mtime, times);
    let staged = super::cow::staged_in(&world.mount, world.file, (0, 8));
    assert!(staged.is_empty(), "{staged:?}");
    // Nothing is in the way of the next.
    world.untorn(0, &[9; 8 * KIBI]).unwrap();
    assert_eq!(&world.contents()[..8 * KIBI], &[9; 8 * KIBI]);
    assert_eq!(&world.contents()[8 * KIBI..], &old[8 * KIBI..]);
}

#[test]
fn a_failure_of_the_devices_own_write_leaves_the_old_contents() {
    let mut world = world();
    world.write(0, &[7; 16 * KIBI]);
    // Single blocks are always aligned.
    let expected = UntornWay::Device { bytes: BLOCK, limit: 16 << 10 };
    world.device.set_rules(vec![FaultRule::FailWritesFrom(world.device.writes())]);
    assert_eq!(world.untorn(0, &[9; KIBI]).unwrap_err().errno(), Errno::EIO);
    world.device.set_rules(Vec::new());
    assert_eq!(world.contents(), [7; 16 * KIBI]);
    let times = world.mount.inode(world.file).core.mtime;
    assert_eq!(world.untorn(0, &[9; KIBI]).unwrap(), expected);
    assert_eq!(&world.contents()[..KIBI], &[9; KIBI]);
    assert_ne!(world.mount.inode(world.file).core.mtime, times);
}

#[test]
fn a_full_filesystem_leaves_the_old_contents() {
    let mut world = world();
    let part = vec![7; 256 * KIBI];
    let mut offset = 0;
    loop {
        match write(&mut world.mount, world.file, offset, &part) {
            Ok(done) => offset += done as u64,
            Err(error) => break assert_eq!(error.errno(), Errno::ENOSPC),
        }
    }
    let free = world.mount.counters.fdblocks;
    let max = limits(&world.mount, world.file).unit_max as usize;
    assert_eq!(world.untorn(0, &vec![9; max]).unwrap_err().errno(), Errno::ENOSPC);
    assert!(world.contents().iter().all(|byte| *byte == 7));
    assert!(world.mount.shutdown.is_none());
    assert_eq!(
        world.untorn(0, &[9; KIBI]).unwrap(),
        UntornWay::Device { bytes: BLOCK, limit: 16 << 10 }
    );
    super::cow::cancel_all(&mut world.mount, world.file).unwrap();
    assert_eq!(world.mount.counters.fdblocks, free);
}

#[test]
fn without_copy_on_write_there_are_untorn_writes_of_single_blocks() {
    let mut world = world_with(false);
    let found = limits(&world.mount, world.file);
    let block = BLOCK as u32;
    assert_eq!((found.unit_min, found.unit_max, found.unit_max_opt), (block, block, 0));
    assert_eq!(world.untorn(0, &[9; 2 * KIBI]).unwrap_err().errno(), Errno::EINVAL);
    let by_device = UntornWay::Device { bytes: BLOCK, limit: 16 << 10 };
    world.write(0, &[7; 500]);
    // Behind the end of the file and its blocks, over written blocks, in a hole.
    for (offset, way) in [
        (4 * BLOCK, UntornWay::NewBlock),
        (4 * BLOCK, by_device),
        (0, by_device),
        (2 * BLOCK, UntornWay::NewBlock),
    ] {
        assert_eq!(world.untorn(offset, &[9; KIBI]).unwrap(), way, "{offset}");
    }
    let mut expected = vec![9; 5 * KIBI];
    for hole in [1, 3] {
        expected[hole * KIBI..][..KIBI].fill(0);
    }
    assert_eq!(world.contents(), expected);
    world.mount.unmount().unwrap();
}

/// The largest write to the worst file: every second block is there, in no order, and every
/// transaction goes to the log by itself.
#[test]
fn the_largest_write_fits_the_log() {
    let mut world = world();
    let max = limits(&world.mount, world.file).unit_max as usize;
    let blocks = max as u64 / BLOCK;
    for pair in (0..blocks / 2).rev() {
        world.write(2 * pair * BLOCK, &[7; KIBI]);
    }
    assert!(world.extents() as u64 >= blocks / 2);
    world.mount.checkpoint().unwrap();
    world.mount.checkpoint_limit = 0;
    let way = world.untorn(0, &vec![9; max]).unwrap();
    assert!(matches!(way, UntornWay::CopyOnWrite(CopyReason::DeviceLimits { .. })), "{way}");
    assert!(world.contents() == vec![9; max]);
    assert!(world.extents() < 4, "{} extents", world.extents());
    world.mount.unmount().unwrap();
}
