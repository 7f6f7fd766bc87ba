//! Extended attributes: in the inode, in leaf blocks under a hash tree, and large values in
//! blocks of their own.

mod change;
mod intent;
mod leaf;
mod lookup;
pub(crate) mod space;
mod store;
mod value;

pub use self::intent::AttrIntent;
use self::leaf::Value;
use self::lookup::Key;
use crate::btree::Cursor;
use crate::dir;
use crate::dir::fork::ForkReader;
use crate::dir::reserve;
use crate::dir::store::Params;
use crate::file::attributes::check_changeable;
use crate::format::attr::parent::ParentRecord;
use crate::format::attr::{self, AttrFlags, MAX_NAME, MAX_VALUE};
use crate::format::features::LogIncompat;
use crate::format::inode::ForkFormat;
use crate::format::log_reservation::Reservation;
use crate::inode::bmap::{self, alloc::btree_blocks_for, edit};
use crate::inode::bmbt::BmapTree;
use crate::inode::create::default_fork_offset;
use crate::inode::timestamps::inode_changed;
use crate::inode::{InodeFork, InodeLogFlags, InodeRef, WhichFork};
use crate::mount::Mount;
use crate::transaction::{Step, Transaction};
use crate::{Errno, Error, Result};

/// Whose attributes; names are unique within a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// `user.` of Linux.
    User,
    /// `trusted.` of Linux, and access control lists.
    Trusted,
    /// `security.` of Linux.
    Secure,
    /// Parent pointers, which are not shown as attributes.
    Parent,
}

impl Namespace {
    /// The bits by which the namespace is stored.
    pub fn flags(self) -> AttrFlags {
        match self {
            Namespace::User => AttrFlags::empty(),
            Namespace::Trusted => AttrFlags::ROOT,
            Namespace::Secure => AttrFlags::SECURE,
            Namespace::Parent => AttrFlags::PARENT,
        }
    }

    /// The namespace that stored bits mean.
    pub fn of(flags: AttrFlags) -> Self {
        if flags.contains(AttrFlags::PARENT) {
            Namespace::Parent
        } else if flags.contains(AttrFlags::SECURE) {
            Namespace::Secure
        } else if flags.contains(AttrFlags::ROOT) {
            Namespace::Trusted
        } else {
            Namespace::User
        }
    }
}

/// An attribute as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Namespace.
    pub namespace: Namespace,
    /// Name without a prefix for the namespace.
    pub name: Vec<u8>,
    /// Length of the value in bytes.
    pub value_len: usize,
    /// The value, if it lies beside the name.
    pub value: Option<Vec<u8>>,
}

/// Whether an attribute must exist when it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetMode {
    /// Either way.
    Any,
    /// It must not exist.
    Create,
    /// It must exist.
    Replace,
}

/// The hash that an attribute is stored under. That of a parent pointer depends on the
/// directory as well.
fn stored_hash(params: &Params, flags: AttrFlags, name: &[u8], value: &[u8]) -> u32 {
    if !flags.contains(AttrFlags::PARENT) {
        return attr::hash(name);
    }
    let directory = ParentRecord::view(value).map_or(0, |record| record.ino.get());
    params.hash(name) ^ (directory >> 32) as u32 ^ directory as u32
}

fn user_key(namespace: Namespace, name: &[u8]) -> Key<'_> {
    Key { hash: attr::hash(name), namespace: namespace.flags(), name, value: None }
}

/// The value of an attribute, `None` if there is none of that name.
///
/// # Errors
/// [`Error::Corrupt`] if the attributes are damaged; [`Error::Io`] from the device.
pub fn get(
    mount: &mut Mount,
    inode: InodeRef,
    namespace: Namespace,
    name: &[u8],
) -> Result<Option<Vec<u8>>> {
    if mount.inode(inode).attr.is_none() {
        return Ok(None);
    }
    lookup::get(&mut ForkReader::attributes(mount, inode)?, &user_key(namespace, name))
}

/// All attributes of an inode, parent pointers included.
///
/// # Errors
/// As [`get`].
pub fn list(mount: &mut Mount, inode: InodeRef) -> Result<Vec<Attribute>> {
    if mount.inode(inode).attr.is_none() {
        return Ok(Vec::new());
    }
    let stored = lookup::list(&mut ForkReader::attributes(mount, inode)?)?;
    let listed = stored.into_iter().map(|found| {
        let (value_len, value) = match found.value {
            Value::Local(value) => (value.len(), Some(value)),
            Value::Remote { len, .. } => (len as usize, None),
        };
        Attribute { namespace: Namespace::of(found.flags), name: found.name, value_len, value }
    });
    Ok(listed.collect())
}

/// Sets an attribute. After a crash it has its old value or the new one; as in Linux, space
/// of the other can be left in use by the inode then.
///
/// # Errors
/// ERANGE for an impossible name, EPERM for immutable and append-only files, E2BIG for a value of more than 64 KiB, EEXIST or ENODATA
/// as `mode` asks, ENOSPC; as [`get`].
pub fn set(
    mount: &mut Mount,
    inode: InodeRef,
    namespace: Namespace,
    name: &[u8],
    value: &[u8],
    mode: SetMode,
) -> Result<()> {
    check_name(name)?;
    check_changeable(mount, inode)?;
    if value.len() > MAX_VALUE {
        return Err(Error::os(Errno::E2BIG, format!("a value of {} bytes", value.len())));
    }
    // Looking costs a read of the value; whether there is one is all that counts.
    let exists = mode != SetMode::Any && get(mount, inode, namespace, name)?.is_some();
    match (mode, exists) {
        (SetMode::Create, true) => return Err(attribute_error(Errno::EEXIST, name)),
        (SetMode::Replace, false) => return Err(attribute_error(Errno::ENODATA, name)),
        _ => {}
    }
    if mount.inode(inode).attr.is_none() {
        add_fork_alone(mount, inode)?;
    }
    let blocks = reserve::to_set_attribute(&mount.geo, name.len(), value.len());
    let reservation = set_reservation(mount, blocks);
    let tp = Transaction::begin(mount, reservation, blocks)?;
    run(tp, inode, namespace, name, Some(value))
}

/// Removes an attribute.
///
/// # Errors
/// ENODATA if there is none of that name; EPERM as [`set`]; as [`set`].
pub fn remove(mount: &mut Mount, inode: InodeRef, namespace: Namespace, name: &[u8]) -> Result<()> {
    check_name(name)?;
    check_changeable(mount, inode)?;
    if get(mount, inode, namespace, name)?.is_none() {
        return Err(attribute_error(Errno::ENODATA, name));
    }
    let reservation = mount.reservations.attrrm;
    let blocks = reserve::to_remove(&mount.geo, WhichFork::Attr);
    let tp = Transaction::begin(mount, reservation, blocks)?;
    run(tp, inode, namespace, name, None)
}

fn check_name(name: &[u8]) -> Result<()> {
    if (1..=MAX_NAME).contains(&name.len()) && !name.contains(&0) {
        return Ok(());
    }
    Err(attribute_error(Errno::ERANGE, name))
}

fn attribute_error(errno: Errno, name: &[u8]) -> Error {
    Error::os(errno, format!("attribute {}", String::from_utf8_lossy(name)))
}

fn set_reservation(mount: &Mount, blocks: u64) -> Reservation {
    let all = &mount.reservations;
    let log_bytes = all.attrsetm.log_bytes + all.attrsetrt.log_bytes * blocks;
    Reservation { log_bytes, ..all.attrsetm }
}

/// Makes the change and commits it.
fn run(
    mut tp: Transaction<'_>,
    inode: InodeRef,
    namespace: Namespace,
    name: &[u8],
    value: Option<&[u8]>,
) -> Result<()> {
    inode_changed(&mut tp, inode);
    let mut op = AttrIntent::change(&tp, inode, namespace.flags(), name, value);
    if may_log(&tp) {
        tp.defer(op);
        return tp.commit();
    }
    while op.step(&mut tp, true)? == Step::Again {
        tp.finish_deferred()?;
        tp.roll()?;
    }
    tp.commit()
}

/// Whether intents to change attributes other than parent pointers may be in the log: only
/// if the superblock warns of them, which Linux makes it do on request alone.
fn may_log(mount: &Mount) -> bool {
    mount.sb.dsb.log_incompat().contains(LogIncompat::XATTRS)
}

/// Gives an inode an attribute fork, in a transaction of its own.
fn add_fork_alone(mount: &mut Mount, inode: InodeRef) -> Result<()> {
    let reservation = mount.reservations.addafork;
    let fs_blocks = u64::from(mount.geo.dir.fs_blocks);
    let blocks = fs_blocks + btree_blocks_for(&mount.geo, WhichFork::Data, fs_blocks);
    let mut tp = Transaction::begin(mount, reservation, blocks)?;
    add_fork(&mut tp, inode)?;
    tp.commit()
}

/// Gives an inode an empty attribute fork; what no longer fits beside it leaves the inode.
///
/// # Errors
/// ENOSPC if that needs a block and there is none.
pub(crate) fn add_fork(tp: &mut Transaction<'_>, inode: InodeRef) -> Result<()> {
    /// Bytes of an empty list of attributes: what the new fork has to hold at once.
    const EMPTY_LIST: usize = 4;
    bmap::load(tp, inode, WhichFork::Data)?;
    let geo = std::sync::Arc::clone(&tp.geo);
    let found = tp.inode_mut(inode);
    let offset = space::fork_offset_for(&geo, found, EMPTY_LIST);
    let offset = offset.unwrap_or_else(|| default_fork_offset(&geo, found.core.mode));
    found.core.forkoff = offset;
    found.attr = Some(InodeFork::default());
    let overfull = found.data.disk_bytes() > found.fork_size(&geo, WhichFork::Data);
    let (format, is_dir) = (found.data.format(), found.core.is_dir());
    tp.log_inode(inode, InodeLogFlags::CORE);
    if !overfull {
        return Ok(());
    }
    match format {
        ForkFormat::Local if is_dir => dir::leave_inode(tp, inode),
        ForkFormat::Local => crate::symlink::leave_inode(tp, inode),
        ForkFormat::Btree => {
            let tree = BmapTree::new(tp, inode, WhichFork::Data);
            Cursor::new(tp, tree).empty_inode_root(tp)
        }
        _ => edit::adjust_format(tp, inode, WhichFork::Data),
    }
}

#[cfg(test)]
mod tests;
