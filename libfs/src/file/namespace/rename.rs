//! Renaming, replacing and exchanging names.

use super::remove::forget_parent;
use super::{
    MAX_LINKS, add_link, begin_even_if_full, check_name, drop_link, entries_changed, find,
    find_existing, ftype_of, inode_changed, is_dots, name_error,
};
use crate::dir::reserve;
use crate::file::attributes::{check_may_add, check_may_remove, check_project};
use crate::format::dir::FileType;
use crate::inode::{InodeRef, WhichFork};
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Errno, Error, Result, dir, parent};
use bitflags::bitflags;

bitflags! {
    /// What a rename may do (`RENAME_*` of Linux).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct RenameFlags: u32 {
        /// Fail if the new name exists.
        const NOREPLACE = 1;
        /// Exchange both names, which must exist.
        const EXCHANGE = 2;
    }
}

/// One side of a rename.
#[derive(Debug, Clone, Copy)]
struct Side<'a> {
    dir: InodeRef,
    name: &'a [u8],
}

/// Moves the name `old_name` of `old_dir` to `new_name` of `new_dir`, replacing what has that
/// name, all in one step.
///
/// # Errors
/// ENOENT, EEXIST, ENOTDIR, EISDIR, ENOTEMPTY; EINVAL for moving a directory into itself;
/// EPERM for what is immutable or append-only; EXDEV for a directory of another project;
/// EBUSY for "." and ".."; EMLINK; ENOSPC; errors of reading and writing metadata.
pub fn rename(
    mount: &mut Mount,
    old_dir: InodeRef,
    old_name: &[u8],
    new_dir: InodeRef,
    new_name: &[u8],
    flags: RenameFlags,
) -> Result<()> {
    let from = Side { dir: old_dir, name: old_name };
    let to = Side { dir: new_dir, name: new_name };
    for side in [from, to] {
        check_name(side.name)?;
        if is_dots(side.name) {
            return Err(name_error(Errno::EBUSY, side.name));
        }
    }
    if flags == RenameFlags::all() {
        return Err(name_error(Errno::EINVAL, old_name));
    }
    let source = find_existing(mount, old_dir, old_name)?;
    let target = find(mount, new_dir, new_name)?;
    if mount.inode(new_dir).core.nlink == 0 {
        return Err(name_error(Errno::ENOENT, new_name));
    }
    if mount.inode(source).core.is_dir() {
        check_not_above(mount, source, new_dir, Errno::EINVAL)?;
    }
    match target {
        Some(_) if flags.contains(RenameFlags::NOREPLACE) => {
            Err(name_error(Errno::EEXIST, new_name))
        }
        None if flags.contains(RenameFlags::EXCHANGE) => Err(name_error(Errno::ENOENT, new_name)),
        Some(target) if target == source => Ok(()),
        _ => {
            check_permitted(mount, from, source, to, target)?;
            run(mount, from, source, to, target, flags)
        }
    }
}

/// Refuses what immutable and append-only files and directories do not allow, and a name in
/// a directory of another project.
fn check_permitted(
    mount: &Mount,
    from: Side<'_>,
    source: InodeRef,
    to: Side<'_>,
    target: Option<InodeRef>,
) -> Result<()> {
    check_may_remove(mount, from.dir, source)?;
    match target {
        Some(target) => check_may_remove(mount, to.dir, target)?,
        None => check_may_add(mount, to.dir)?,
    }
    check_project(mount, to.dir, source)
}

fn run(
    mount: &mut Mount,
    from: Side<'_>,
    source: InodeRef,
    to: Side<'_>,
    target: Option<InodeRef>,
    flags: RenameFlags,
) -> Result<()> {
    match target {
        Some(target) if flags.contains(RenameFlags::EXCHANGE) => {
            exchange(mount, from, source, to, target)
        }
        Some(target) => {
            check_replaceable(mount, source, target, from, to)?;
            move_name(mount, from, source, to, Some(target))
        }
        None => move_name(mount, from, source, to, None),
    }
}

/// Refuses with `errno` if `dir` is `top` or lies below it.
fn check_not_above(mount: &mut Mount, top: InodeRef, dir: InodeRef, errno: Errno) -> Result<()> {
    let root = mount.geo.root_ino.0;
    let top = mount.inode(top).ino;
    let mut at = dir;
    // No tree is deeper than it has directories, and each takes an inode.
    for _ in 0..=mount.counters.icount {
        let ino = mount.inode(at).ino;
        if ino == top {
            return Err(Error::os(errno, "a directory cannot be inside itself"));
        }
        if ino == root {
            return Ok(());
        }
        at = find_existing(mount, at, b"..")?;
    }
    let at = crate::At::Inode(mount.inode(dir).ino);
    Err(Error::corrupt("directory", at, "the way up does not lead to the root"))
}

/// Refuses to replace what must not be replaced by `source`.
fn check_replaceable(
    mount: &mut Mount,
    source: InodeRef,
    target: InodeRef,
    from: Side<'_>,
    to: Side<'_>,
) -> Result<()> {
    let (moves_dir, replaces_dir) =
        (mount.inode(source).core.is_dir(), mount.inode(target).core.is_dir());
    match (moves_dir, replaces_dir) {
        (true, false) => Err(name_error(Errno::ENOTDIR, to.name)),
        (false, true) => Err(name_error(Errno::EISDIR, to.name)),
        (false, false) => Ok(()),
        (true, true) => {
            check_not_above(mount, target, from.dir, Errno::ENOTEMPTY)?;
            if mount.inode(target).core.nlink > 2 || !dir::is_empty(mount, target)? {
                return Err(name_error(Errno::ENOTEMPTY, to.name));
            }
            Ok(())
        }
    }
}

fn begin<'m>(
    mount: &'m mut Mount,
    from: Side<'_>,
    to: Side<'_>,
) -> Result<(Transaction<'m>, bool)> {
    let geo = &mount.geo;
    let blocks = reserve::to_remove(geo, WhichFork::Data)
        + reserve::to_add(geo, WhichFork::Data)
        + reserve::for_parent_pointer(geo, from.name.len())
        + reserve::for_parent_pointer(geo, to.name.len());
    let reservation = mount.reservations.rename;
    begin_even_if_full(mount, reservation, blocks)
}

fn move_name(
    mount: &mut Mount,
    from: Side<'_>,
    source: InodeRef,
    to: Side<'_>,
    target: Option<InodeRef>,
) -> Result<()> {
    let is_dir = mount.inode(source).core.is_dir();
    let new_parent = from.dir != to.dir;
    if is_dir && new_parent && target.is_none() && mount.inode(to.dir).core.nlink >= MAX_LINKS {
        return Err(name_error(Errno::EMLINK, to.name));
    }
    let parent_pointers = mount.geo.features.parent;
    let (mut tp, reserved) = begin(mount, from, to)?;
    let takes_no_block = |tp: &mut Transaction<'_>| -> Result<bool> {
        Ok(!parent_pointers && (target.is_some() || dir::has_room(tp, to.dir, to.name)?))
    };
    if !reserved && !takes_no_block(&mut tp)? {
        return Err(name_error(Errno::ENOSPC, to.name));
    }
    let (ino, ftype) = (tp.inode(source).ino, ftype_of(&tp, source));
    match target {
        None => {
            dir::add(&mut tp, to.dir, to.name, ino, ftype)?;
            entries_changed(&mut tp, to.dir);
            if new_parent && is_dir {
                add_link(&mut tp, to.dir);
            }
        }
        Some(target) => {
            dir::replace(&mut tp, to.dir, to.name, ino, ftype)?;
            entries_changed(&mut tp, to.dir);
            if is_dir {
                // The "." of the directory that is replaced.
                drop_link(&mut tp, target)?;
                forget_parent(&mut tp, target)?;
            }
            drop_link(&mut tp, target)?;
        }
    }
    if new_parent && is_dir {
        set_parent(&mut tp, source, to.dir)?;
    }
    inode_changed(&mut tp, source);
    if is_dir && (new_parent || target.is_some()) {
        // The ".." that no longer leads there.
        drop_link(&mut tp, from.dir)?;
    }
    dir::remove(&mut tp, from.dir, from.name)?;
    entries_changed(&mut tp, from.dir);
    parent::replace(&mut tp, source, (from.dir, from.name), (to.dir, to.name));
    if let Some(target) = target {
        parent::remove(&mut tp, target, to.dir, to.name);
    }
    tp.commit()?;
    target.map_or(Ok(()), |target| mount.free_if_unused(target))
}

/// Makes ".." of `inode` lead to `dir`.
fn set_parent(tp: &mut Transaction<'_>, inode: InodeRef, dir: InodeRef) -> Result<()> {
    let ino = tp.inode(dir).ino;
    dir::replace(tp, inode, b"..", ino, FileType::Directory.to_disk())
}

fn exchange(
    mount: &mut Mount,
    from: Side<'_>,
    source: InodeRef,
    to: Side<'_>,
    target: InodeRef,
) -> Result<()> {
    let is_dir = |mount: &Mount, inode: InodeRef| mount.inode(inode).core.is_dir();
    if is_dir(mount, target) {
        check_not_above(mount, target, from.dir, Errno::EINVAL)?;
    }
    let new_parent = from.dir != to.dir;
    let (source_is_dir, target_is_dir) = (is_dir(mount, source), is_dir(mount, target));
    for (side, gains) in
        [(from, target_is_dir && !source_is_dir), (to, source_is_dir && !target_is_dir)]
    {
        if new_parent && gains && mount.inode(side.dir).core.nlink >= MAX_LINKS {
            return Err(name_error(Errno::EMLINK, side.name));
        }
    }
    let parent_pointers = mount.geo.features.parent;
    let (mut tp, reserved) = begin(mount, from, to)?;
    if !reserved && parent_pointers {
        return Err(name_error(Errno::ENOSPC, to.name));
    }
    let entry = |tp: &Transaction<'_>, inode| (tp.inode(inode).ino, ftype_of(tp, inode));
    let (source_ino, source_type) = entry(&tp, source);
    let (target_ino, target_type) = entry(&tp, target);
    dir::replace(&mut tp, from.dir, from.name, target_ino, target_type)?;
    dir::replace(&mut tp, to.dir, to.name, source_ino, source_type)?;
    if new_parent {
        if target_is_dir {
            set_parent(&mut tp, target, from.dir)?;
            if !source_is_dir {
                add_link(&mut tp, from.dir);
                drop_link(&mut tp, to.dir)?;
            }
        }
        if source_is_dir {
            set_parent(&mut tp, source, to.dir)?;
            if !target_is_dir {
                add_link(&mut tp, to.dir);
                drop_link(&mut tp, from.dir)?;
            }
        }
    }
    inode_changed(&mut tp, source);
    inode_changed(&mut tp, target);
    entries_changed(&mut tp, from.dir);
    entries_changed(&mut tp, to.dir);
    parent::replace(&mut tp, source, (from.dir, from.name), (to.dir, to.name));
    parent::replace(&mut tp, target, (to.dir, to.name), (from.dir, from.name));
    tp.commit()
}
