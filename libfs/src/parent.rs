//! Parent pointers: for each of its names an inode has an attribute that says in which
//! directory the name is. All of this does nothing on filesystems without them.

use crate::format::attr::parent::ParentRecord;
use crate::format::geometry::Ino;
use crate::format::log::AttrOperation;
use crate::inode::InodeRef;
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::xattr::{self, AttrIntent, Namespace};
use crate::{At, Error, Result};
use zerocopy::IntoBytes;

/// A name of an inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// Inode number of the directory.
    pub ino: u64,
    /// Generation of the directory.
    pub generation: u32,
    /// The name there.
    pub name: Vec<u8>,
}

fn record(mount: &Mount, dir: InodeRef) -> [u8; size_of::<ParentRecord>()] {
    let dir = mount.inode(dir);
    let record = ParentRecord::new(Ino(dir.ino), dir.core.generation);
    let mut bytes = [0; size_of::<ParentRecord>()];
    bytes.copy_from_slice(record.as_bytes());
    bytes
}

/// Queues that `inode` has got the name `name` in `dir`.
pub fn add(tp: &mut Transaction<'_>, inode: InodeRef, dir: InodeRef, name: &[u8]) {
    queue(tp, inode, AttrOperation::ParentSet, dir, name);
}

/// Queues that `inode` has lost the name `name` in `dir`.
pub fn remove(tp: &mut Transaction<'_>, inode: InodeRef, dir: InodeRef, name: &[u8]) {
    queue(tp, inode, AttrOperation::ParentRemove, dir, name);
}

fn queue(
    tp: &mut Transaction<'_>,
    inode: InodeRef,
    operation: AttrOperation,
    dir: InodeRef,
    name: &[u8],
) {
    if tp.geo.features.parent {
        let value = record(tp, dir);
        let intent = AttrIntent::parent(tp, inode, operation, name, &value);
        tp.defer(intent);
    }
}

/// Queues that a name of `inode` has changed from the first to the second.
pub fn replace(
    tp: &mut Transaction<'_>,
    inode: InodeRef,
    (old_dir, old_name): (InodeRef, &[u8]),
    (new_dir, new_name): (InodeRef, &[u8]),
) {
    if tp.geo.features.parent {
        let (old, new) = (record(tp, old_dir), record(tp, new_dir));
        let intent = AttrIntent::parent_replace(tp, inode, (old_name, &old), (new_name, &new));
        tp.defer(intent);
    }
}

/// All names of an inode, as its parent pointers have them.
///
/// # Errors
/// [`Error::Corrupt`] if a parent pointer or the attributes are damaged; [`Error::Io`].
pub fn list(mount: &mut Mount, inode: InodeRef) -> Result<Vec<Parent>> {
    let at = At::Inode(mount.inode(inode).ino);
    let all = xattr::list(mount, inode)?.into_iter();
    all.filter(|found| found.namespace == Namespace::Parent)
        .map(|found| match found.value {
            Some(value) if value.len() == size_of::<ParentRecord>() => {
                let record = ParentRecord::view(&value)?;
                let (ino, generation) = (record.ino.get(), record.gen_.get());
                Ok(Parent { ino, generation, name: found.name })
            }
            _ => Err(Error::corrupt("parent pointer", at, "its value has the wrong length")),
        })
        .collect()
}
