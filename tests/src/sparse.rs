//! Sparse files of up to 100 TiB: compared and copied by their data alone.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

/// Bytes handled at a time.
const CHUNK: u64 = 1 << 20;

/// How two files differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// Byte offset of the first difference.
    pub first: u64,
    /// Number of bytes that differ (a length difference counts its bytes).
    pub count: u64,
    /// Byte lengths of the two files.
    pub lengths: (u64, u64),
}

/// Compares two files byte by byte, holes counting as zeros; `None` when they are the same.
///
/// # Errors
///
/// When a file cannot be read.
pub fn same_bytes(left: &Path, right: &Path) -> Result<Option<Difference>> {
    let left = File::open(left).with_context(|| left.display().to_string())?;
    let right = File::open(right).with_context(|| right.display().to_string())?;
    let lengths = (left.metadata()?.len(), right.metadata()?.len());
    let common = lengths.0.min(lengths.1);
    let mut first = None;
    let mut count = 0;
    let mut offset = 0;
    let mut buffers = (vec![0; CHUNK as usize], vec![0; CHUNK as usize]);
    while let Some(range) = next_data(&left, &right, offset, common)? {
        let length = (range.end - range.start) as usize;
        let (a, b) = (&mut buffers.0[..length], &mut buffers.1[..length]);
        left.read_exact_at(a, range.start)?;
        right.read_exact_at(b, range.start)?;
        if a != b {
            for (index, _) in a.iter().zip(b.iter()).enumerate().filter(|(_, (x, y))| x != y) {
                first.get_or_insert(range.start + index as u64);
                count += 1;
            }
        }
        offset = range.end;
    }
    if lengths.0 != lengths.1 {
        first.get_or_insert(common);
        count += lengths.0.abs_diff(lengths.1);
    }
    Ok(first.map(|first| Difference { first, count, lengths }))
}

/// Asserts that two files hold the same bytes.
///
/// # Panics
///
/// With the first differing offset and the count, when they do not.
#[track_caller]
pub fn assert_same_bytes(left: &Path, right: &Path) {
    if let Some(difference) = same_bytes(left, right).expect("both files can be read") {
        panic!("{} and {} differ: {difference:?}", left.display(), right.display());
    }
}

/// Copies `from` to the new file `to`, keeping its holes.
///
/// # Errors
///
/// When reading or writing fails.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let source = File::open(from).with_context(|| from.display().to_string())?;
    let target = File::create(to).with_context(|| to.display().to_string())?;
    let length = source.metadata()?.len();
    target.set_len(length)?;
    let mut buffer = vec![0; CHUNK as usize];
    let mut offset = 0;
    while let Some(range) = data_from(&source, offset, length)? {
        let piece = &mut buffer[..(range.end - range.start) as usize];
        source.read_exact_at(piece, range.start)?;
        target.write_all_at(piece, range.start)?;
        offset = range.end;
    }
    Ok(())
}

/// The number of bytes of `path` that are data, not holes.
///
/// # Errors
///
/// When the file cannot be read.
pub fn data_bytes(path: &Path) -> Result<u64> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let length = file.metadata()?.len();
    let (mut offset, mut total) = (0, 0);
    while let Some(range) = data_from(&file, offset, length)? {
        total += range.end - range.start;
        offset = range.end;
    }
    Ok(total)
}

/// The next piece at or after `offset` where either file has data, at most [`CHUNK`] long.
fn next_data(left: &File, right: &File, offset: u64, end: u64) -> Result<Option<Range<u64>>> {
    let pieces = (data_from(left, offset, end)?, data_from(right, offset, end)?);
    Ok(match pieces {
        (Some(a), Some(b)) if a.start <= b.start => Some(a),
        (Some(_), Some(b)) => Some(b),
        (a, b) => a.or(b),
    })
}

/// The next piece of data of `file` at or after `offset`, at most [`CHUNK`] long.
pub fn data_from(file: &File, offset: u64, end: u64) -> Result<Option<Range<u64>>> {
    if offset >= end {
        return Ok(None);
    }
    let start = match lseek(file, i64::try_from(offset)?, Whence::SeekData) {
        Ok(start) => start.unsigned_abs(),
        Err(Errno::ENXIO) => return Ok(None),
        // A filesystem without SEEK_DATA: all of it is data.
        Err(Errno::EINVAL) => offset,
        Err(error) => return Err(io::Error::from(error).into()),
    };
    if start >= end {
        return Ok(None);
    }
    let hole = match lseek(file, i64::try_from(start)?, Whence::SeekHole) {
        Ok(hole) => hole.unsigned_abs(),
        Err(Errno::EINVAL) => end,
        Err(error) => return Err(io::Error::from(error).into()),
    };
    Ok(Some(start..hole.min(end).min(start + CHUNK)))
}

/// Sets the length of the new file `path`, without allocating.
///
/// # Errors
///
/// When the filesystem under it cannot hold such a file.
pub fn create(path: &Path, length: u64) -> Result<File> {
    let mut file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
    file.set_len(length).with_context(|| format!("{} of {length} bytes", path.display()))?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn finds_the_first_difference_between_sparse_files() {
        let scratch = Scratch::new().unwrap();
        let (a, b) = (scratch.path("a"), scratch.path("b"));
        let first = create(&a, 1 << 40).unwrap();
        let second = create(&b, 1 << 40).unwrap();
        // Zeros in one and a hole in the other are the same.
        first.write_all_at(&[0; 8192], 1 << 30).unwrap();
        assert_eq!(same_bytes(&a, &b).unwrap(), None);
        second.write_all_at(b"xy", (1 << 39) + 5).unwrap();
        first.write_all_at(b"z", (1 << 39) + 9).unwrap();
        let lengths = (1 << 40, 1 << 40);
        let expected = Difference { first: (1 << 39) + 5, count: 3, lengths };
        assert_eq!(same_bytes(&a, &b).unwrap(), Some(expected));
        let c = scratch.path("c");
        copy(&b, &c).unwrap();
        assert_eq!(same_bytes(&b, &c).unwrap(), None);
        assert!(data_bytes(&c).unwrap() < 1 << 20);
    }

    #[test]
    fn a_shorter_file_differs() {
        let scratch = Scratch::new().unwrap();
        let (a, b) = (scratch.path("a"), scratch.path("b"));
        create(&a, 100).unwrap();
        create(&b, 90).unwrap();
        let expected = Difference { first: 90, count: 10, lengths: (100, 90) };
        assert_eq!(same_bytes(&a, &b).unwrap(), Some(expected));
    }
}
