//! The data path and the namespace: what programs do with files.
//!
//! File data is written straight to the device, before the transaction that makes it
//! visible commits; a checkpoint makes data durable before it writes the log. New blocks
//! are allocated unwritten and become written when their data is there, so a crash shows
//! old contents or new contents, never what the blocks held before.

pub mod allocate;
pub mod attributes;
pub(crate) mod cow;
pub mod exchange;
pub mod mappings;
pub mod namespace;
mod read;
pub mod remap;
mod seek;
pub mod staged;
mod truncate;
pub mod untorn;
mod write;

pub use allocate::{AllocateMode, allocate};
pub use exchange::{ExchangeFlags, ExchangeIntent, ExchangeRequest, exchange_range};
pub use read::read;
pub use seek::{Seek, seek};
pub use truncate::truncate;
pub use write::write;

use crate::format::inode::DiFlags;
use crate::inode::InodeRef;
use crate::inode::timestamps::contents_changed as touch;
use crate::mount::Mount;
use crate::{Errno, Error, Result};

/// Largest file in bytes.
pub const MAX_SIZE: u64 = i64::MAX as u64;

/// Fails unless `inode` is a regular file whose data is on the data device.
fn check_regular(mount: &Mount, inode: InodeRef) -> Result<()> {
    let core = &mount.inode(inode).core;
    if core.is_dir() {
        return Err(Error::os(Errno::EISDIR, "reading or writing data"));
    }
    if !core.is_regular() {
        return Err(Error::os(Errno::EINVAL, "this is not a regular file"));
    }
    if core.flags.contains(DiFlags::REALTIME) {
        return Err(Error::Incompatible("the file's data is on a realtime device".into()));
    }
    Ok(())
}

/// Fails unless the data of `inode` may be changed, anywhere in the file.
fn check_writable(mount: &Mount, inode: InodeRef) -> Result<()> {
    mount.check_writable()?;
    check_regular(mount, inode)?;
    attributes::check_overwritable(mount, inode)
}
