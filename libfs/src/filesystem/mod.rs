//! What users of the library hold.
//!
//! Opening a device gives either a [`Filesystem`], whose log is clean, or an
//! [`Unrecovered`] one, which cannot be written (it has no method that would) until
//! [`Unrecovered::recover`] replayed its log:
//!
//! ```no_run
//! use std::sync::Arc;
//! use libfs::device::FileDevice;
//! use libfs::filesystem::{Filesystem, Opened};
//!
//! # fn main() -> libfs::Result<()> {
//! let device = Arc::new(FileDevice::open("disk.img".as_ref())?);
//! let mut filesystem = match Filesystem::open(device)? {
//!     Opened::Clean(filesystem) => filesystem,
//!     Opened::Dirty(unrecovered) => unrecovered.recover()?.0,
//! };
//! let file = filesystem.create("/hello", 0o644)?;
//! filesystem.write(file, 0, b"world")?;
//! filesystem.close()
//! # }
//! ```

mod allocate;
mod attributes;
mod clone;
mod commit;
mod cow;
pub mod identity;
mod make;
mod operations;
mod recover;
mod staged;
mod temporary;
mod untorn;

pub use clone::{CloneRange, Dedupe};
pub use operations::{ExchangeRange, Mapping, Stat};
pub use recover::{RecoveryReport, Unrecovered};

use std::path::Path;
use std::sync::Arc;

use crate::device::{Device, FileDevice};
use crate::format::geometry::Geometry;
use crate::format::superblock::Superblock;
use crate::journal::writer::LogWriter;
use crate::journal::{LogPlace, LogState, find_ends};
use crate::mount::Mount;
use crate::transaction::InjectTag;
use crate::{At, Error, Result};

/// A filesystem that was opened, by the state of its log.
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once, never kept")]
pub enum Opened {
    /// Nothing to replay: ready for use.
    Clean(Filesystem),
    /// The log has to be replayed first.
    Dirty(Unrecovered),
}

/// A filesystem ready for use. Dropping it without [`Filesystem::close`] leaves the log
/// dirty, as a power cut would; what was synced is safe.
pub struct Filesystem {
    mount: Mount,
    /// Inodes held open, one entry for each time; an unlinked one is freed when let go.
    held: Vec<u64>,
}

/// The devices that a filesystem is on.
#[derive(Clone)]
pub struct Devices {
    /// The one with the superblock.
    pub data: Arc<dyn Device>,
    /// That of the log, if it has its own.
    pub log: Option<Arc<dyn Device>>,
}

impl Devices {
    /// Opens devices or image files, all for reading only or none.
    ///
    /// # Errors
    /// As [`FileDevice::open`].
    pub fn files(data: &Path, log: Option<&Path>, read_only: bool) -> Result<Self> {
        let open = |path| -> Result<Arc<dyn Device>> {
            let open = if read_only { FileDevice::open_read_only } else { FileDevice::open };
            Ok(Arc::new(open(path)?))
        };
        Ok(Self { data: open(data)?, log: log.map(open).transpose()? })
    }

    /// Where the log of the filesystem with this geometry is.
    ///
    /// # Errors
    /// As [`LogPlace::find`].
    pub fn log_place(&self, geo: &Geometry) -> Result<LogPlace> {
        LogPlace::find(geo, &self.data, self.log.as_ref())
    }
}

/// The superblock of the filesystem on `device`, verified, with the geometry it describes.
///
/// # Errors
/// [`Error::Corrupt`] when there is no sound superblock or the device is smaller than it
/// says, [`Error::Incompatible`] for features unknown here, [`Error::Io`] from the device.
pub fn read_superblock(device: &dyn Device) -> Result<(Superblock, Geometry)> {
    let truncated = |size: u64| {
        let why = format!("the device has only {size} bytes");
        Error::corrupt("superblock", At::Daddr(0), why)
    };
    let size = device.size();
    let mut sector = vec![0; 512];
    if size < 512 {
        return Err(truncated(size));
    }
    device.read_at(&mut sector, 0)?;
    // The checksum covers a whole sector, and only the superblock says how large that is.
    let sector_size = usize::from(u16::from_be_bytes([sector[102], sector[103]]));
    if sector_size.is_power_of_two() && (1024..=32768).contains(&sector_size) {
        if size < sector_size as u64 {
            return Err(truncated(size));
        }
        sector.resize(sector_size, 0);
        device.read_at(&mut sector, 0)?;
    }
    let sb = Superblock::decode(&sector)?;
    let geo = Geometry::new(&sb.dsb)?;
    let needed = u128::from(geo.data_blocks) * u128::from(geo.block_size);
    if u128::from(size) < needed {
        let why = format!("the filesystem has {needed} bytes, the device only {size}");
        return Err(Error::corrupt("superblock", At::Daddr(0), why));
    }
    Ok((sb, geo))
}

impl Filesystem {
    /// Opens the filesystem on `device`, which has its log, too. A device that is read-only,
    /// or a filesystem with read-only-compatible features unknown here, gives one that can only
    /// be read.
    ///
    /// # Errors
    /// As [`read_superblock`], and [`Error::Corrupt`] when the log makes no sense.
    pub fn open(device: Arc<dyn Device>) -> Result<Opened> {
        Self::open_with(Devices { data: device, log: None })
    }

    /// As [`Filesystem::open`], with the log on a device of its own, if there is one.
    ///
    /// # Errors
    /// As [`Filesystem::open`] and [`LogPlace::find`].
    pub fn open_with(devices: Devices) -> Result<Opened> {
        let (sb, geo) = read_superblock(devices.data.as_ref())?;
        let log = devices.log_place(&geo)?;
        let ends = find_ends(log.device.as_ref(), log.area)?;
        if ends.state == LogState::Dirty {
            return Ok(Opened::Dirty(Unrecovered::new(devices, sb, geo, ends)));
        }
        let read_only = devices.data.is_read_only() || log.device.is_read_only();
        let writable = !read_only && sb.read_only_reason().is_none();
        let log = writable.then(|| LogWriter::new(log, ends.position()));
        let mut mount = Mount::new(devices.data, sb, geo, log);
        mount.log_is_clean = true;
        if writable {
            crate::space::startup::init_reservations(&mut mount)?;
        }
        Ok(Opened::Clean(Self::from_mount(mount)))
    }

    fn from_mount(mount: Mount) -> Self {
        Self { mount, held: Vec::new() }
    }

    /// The geometry.
    pub fn geometry(&self) -> &Geometry {
        &self.mount.geo
    }

    /// The state behind the handle, for checks and for tools that look at metadata.
    pub fn mount(&mut self) -> &mut Mount {
        &mut self.mount
    }

    /// Makes everything done so far durable.
    ///
    /// # Errors
    /// [`Error::Io`] from the device, which shuts the filesystem down; [`Error::Shutdown`].
    pub fn sync(&mut self) -> Result<()> {
        if self.mount.log.is_none() {
            return Ok(());
        }
        self.mount.checkpoint()
    }

    /// Stops at once, as a power cut would; with `write_log` what was committed in memory
    /// reaches the log first.
    ///
    /// # Errors
    /// [`Error::Io`] when the log cannot be written.
    pub fn shut_down(&mut self, write_log: bool) -> Result<()> {
        self.mount.shut_down(write_log, "on request")
    }

    /// Whether nothing can be written any more.
    pub fn is_shut_down(&self) -> bool {
        self.mount.shutdown.is_some()
    }

    /// Stops the filesystem between the intent and the act of a later deferred operation.
    pub fn inject(&mut self, tag: InjectTag, skip: u32) {
        self.mount.set_inject(tag, skip);
    }

    /// Writes everything in place and marks the log clean.
    ///
    /// # Errors
    /// [`Error::Io`] from the device, [`Error::Shutdown`] when it was shut down.
    pub fn close(&mut self) -> Result<()> {
        while let Some(&ino) = self.held.last() {
            self.release(ino)?;
        }
        self.mount.unmount()
    }
}
