//! The device or image file that the filesystem is made on.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use libfs::device::FileDevice;
use libfs::mkfs::DeviceTraits;

use crate::usage::{PROGRAM, Refusal};

/// A part of the filesystem that lies on a device of its own, as the command line has it.
pub struct Section<'a> {
    /// Letter of its option.
    pub letter: char,
    /// What it is called.
    pub title: &'static str,
    /// The device's name.
    pub name: Option<&'a str>,
    /// It is an image file, to be made if it is missing.
    pub file: bool,
    /// Its size was given.
    pub sized: bool,
}

/// What was found under the given name.
pub struct Target {
    /// The name as given.
    pub name: String,
    /// An image file, not a block device.
    pub is_file: bool,
    /// The file does not exist yet, or is to start out empty.
    pub create: bool,
}

impl Target {
    /// Looks at what the command line names.
    ///
    /// # Errors
    /// Nothing named, nothing there, or nothing a filesystem can be made on.
    pub fn find(section: &Section) -> Result<Self, Refusal> {
        let Section { letter, title, file, sized, .. } = *section;
        if file && (!sized || section.name.is_none()) {
            return Err(Refusal::with_usage(format!(
                "if -{letter} file then -{letter} name and -{letter} size are required"
            )));
        }
        let Some(name) = section.name.map(str::to_owned) else {
            return Err(Refusal::with_usage(format!("No {title} device name specified")));
        };
        let kind = match fs::metadata(&name) {
            Ok(metadata) => metadata.file_type(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && file => {
                return Ok(Self { name, is_file: true, create: true });
            }
            Err(error) => {
                return Err(Refusal::with_usage(format!(
                    "Error accessing specified device {name}: {}",
                    reason(&error)
                )));
            }
        };
        if kind.is_file() {
            return Ok(Self { name, is_file: true, create: file });
        }
        if !kind.is_block_device() {
            return Err(Refusal::with_usage(format!(
                "specified device {name} not a file or block device"
            )));
        }
        if file {
            return Err(Refusal::with_usage(format!(
                "specified \"-{letter} file\" on a block device {name}"
            )));
        }
        Ok(Self { name, is_file: false, create: false })
    }

    /// Refuses a device that is mounted.
    ///
    /// # Errors
    /// It is mounted.
    pub fn refuse_mounted(&self) -> Result<(), Refusal> {
        if !self.is_file && is_mounted(self.path()) {
            let name = &self.name;
            let text = format!("{PROGRAM}: {name} contains a mounted filesystem");
            return Err(Refusal::with_usage(text));
        }
        Ok(())
    }

    fn path(&self) -> &Path {
        Path::new(&self.name)
    }

    /// Size, sectors and stripes of the device.
    ///
    /// # Errors
    /// The device cannot be opened for reading.
    pub fn traits(&self) -> Result<DeviceTraits, Refusal> {
        if self.is_file {
            let size = fs::metadata(self.path()).map_or(0, |metadata| metadata.len());
            let size = if self.create { 0 } else { size };
            return Ok(DeviceTraits::image_file(size));
        }
        let queue = Queue::of(self.path());
        let physical = queue.number("physical_block_size").unwrap_or(512);
        let (unit, width) = (
            queue.number("minimum_io_size").unwrap_or(0),
            queue.number("optimal_io_size").unwrap_or(0),
        );
        // A "stripe" of one sector is none.
        let none = unit == physical || width == physical;
        let (unit, width) = if none { (0, 0) } else { (unit, width) };
        Ok(DeviceTraits {
            size: self.block_device_size()?,
            is_file: false,
            logical_sector_size: queue.number("logical_block_size").unwrap_or(512),
            physical_sector_size: physical,
            solid_state: queue.number("rotational") == Some(0),
            stripe_unit: unit / 512,
            stripe_width: width / 512,
            atomic_write_min: queue.number("atomic_write_unit_min_bytes").unwrap_or(0),
            atomic_write_max: queue.number("atomic_write_unit_max_bytes").unwrap_or(0),
        })
    }

    fn block_device_size(&self) -> Result<u64, Refusal> {
        use std::io::{Seek, SeekFrom};
        let size = File::open(self.path()).and_then(|mut file| file.seek(SeekFrom::End(0)));
        size.map_err(|error| {
            Refusal::with_usage(format!("{PROGRAM}: cannot open {}: {}", self.name, reason(&error)))
        })
    }

    /// Whether the device says that it can discard blocks.
    pub fn can_discard(&self) -> bool {
        !self.is_file && Queue::of(self.path()).number("discard_max_bytes").unwrap_or(0) != 0
    }

    /// Opens the target for writing, for this program alone, with room for `bytes`.
    ///
    /// # Errors
    /// It is mounted or in use, or cannot be opened or made large enough.
    pub fn open(&self, bytes: u64) -> Result<FileDevice, Refusal> {
        if self.is_file && !self.path().exists() {
            let made = OpenOptions::new().write(true).create_new(true).open(self.path());
            made.map_err(|error| {
                Refusal::with_usage(format!(
                    "{PROGRAM}: cannot create {}: {}",
                    self.name,
                    reason(&error)
                ))
            })?;
        }
        let mut device = FileDevice::open(self.path())
            .map_err(|error| Refusal::with_usage(format!("{PROGRAM}: {error}")))?;
        let resize = |device: &mut FileDevice, bytes| {
            device
                .set_size(bytes)
                .map_err(|_| Refusal::plain(format!("{PROGRAM}: Growing the data section failed")))
        };
        if self.create {
            // An image named as such starts out empty.
            resize(&mut device, 0)?;
        }
        if self.is_file && libfs::device::Device::size(&device) < bytes {
            resize(&mut device, bytes)?;
        }
        Ok(device)
    }
}

/// An I/O error as the C library words it.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

fn is_mounted(path: &Path) -> bool {
    let Ok(wanted) = path.canonicalize() else { return false };
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let sources = mounts.lines().filter_map(|line| line.split(' ').next());
    sources.filter_map(|source| Path::new(source).canonicalize().ok()).any(|path| path == wanted)
}

/// What sysfs says of a block device's queue.
struct Queue {
    directories: Vec<PathBuf>,
}

impl Queue {
    fn of(path: &Path) -> Self {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let class = Path::new("/sys/class/block").join(real.file_name().unwrap_or_default());
        // A partition has no queue of its own, but its disk has.
        let disk = class.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned));
        Self { directories: [Some(class), disk].into_iter().flatten().collect() }
    }

    fn number(&self, name: &str) -> Option<u32> {
        self.directories.iter().find_map(|directory| {
            let text = fs::read_to_string(directory.join("queue").join(name)).ok()?;
            let number: u64 = text.trim().parse().ok()?;
            Some(u32::try_from(number).unwrap_or(u32::MAX))
        })
    }
}
