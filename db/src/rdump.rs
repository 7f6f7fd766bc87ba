//! Copying files out of a filesystem that need not be sound: what can be read is copied,
//! the rest is named and left out.

use crate::files::{Tree, reason};
use crate::session::Session;
use anyhow::{Context, Result, anyhow, bail};
use libfs::device::Device;
use libfs::dir;
use libfs::format::dir::FileType;
use libfs::format::geometry::{Fork, FsBlock, Ino};
use libfs::format::inode::DiFlags;
use libfs::inode::{Inode, InodeRef};
use libfs::mount::Mount;
use libfs::xattr::{self, Namespace};
use libfs::{Errno, symlink};
use rustix::fs::{self, AtFlags, CWD, FileType as HostType, Mode, Timespec, Timestamps};
use rustix::fs::{Gid, Uid, XattrFlags};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes that are copied at a time.
const PIECE: u64 = 1 << 20;

/// A copy that is under way.
pub struct Copy<'a> {
    session: &'a Session,
    files: Mount,
    /// Stop at the first thing that cannot be read.
    pub strict: bool,
    /// Something could not be read.
    pub failed: bool,
    /// What the host would not take, and whether it happened.
    refused: [(&'static str, bool); 4],
    /// Directories that the copy is in.
    above: Vec<u64>,
    /// Where files of several names were copied to.
    linked: HashMap<u64, PathBuf>,
}

/// Indices into `refused`.
const OWNERS: usize = 0;
const MODES: usize = 1;
const TIMES: usize = 2;
const ACLS: usize = 3;

impl<'a> Copy<'a> {
    /// A copy into `destination`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// An error is returned if the directory cannot be made, or the filesystem not be read.
    pub fn new(session: &'a Session, strict: bool, destination: &Path) -> Result<Self> {
        if !destination.is_dir() {
            std::fs::create_dir(destination)?;
        }
        let refused = [
            ("some file owners could not be set", false),
            ("some file modes could not be set", false),
            ("some file times could not be set", false),
            ("some ACLs could not be translated", false),
        ];
        let files = session.files()?;
        Ok(Copy {
            session,
            files,
            strict,
            failed: false,
            refused,
            above: Vec::new(),
            linked: HashMap::new(),
        })
    }

    /// Copies what `path` names: as a new child of `destination`, or if it is a directory
    /// and the only one, its children.
    ///
    /// # Errors
    ///
    /// An error is returned if it cannot be found, or copied at all, and if the copy is strict
    /// at the first failure.
    pub fn path(&mut self, path: &str, destination: &Path, only: bool) -> Result<()> {
        let found = self.session.resolve(&mut self.files, Tree::Files, path);
        let ino = found.map_err(|error| anyhow!("{path}: {}", reason(&error)))?;
        let inode = self.open(ino.0).with_context(|| path.to_owned())?;
        let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let directory = self.files.inode(inode).core.is_dir();
        if directory && (only || ["", ".", ".."].contains(&name)) {
            return self.directory(inode, destination);
        }
        let name = name.trim_matches('"');
        self.file(inode, &destination.join(if name.is_empty() { "root" } else { name }))
    }

    /// Says what the host would not take.
    pub fn summarize(&self, destination: &Path) {
        for (what, _) in self.refused.iter().filter(|(_, happened)| *happened) {
            eprintln!("{}: {what}", destination.display());
        }
    }

    fn open(&mut self, ino: u64) -> Result<InodeRef> {
        self.files.iget(ino).map_err(|error| anyhow!("{}", reason(&error)))
    }

    /// Goes on after a failure, unless the copy is strict.
    fn tolerate(&mut self, result: Result<()>, path: &Path) -> Result<()> {
        let Err(error) = result else { return Ok(()) };
        self.failed = true;
        let error = error.context(path.display().to_string());
        if self.strict {
            return Err(error);
        }
        eprintln!("{error:#}");
        Ok(())
    }

    /// Copies one file of any kind to `path`, which must not exist.
    fn file(&mut self, inode: InodeRef, path: &Path) -> Result<()> {
        let found = self.files.inode(inode);
        let (ino, core) = (found.ino, &found.core);
        if core.nlink > 1 && !core.is_dir() {
            let first = self.linked.get(&ino);
            if first.is_some_and(|first| std::fs::hard_link(first, path).is_ok()) {
                return Ok(());
            }
            self.linked.insert(ino, path.to_owned());
        }
        let mode = Mode::from_raw_mode(0o600);
        let (kind, device) = match FileType::from_mode(core.mode) {
            FileType::Directory => {
                if !path.is_dir() {
                    std::fs::create_dir(path)?;
                }
                return self.directory(inode, path);
            }
            FileType::Regular => {
                self.contents(inode, path)?;
                return self.attributes(inode, path);
            }
            FileType::Symlink => {
                let target = symlink::read(&mut self.files, inode);
                let target = target.map_err(|error| anyhow!("{}", reason(&error)))?;
                std::os::unix::fs::symlink(OsStr::from_bytes(&target), path)?;
                return self.attributes(inode, path);
            }
            FileType::CharDevice => (HostType::CharacterDevice, device(self.files.inode(inode))),
            FileType::BlockDevice => (HostType::BlockDevice, device(self.files.inode(inode))),
            FileType::Fifo => (HostType::Fifo, 0),
            FileType::Socket => (HostType::Socket, 0),
            _ => bail!("unknown kind of file"),
        };
        fs::mknodat(CWD, path, kind, mode, device)?;
        self.attributes(inode, path)
    }

    /// Copies what a directory holds into the directory `path`, and its attributes.
    fn directory(&mut self, inode: InodeRef, path: &Path) -> Result<()> {
        let ino = self.files.inode(inode).ino;
        if self.above.contains(&ino) {
            bail!("directory {ino} is in itself");
        }
        self.above.push(ino);
        let copied = self.children(inode, path);
        self.above.pop();
        copied?;
        // Times last: filling the directory changes them.
        self.attributes(inode, path)
    }

    fn children(&mut self, inode: InodeRef, path: &Path) -> Result<()> {
        let mut names = Vec::new();
        let listed = dir::for_each(&mut self.files, inode, |entry| {
            names.push((entry.name, entry.ino));
            Ok(std::ops::ControlFlow::Continue(()))
        });
        let listed = listed.map_err(|error| anyhow!("{}", reason(&error)));
        self.tolerate(listed, path)?;
        for (name, ino) in names {
            if name == b"." || name == b".." {
                continue;
            }
            let child = path.join(OsStr::from_bytes(&name));
            let copied = if name.contains(&b'/') || name.contains(&0) {
                Err(anyhow!("is no name"))
            } else {
                self.open(ino).and_then(|inode| self.file(inode, &child))
            };
            self.tolerate(copied, &child)?;
            self.files.trim_caches();
        }
        Ok(())
    }

    /// Copies the data of a regular file. Holes and what was never written stay holes.
    fn contents(&mut self, inode: InodeRef, path: &Path) -> Result<()> {
        let found = self.files.inode(inode);
        let (ino, size) = (found.ino, found.core.size);
        let realtime = found.core.flags.contains(DiFlags::REALTIME);
        let file = File::options().write(true).create(true).truncate(true).open(path)?;
        file.set_len(size)?;
        let mapping = self.session.mapping_of(Ino(ino), Fork::Data)?;
        let block = u64::from(self.session.geo.block_size);
        for extent in mapping.extents.iter().filter(|extent| !extent.unwritten) {
            let start = extent.offset.saturating_mul(block);
            let end = extent.end().saturating_mul(block).min(size);
            let mut at = start;
            while at < end {
                let len = PIECE.min(end - at);
                let copied = self
                    .data(extent.start, at - start, len, realtime)
                    .and_then(|bytes| Ok(file.write_all_at(&bytes, at)?));
                self.tolerate(copied, path)?;
                at += len;
            }
        }
        Ok(())
    }

    /// `len` bytes of an extent, from its byte `offset` on.
    fn data(&self, start: FsBlock, offset: u64, len: u64, realtime: bool) -> Result<Vec<u8>> {
        let geo = &self.session.geo;
        let (device, first): (&dyn Device, u64) = match &self.session.realtime {
            _ if !realtime => (&*self.session.device, geo.fsblock_byte(start)),
            other if geo.realtime.is_internal() || other.is_some() => {
                let daddr = geo.rt_block_daddr(start.0);
                let device: &dyn Device = match other {
                    Some(other) => other,
                    None => &*self.session.device,
                };
                (device, daddr.saturating_mul(512))
            }
            _ => bail!("the realtime device is not given"),
        };
        let mut bytes = vec![0; usize::try_from(len)?];
        device.read_at(&mut bytes, first.saturating_add(offset))?;
        Ok(bytes)
    }

    /// Gives `path` the extended attributes, owner, mode and times of an inode. What the host
    /// will not take is said once at the end.
    fn attributes(&mut self, inode: InodeRef, path: &Path) -> Result<()> {
        let listed = xattr::list(&mut self.files, inode);
        let listed = listed.map_err(|error| anyhow!("{}", reason(&error)));
        match listed {
            Ok(listed) => {
                for found in listed {
                    self.attribute(inode, path, &found)?;
                }
            }
            Err(error) => self.tolerate(Err(error), path)?,
        }
        let core = &self.files.inode(inode).core;
        let link = AtFlags::SYMLINK_NOFOLLOW;
        let (uid, gid) = (Uid::from_raw(core.uid), Gid::from_raw(core.gid));
        let time = |time: libfs::format::inode::Timestamp| Timespec {
            tv_sec: time.seconds,
            tv_nsec: time.nanos.into(),
        };
        let times =
            Timestamps { last_access: time(core.atime), last_modification: time(core.mtime) };
        let mode = Mode::from_raw_mode(u32::from(core.mode) & 0o7777);
        let symlink = core.is_symlink();
        let owned = fs::chownat(CWD, path, Some(uid), Some(gid), link);
        self.note(OWNERS, owned.is_ok());
        // Modes of symbolic links cannot be set and mean nothing.
        let moded = symlink || fs::chmodat(CWD, path, mode, AtFlags::empty()).is_ok();
        self.note(MODES, moded);
        let timed = fs::utimensat(CWD, path, &times, link);
        self.note(TIMES, timed.is_ok());
        Ok(())
    }

    fn note(&mut self, what: usize, taken: bool) {
        if let Some((_, happened)) = self.refused.get_mut(what) {
            *happened |= !taken;
        }
    }

    fn attribute(&mut self, inode: InodeRef, path: &Path, found: &xattr::Attribute) -> Result<()> {
        let value = match &found.value {
            Some(value) => value.clone(),
            None => {
                let value = xattr::get(&mut self.files, inode, found.namespace, &found.name);
                match value {
                    Ok(value) => value.unwrap_or_default(),
                    Err(error) => {
                        return self.tolerate(Err(anyhow!("{}", reason(&error))), path);
                    }
                }
            }
        };
        let acl = match &found.name[..] {
            b"SGI_ACL_FILE" => Some("system.posix_acl_access"),
            b"SGI_ACL_DEFAULT" => Some("system.posix_acl_default"),
            _ => None,
        };
        let (name, value) = match (found.namespace, acl) {
            (Namespace::Parent, _) => return Ok(()),
            (Namespace::Trusted, Some(acl)) => match translate_acl(&value) {
                Some(value) => (acl.as_bytes().to_vec(), value),
                None => {
                    self.note(ACLS, false);
                    return Ok(());
                }
            },
            (Namespace::User, _) => ([b"user.", &found.name[..]].concat(), value),
            (Namespace::Trusted, _) => ([b"trusted.", &found.name[..]].concat(), value),
            (Namespace::Secure, _) => ([b"security.", &found.name[..]].concat(), value),
        };
        if let Err(error) = fs::lsetxattr(path, &name[..], &value, XattrFlags::empty()) {
            let name = String::from_utf8_lossy(&name).into_owned();
            let why = Errno::from_raw(error.raw_os_error()).desc();
            eprintln!("{}: fsetxattr \"{name}\" {why}", path.display());
        }
        Ok(())
    }
}

/// The device number of a device file.
fn device(inode: &Inode) -> u64 {
    match &inode.data {
        // As Linux had it in System V's format: 14 bits of major, 18 of minor number.
        libfs::inode::fork::InodeFork::Dev(dev) => fs::makedev(dev >> 18, dev & 0x3ffff),
        _ => 0,
    }
}

/// An access control list of XFS as the host's attributes hold it: entries of tag, id and
/// permissions become little-endian, behind a version.
fn translate_acl(value: &[u8]) -> Option<Vec<u8>> {
    let (count, entries) = value.split_first_chunk::<4>()?;
    let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
    let mut out = 2u32.to_le_bytes().to_vec();
    for entry in entries.chunks_exact(12).take(count) {
        let (tag, rest) = entry.split_first_chunk::<4>()?;
        let (id, rest) = rest.split_first_chunk::<4>()?;
        let permissions = rest.first_chunk::<2>()?;
        let (tag, id) = (u32::from_be_bytes(*tag), u32::from_be_bytes(*id));
        out.extend(u16::try_from(tag).ok()?.to_le_bytes());
        out.extend(u16::from_be_bytes(*permissions).to_le_bytes());
        out.extend(id.to_le_bytes());
    }
    Some(out)
}
