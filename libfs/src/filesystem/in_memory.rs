//! Filesystems that live in memory only.

use std::sync::Arc;

use super::{Filesystem, Opened};
use crate::device::{Device, MemoryDevice};
use crate::mkfs::{DeviceTraits, Options, Plan, Sizes};
use crate::{Errno, Error, Result};

impl Filesystem {
    /// A new filesystem of `bytes` bytes in memory, made with the defaults of mkfs.xfs: to
    /// try things out. Memory is used for what is written only.
    ///
    /// # Errors
    /// EINVAL for a size for which mkfs.xfs would refuse, such as less than 300 MiB.
    pub fn in_memory(bytes: u64) -> Result<Self> {
        let device: Arc<dyn Device> = Arc::new(MemoryDevice::new(bytes));
        let refused = |error: crate::mkfs::PlanError| {
            Error::os(Errno::EINVAL, format!("making a filesystem of {bytes} bytes: {error}"))
        };
        let sizes = Sizes { block: 4096, sector: 512 };
        let traits = DeviceTraits::image_file(bytes);
        let options = Options { uuid: *uuid::Uuid::new_v4().as_bytes(), ..Options::default() };
        let plan = Plan::new(&options, sizes, &traits, &mut |_| ()).map_err(refused)?;
        plan.write(&*device, false, &mut |_, _| ())?;
        match Self::open(device)? {
            Opened::Clean(filesystem) => Ok(filesystem),
            Opened::Dirty(unrecovered) => Ok(unrecovered.recover()?.0),
        }
    }
}
