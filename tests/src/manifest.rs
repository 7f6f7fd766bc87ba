//! Everything a tree of files holds, as lines that can be compared.
//!
//! One line per file, sorted by path, fields separated by tabs:
//!
//! ```text
//! path  type  mode  uid:gid  links  size  content  target  extended attributes
//! ```
//!
//! The content field is a CRC32C over each non-zero 4 KiB piece and its offset, so holes,
//! unwritten extents and written zeros are all the same, and huge sparse files are cheap.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::Path;

use anyhow::{Context, Result};

use crate::sparse::data_from;

/// Bytes summed at a time; a piece of zeros does not count.
const PIECE: u64 = 4096;

/// A tree of files: from path below the root (escaped as by [`escape`], the root itself is
/// `.`) to what is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// The files by path.
    pub files: BTreeMap<String, Entry>,
}

/// One file, directory, symbolic link, device, FIFO or socket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// `file`, `dir`, `link`, `fifo`, `socket`, or `char:MAJOR:MINOR` and `block:MAJOR:MINOR`.
    pub kind: String,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Number of links; for directories too.
    pub links: u64,
    /// Size in bytes; 0 for directories, whose size depends on their format.
    pub size: u64,
    /// Checksum of a regular file's content, see [`Content`].
    pub content: u32,
    /// Target of a symbolic link, escaped.
    pub target: String,
    /// Extended attributes: full name (`user.x`) to value, both escaped.
    pub xattrs: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads the tree at `root`.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn of(root: &Path) -> Result<Self> {
        let mut manifest = Manifest::default();
        let mut pending = vec![root.to_owned()];
        while let Some(path) = pending.pop() {
            let entry = Entry::of(&path).with_context(|| path.display().to_string())?;
            if entry.kind == "dir" {
                for child in fs::read_dir(&path)? {
                    pending.push(child?.path());
                }
            }
            let below = path.strip_prefix(root).unwrap_or(&path).as_os_str().as_bytes();
            let name = if below.is_empty() { ".".to_owned() } else { escape(below) };
            manifest.files.insert(name, entry);
        }
        Ok(manifest)
    }

    /// Reads a manifest from its printed lines.
    ///
    /// # Errors
    ///
    /// When a line is not a manifest's.
    pub fn parse(text: &str) -> Result<Self> {
        let mut manifest = Manifest::default();
        for line in text.lines() {
            let (path, entry) = parse_line(line).with_context(|| format!("manifest: {line:?}"))?;
            manifest.files.insert(path, entry);
        }
        Ok(manifest)
    }

    /// The lines that are only in one of the two, at most `limit`, marked `-` (only here)
    /// and `+` (only in `other`).
    pub fn differences(&self, other: &Manifest, limit: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let paths = self.files.keys().chain(other.files.keys());
        let paths: std::collections::BTreeSet<&String> = paths.collect();
        for path in paths {
            let (here, there) = (self.files.get(path), other.files.get(path));
            if here != there {
                lines.extend(here.map(|entry| format!("- {path}\t{entry}")));
                lines.extend(there.map(|entry| format!("+ {path}\t{entry}")));
            }
        }
        lines.truncate(limit);
        lines
    }

    /// Asserts that both trees hold the same.
    ///
    /// # Panics
    ///
    /// With the first differing lines, when they do not.
    #[track_caller]
    pub fn assert_same(&self, other: &Manifest) {
        let lines = self.differences(other, 40);
        assert!(lines.is_empty(), "the trees differ:\n{}", lines.join("\n"));
    }
}

impl Entry {
    /// Reads the file at `path`, not following a symbolic link.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn of(path: &Path) -> Result<Self> {
        let status = fs::symlink_metadata(path)?;
        let kind = status.file_type();
        let mut entry = Entry {
            mode: status.mode() & 0o7777,
            uid: status.uid(),
            gid: status.gid(),
            links: status.nlink(),
            xattrs: read_xattrs(path)?,
            ..Entry::default()
        };
        if kind.is_file() {
            entry.kind = "file".to_owned();
            entry.size = status.len();
            entry.content = Content::of_file(&File::open(path)?, status.len())?;
        } else if kind.is_symlink() {
            entry.kind = "link".to_owned();
            entry.size = status.len();
            entry.target = escape(fs::read_link(path)?.as_os_str().as_bytes());
        } else if kind.is_dir() {
            entry.kind = "dir".to_owned();
        } else if kind.is_fifo() {
            entry.kind = "fifo".to_owned();
        } else if kind.is_socket() {
            entry.kind = "socket".to_owned();
        } else {
            let device = status.rdev();
            let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
            let name = if kind.is_char_device() { "char" } else { "block" };
            entry.kind = format!("{name}:{major}:{minor}");
        }
        Ok(entry)
    }
}

/// The checksum of a file's content, fed piece by piece in order of offset.
#[derive(Debug, Clone, Copy, Default)]
pub struct Content {
    sum: u32,
}

impl Content {
    /// Adds the piece of the file at `offset`, a multiple of 4096; pieces are 4096 bytes
    /// (the last one may be shorter). Zero pieces may be left out.
    pub fn add(&mut self, offset: u64, piece: &[u8]) {
        if piece.iter().any(|byte| *byte != 0) {
            self.sum = crc32c::crc32c_append(self.sum, &offset.to_le_bytes());
            self.sum = crc32c::crc32c_append(self.sum, piece);
        }
    }

    /// The checksum of all that was added.
    pub fn sum(self) -> u32 {
        self.sum
    }

    /// The checksum of a whole content in memory.
    pub fn of_bytes(bytes: &[u8]) -> u32 {
        let mut content = Content::default();
        for (index, piece) in bytes.chunks(PIECE as usize).enumerate() {
            content.add(index as u64 * PIECE, piece);
        }
        content.sum()
    }

    /// The checksum of `file`, `length` bytes long, reading only its data.
    fn of_file(file: &File, length: u64) -> Result<u32> {
        let mut content = Content::default();
        let mut offset = 0;
        let mut buffer = vec![0; (1 << 20) + 2 * PIECE as usize];
        while let Some(range) = data_from(file, offset, length)? {
            let start = (range.start / PIECE * PIECE).max(offset);
            let end = range.end.next_multiple_of(PIECE).min(length);
            let data = &mut buffer[..(end - start) as usize];
            file.read_exact_at(data, start)?;
            for (index, piece) in data.chunks(PIECE as usize).enumerate() {
                content.add(start + index as u64 * PIECE, piece);
            }
            offset = end;
        }
        Ok(content.sum())
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, entry) in &self.files {
            writeln!(f, "{path}\t{entry}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { kind, mode, uid, gid, links, size, content, target, xattrs } = self;
        write!(f, "{kind}\t{mode:04o}\t{uid}:{gid}\t{links}\t{size}\t{content:08x}\t{target}\t")?;
        let pairs: Vec<String> =
            xattrs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        f.write_str(&pairs.join(","))
    }
}

/// One printed line, back to what it says.
fn parse_line(line: &str) -> Result<(String, Entry)> {
    let mut fields = line.split('\t');
    let mut next = || fields.next().context("too few fields");
    let path = next()?.to_owned();
    let kind = next()?.to_owned();
    let mode = u32::from_str_radix(next()?, 8)?;
    let (uid, gid) = next()?.split_once(':').context("no colon")?;
    let (uid, gid) = (uid.parse()?, gid.parse()?);
    let (links, size) = (next()?.parse()?, next()?.parse()?);
    let content = u32::from_str_radix(next()?, 16)?;
    let target = next()?.to_owned();
    let mut xattrs = BTreeMap::new();
    for pair in next()?.split(',').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').context("no value")?;
        xattrs.insert(name.to_owned(), value.to_owned());
    }
    Ok((path, Entry { kind, mode, uid, gid, links, size, content, target, xattrs }))
}

/// The extended attributes of `path` itself.
fn read_xattrs(path: &Path) -> Result<BTreeMap<String, String>> {
    use rustix::fs::{lgetxattr, llistxattr};
    let mut names = vec![0_u8; 1 << 16];
    let length = match llistxattr(path, &mut names[..]) {
        Ok(length) => length,
        Err(rustix::io::Errno::NOTSUP) => 0,
        Err(error) => return Err(error.into()),
    };
    let mut found = BTreeMap::new();
    let mut value = vec![0_u8; 1 << 16];
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let size = lgetxattr(path, name, &mut value[..])?;
        found.insert(escape(name), escape(&value[..size]));
    }
    Ok(found)
}

/// Printable form of any bytes: letters, digits and `._-/+@:` as they are, the rest as `%XX`.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"._-/+@:".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_lines_read_back() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a b"), vec![7; 10_000]).unwrap();
        std::os::unix::fs::symlink("some\twhere", dir.path().join("s")).unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        fs::hard_link(dir.path().join("a b"), dir.path().join("d/again")).unwrap();
        let manifest = Manifest::of(dir.path()).unwrap();
        assert_eq!(manifest.files["a%20b"].links, 2);
        assert_eq!(manifest.files["a%20b"].content, Content::of_bytes(&[7; 10_000]));
        assert_eq!(manifest.files["s"].target, "some%09where");
        let again = Manifest::parse(&manifest.to_string()).unwrap();
        manifest.assert_same(&again);
        assert_eq!(again.files.len(), 5);
    }

    #[test]
    fn holes_and_zeros_are_the_same_content() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        let mut bytes = vec![0; 3 << 20];
        bytes[1_500_000] = 1;
        fs::write(&a, &bytes).unwrap();
        let sparse = crate::sparse::create(&b, 3 << 20).unwrap();
        sparse.write_all_at(&[1], 1_500_000).unwrap();
        let sums = [Entry::of(&a).unwrap().content, Entry::of(&b).unwrap().content];
        assert_eq!(sums, [Content::of_bytes(&bytes); 2]);
    }
}
