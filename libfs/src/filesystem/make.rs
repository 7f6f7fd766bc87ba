//! New filesystems with the defaults of mkfs.xfs.

use std::sync::Arc;

use super::{Filesystem, Opened};
use crate::device::{Device, MemoryDevice};
use crate::mkfs::{DeviceTraits, Options, Plan, Sizes};
use crate::{Errno, Error, Result};

impl Filesystem {
    /// Makes a filesystem on `device`, as mkfs.xfs does without options on an image file, and
    /// opens it. What the device held is lost. [`crate::mkfs`] has all the options.
    ///
    /// # Errors
    /// EINVAL for a size for which mkfs.xfs would refuse, such as less than 300 MiB;
    /// [`Error::Io`] from the device.
    pub fn make(device: Arc<dyn Device>) -> Result<Self> {
        let bytes = device.size();
        let refused = |error: crate::mkfs::PlanError| {
            Error::os(Errno::EINVAL, format!("making a filesystem of {bytes} bytes: {error}"))
        };
        let sizes = Sizes { block: 4096, sector: 512, log_sector: 512 };
        let traits = DeviceTraits::image_file(bytes);
        let options = Options { uuid: *uuid::Uuid::new_v4().as_bytes(), ..Options::default() };
        let plan = Plan::new(&options, sizes, &traits, &mut |_| ()).map_err(refused)?;
        plan.write(&*device, true, &mut |_, _| ())?;
        match Self::open(device)? {
            Opened::Clean(filesystem) => Ok(filesystem),
            Opened::Dirty(unrecovered) => Ok(unrecovered.recover()?.0),
        }
    }

    /// As [`Filesystem::make`] in memory, to try things out: nothing of it outlives the
    /// handle. Memory is used for what is written only.
    ///
    /// # Errors
    /// EINVAL for a size for which mkfs.xfs would refuse.
    pub fn in_memory(bytes: u64) -> Result<Self> {
        Self::make(Arc::new(MemoryDevice::new(bytes)))
    }
}
