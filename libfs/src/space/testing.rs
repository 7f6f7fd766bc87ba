//! A fresh filesystem in memory, for tests of everything that lies on it.

use std::sync::Arc;

use crate::Result;
use crate::device::{Device, MemoryDevice};
use crate::format::geometry::Geometry;
use crate::format::inode::Timestamp;
use crate::format::superblock::Superblock;
use crate::journal::writer::LogWriter;
use crate::journal::{LogPlace, find_ends};
use crate::mkfs::{AgSizing, DeviceTraits, Features, Options, Plan, Sizes, Stripe, Toggle};
use crate::mount::Mount;

/// Which optional trees a filesystem has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) megabytes: u64,
    pub(crate) block: u32,
    pub(crate) groups: u64,
    /// Free inode, reverse mapping and reference count trees.
    pub(crate) trees: bool,
}

/// Makes a filesystem.
pub(crate) fn format(shape: Shape) -> Arc<dyn Device> {
    let bytes = shape.megabytes << 20;
    let traits = DeviceTraits::image_file(bytes);
    let mut features = Features::default();
    if !shape.trees {
        let off = Toggle::chosen(false);
        features.free_inode_btree = off;
        features.reverse_mapping = off;
        features.reflink = off;
        features.inode_btree_counts = off;
    }
    let options = Options {
        features,
        uuid: [7; 16],
        ag_sizing: AgSizing::Count(shape.groups),
        stripe: Stripe::None,
        unsupported: true,
        time: Timestamp { seconds: 1_700_000_000, nanos: 0 },
        generation: 1,
        ..Options::default()
    };
    let sizes = Sizes { block: shape.block, sector: 512, log_sector: 512 };
    let plan = Plan::new(&options, sizes, &traits, &mut |_| ()).unwrap();
    let device: Arc<dyn Device> = Arc::new(MemoryDevice::new(bytes));
    plan.write(&*device, false, &mut |_, _| ()).unwrap();
    device
}

/// Opens a filesystem whose log is clean.
pub(crate) fn open(device: Arc<dyn Device>) -> Mount {
    try_open(device).unwrap()
}

/// Opens a filesystem whose log is clean, if it can be opened.
pub(crate) fn try_open(device: Arc<dyn Device>) -> Result<Mount> {
    let mut sector = vec![0; 512];
    device.read_at(&mut sector, 0)?;
    let superblock = Superblock::decode(&sector)?;
    let geo = Geometry::new(&superblock.dsb)?;
    let log = LogPlace::find(&geo, &device, None)?;
    let ends = find_ends(&*log.device, log.area)?;
    let log = LogWriter::new(log, ends.position());
    let mut mount = Mount::new(device, superblock, geo, Some(log));
    super::startup::init_reservations(&mut mount)?;
    Ok(mount)
}

/// Pseudorandom numbers (xorshift), so that a failure repeats.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(crate) fn below32(&mut self, limit: u32) -> u32 {
        self.below(limit.into()) as u32
    }
}
