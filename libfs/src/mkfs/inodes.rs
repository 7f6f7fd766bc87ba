//! The first inodes: the root directory, and bitmap and summary of a realtime volume that
//! is not there.

use zerocopy::{FromZeros, IntoBytes};

use super::Plan;
use super::realtime::DIRECTORY_FLAGS;
use super::write::put;
use crate::format::geometry::Fork;
use crate::format::inode::{
    CORE_SIZE, CRC_OFFSET, DiFlags, DiFlags2, Dinode, ForkFormat, MAGIC, MetafileType, Timestamp,
    mode,
};
use crate::format::{NULL_AGINO, checksum};

/// The filesystem property that says what online checking may do (a trusted attribute).
const SELF_HEALING_NAME: &[u8] = b"xfs:autofsck";
/// Namespace flag of trusted attributes.
const ATTR_ROOT: u8 = 1 << 1;
/// Least bytes of an attribute fork: a btree root with two pointers.
const LEAST_ATTR_FORK: usize = 4 + 2 * 16;

/// The blocks of the first inode chunk, whose first inode is `first`.
pub(super) fn chunk(plan: &Plan, first: u32) -> Vec<u8> {
    let geometry = &plan.geometry;
    let size = geometry.inode.size as usize;
    let metadir = geometry.features.metadir;
    let mut blocks = vec![0; (geometry.inode.alloc_blocks as usize) << geometry.block_log];
    for (number, inode) in (u64::from(first)..).zip(blocks.chunks_exact_mut(size)) {
        let core = match number - u64::from(first) {
            0 => root(plan, number, inode),
            1 if metadir => metadata_root(plan, number, inode),
            2 if metadir => free(plan, number),
            1 => realtime(plan, number, Timestamp::default(), true),
            2 => realtime(plan, number, plan.time, false),
            _ => free(plan, number),
        };
        put(inode, 0, core.as_bytes());
        checksum::stamp(inode, CRC_OFFSET);
    }
    blocks
}

fn free(plan: &Plan, number: u64) -> Dinode {
    let mut core = Dinode::new_zeroed();
    core.magic = MAGIC.into();
    core.version = 3;
    core.gen_ = plan.generation.into();
    core.next_unlinked = NULL_AGINO.into();
    core.ino = number.into();
    core.uuid = plan.geometry.meta_uuid;
    core
}

fn allocated(plan: &Plan, number: u64) -> Dinode {
    let mut core = free(plan, number);
    let features = &plan.geometry.features;
    let mut flags = DiFlags2::empty();
    flags.set(DiFlags2::BIGTIME, features.bigtime);
    flags.set(DiFlags2::NREXT64, features.nrext64);
    core.flags2 = flags.bits().into();
    let time = plan.time.encode(features.bigtime).into();
    (core.atime, core.mtime, core.ctime, core.crtime) = (time, time, time, time);
    core.aformat = ForkFormat::Extents.to_disk();
    core
}

/// The root of the metadata directory: empty, and its own parent.
fn metadata_root(plan: &Plan, number: u64, inode: &mut [u8]) -> Dinode {
    let mut core = allocated(plan, number);
    core.mode = mode::DIR.into();
    core.nlink = 2.into();
    core.metatype = MetafileType::Directory.to_disk().into();
    core.flags = DIRECTORY_FLAGS.bits().into();
    core.flags2 = (core.di_flags2() | DiFlags2::METADATA).bits().into();
    core.changecount = 2.into();
    no_entries(&mut core, number, inode);
    core
}

/// Entries of a directory: none, none of them with a 64-bit number, and the parent's number.
fn no_entries(core: &mut Dinode, parent: u64, inode: &mut [u8]) {
    let mut entries = vec![0, 0];
    entries.extend((parent as u32).to_be_bytes());
    core.format = ForkFormat::Local.to_disk();
    core.size = (entries.len() as u64).into();
    put(inode, CORE_SIZE, &entries);
}

/// An empty regular file. The bitmap's access time serves as a sequence number, so it
/// starts at zero.
fn realtime(plan: &Plan, number: u64, atime: Timestamp, bitmap: bool) -> Dinode {
    let mut core = allocated(plan, number);
    core.mode = mode::REGULAR.into();
    core.nlink = 1.into();
    core.format = ForkFormat::Extents.to_disk();
    core.atime = atime.encode(plan.geometry.features.bigtime).into();
    core.changecount = 2.into();
    if bitmap {
        core.flags = DiFlags::NEWRTBM.bits().into();
    }
    core
}

/// The root directory: empty, its own parent, and with the self-healing property. The
/// forks are written behind the core in `inode`.
fn root(plan: &Plan, number: u64, inode: &mut [u8]) -> Dinode {
    let mut core = allocated(plan, number);
    core.mode = (mode::DIR | 0o755).into();
    core.nlink = 2.into();
    core.gen_ = 0.into();
    core.changecount = 2.into();
    inherit(plan, &mut core);
    no_entries(&mut core, number, inode);
    if let Some(level) = plan.self_healing {
        let attributes = attributes(level.name().as_bytes());
        let literal = inode.len() - CORE_SIZE;
        core.forkoff = ((literal - attributes.len().max(LEAST_ATTR_FORK)) / 8) as u8;
        core.aformat = ForkFormat::Local.to_disk();
        core.changecount = 4.into();
        put(inode, core.fork_range(Fork::Attr, inode.len()).start, &attributes);
    }
    core
}

/// A short form attribute fork with the self-healing property as its only attribute.
fn attributes(value: &[u8]) -> Vec<u8> {
    let total = 4 + 3 + SELF_HEALING_NAME.len() + value.len();
    let mut fork = (total as u16).to_be_bytes().to_vec();
    fork.extend([1, 0]);
    fork.extend([SELF_HEALING_NAME.len() as u8, value.len() as u8, ATTR_ROOT]);
    fork.extend(SELF_HEALING_NAME);
    fork.extend(value);
    fork
}

/// Flags and hints that the root directory hands on.
fn inherit(plan: &Plan, core: &mut Dinode) {
    let root = &plan.root;
    let mut flags = DiFlags::empty();
    flags.set(DiFlags::RTINHERIT, root.realtime);
    flags.set(DiFlags::PROJINHERIT, root.project.is_some());
    flags.set(DiFlags::EXTSZINHERIT, root.extent_size != 0);
    core.flags = flags.bits().into();
    let mut flags2 = core.di_flags2();
    flags2.set(DiFlags2::DAX, root.direct_access);
    flags2.set(DiFlags2::COWEXTSIZE, root.cow_extent_size != 0);
    core.flags2 = flags2.bits().into();
    core.extsize = root.extent_size.into();
    core.cowextsize = root.cow_extent_size.into();
    let project = root.project.unwrap_or(0);
    core.projid_lo = (project as u16).into();
    core.projid_hi = ((project >> 16) as u16).into();
}
