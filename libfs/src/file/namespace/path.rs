//! From paths to inodes.

use super::{check_name, find_existing, is_dots, name_error};
use crate::inode::InodeRef;
use crate::mount::Mount;
use crate::{Errno, Result, symlink};

/// Longest path in bytes, and most symbolic links followed on the way.
const MAX_PATH: usize = 4095;
const MAX_LINKS_FOLLOWED: usize = 40;

/// The inode at `path`, which begins at the root directory whether or not with a "/".
/// Symbolic links are followed; the last part's only if `follow_last`, or if a "/" is
/// behind it.
///
/// # Errors
/// ENOENT, ENOTDIR, ELOOP and ENAMETOOLONG as on Linux; errors of reading directories.
pub fn resolve(mount: &mut Mount, path: &[u8], follow_last: bool) -> Result<InodeRef> {
    let root = mount.iget(mount.geo.root_ino.0)?;
    walk(mount, root, path, follow_last)
}

/// The directory that holds, or would hold, the last part of `path`, and that part, which
/// may be "." or "..".
///
/// # Errors
/// As [`resolve`]; EEXIST if the path is the root directory, which has no name.
pub fn resolve_parent(mount: &mut Mount, path: &[u8]) -> Result<(InodeRef, Vec<u8>)> {
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    let path = &path[..end];
    let start = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let (parent, name) = path.split_at(start);
    if name.is_empty() {
        return Err(name_error(Errno::EEXIST, b"/"));
    }
    check_name(name)?;
    let dir = resolve(mount, parent, true)?;
    if !mount.inode(dir).core.is_dir() {
        return Err(name_error(Errno::ENOTDIR, parent));
    }
    Ok((dir, name.to_vec()))
}

fn walk(mount: &mut Mount, start: InodeRef, path: &[u8], follow_last: bool) -> Result<InodeRef> {
    if path.len() > MAX_PATH {
        return Err(name_error(Errno::ENAMETOOLONG, path));
    }
    let root = mount.iget(mount.geo.root_ino.0)?;
    let mut at = start;
    // Parts still to go, the next one last.
    let mut rest: Vec<Vec<u8>> = parts(path);
    let needs_directory = path.ends_with(b"/");
    let mut followed = 0;
    while let Some(part) = rest.pop() {
        if !mount.inode(at).core.is_dir() {
            return Err(name_error(Errno::ENOTDIR, path));
        }
        if !is_dots(&part) {
            check_name(&part)?;
        }
        let next = find_existing(mount, at, &part)?;
        let last = rest.is_empty() && !needs_directory;
        if !mount.inode(next).core.is_symlink() || last && !follow_last {
            at = next;
            continue;
        }
        followed += 1;
        if followed > MAX_LINKS_FOLLOWED {
            return Err(name_error(Errno::ELOOP, path));
        }
        let target = symlink::read(mount, next)?;
        if target.starts_with(b"/") {
            at = root;
        }
        rest.extend(parts(&target));
    }
    if needs_directory && !mount.inode(at).core.is_dir() {
        return Err(name_error(Errno::ENOTDIR, path));
    }
    Ok(at)
}

/// The parts of a path, the first one last.
fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty());
    parts.rev().map(<[u8]>::to_vec).collect()
}
