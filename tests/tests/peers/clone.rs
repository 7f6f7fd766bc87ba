//! Sharing blocks between files against Linux: which requests are refused and how, what the
//! files hold and share afterwards, and what a crash leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use libfs::Errno;
use libfs::device::FileDevice;
use libfs::filesystem::{CloneRange, Dedupe, Filesystem};
use rustix::fs::{FallocateFlags, copy_file_range, fallocate};
use tests::all_or_nothing;
use tests::enumerate::Random;
use tests::linux;
use tests::manifest::Manifest;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse;

const SEED: u64 = 0xc10e_0001;
const IMAGE: u64 = 400 << 20;

fn open(image: &Path) -> Result<Filesystem> {
    Ok(all_or_nothing::open(Arc::new(FileDevice::open(image)?))?)
}

/// Ways of sharing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Clone,
    Dedupe,
    Copy,
}

/// What a request led to, in the same words for both.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Done,
    Differs,
    Copied(u64),
    Refused(Errno),
}

/// One request on two files below the root.
#[derive(Debug, Clone)]
struct Request {
    how: How,
    source: String,
    target: String,
    range: CloneRange,
}

/// Messages of xfs_io for the errors that can come.
const WORDS: [(&str, Errno); 8] = [
    ("Invalid argument", Errno::EINVAL),
    ("Operation not permitted", Errno::EPERM),
    ("Operation not supported", Errno::EOPNOTSUPP),
    ("File too large", Errno::EFBIG),
    ("No space left on device", Errno::ENOSPC),
    ("Is a directory", Errno::EISDIR),
    ("Text file busy", Errno::ETXTBSY),
    ("Value too large for defined data type", Errno::EOVERFLOW),
];

impl Request {
    /// Linux does it: clone and deduplication by xfs_io 7.2, copying by one system call.
    fn by_linux(&self, peers: &Peers, root: &Path) -> Result<Outcome> {
        let CloneRange { source_offset, target_offset, length } = self.range;
        let (source, target) = (root.join(&self.source), root.join(&self.target));
        let verb = match self.how {
            How::Clone => "reflink",
            How::Dedupe => "dedupe",
            How::Copy => {
                let opened = File::open(&source).and_then(|from| {
                    let to = OpenOptions::new().read(true).write(true).open(&target)?;
                    Ok((from, to))
                });
                let (from, to) = match opened {
                    Ok(files) => files,
                    Err(error) => {
                        let errno = error.raw_os_error().context("opening")?;
                        return Ok(Outcome::Refused(Errno::from_raw(errno)));
                    }
                };
                let (mut from_at, mut to_at) = (source_offset, target_offset);
                let length = usize::try_from(length)?;
                let copied =
                    copy_file_range(from, Some(&mut from_at), to, Some(&mut to_at), length);
                return Ok(match copied {
                    Ok(bytes) => Outcome::Copied(bytes as u64),
                    Err(errno) => Outcome::Refused(Errno::from_raw(errno.raw_os_error())),
                });
            }
        };
        let line = format!("{verb} {} {source_offset} {target_offset} {length}", source.display());
        let output = peers.command("xfs_io").args(["-c", &line]).arg(&target).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if said.trim().is_empty() {
            return Ok(Outcome::Done);
        }
        if said.contains("Extents did not match") {
            return Ok(Outcome::Differs);
        }
        let found = WORDS.iter().find(|(words, _)| said.trim_end().ends_with(words));
        found.map(|(_, errno)| Outcome::Refused(*errno)).with_context(|| format!("{line}: {said}"))
    }

    /// We do it.
    fn by_us(&self, filesystem: &mut Filesystem) -> Result<Outcome> {
        let source = filesystem.lookup(&format!("/{}", self.source))?;
        let target = filesystem.lookup(&format!("/{}", self.target))?;
        let outcome = match self.how {
            How::Clone => {
                filesystem.clone_range(source, target, &self.range).map(|()| Outcome::Done)
            }
            How::Dedupe => {
                filesystem.dedupe_range(source, target, &self.range).map(|found| match found {
                    Dedupe::Same(_) => Outcome::Done,
                    Dedupe::Differs => Outcome::Differs,
                })
            }
            How::Copy => filesystem.copy_range(source, target, &self.range).map(Outcome::Copied),
        };
        match outcome {
            Ok(outcome) => Ok(outcome),
            Err(libfs::Error::Os { errno, .. }) => Ok(Outcome::Refused(errno)),
            Err(error) => Err(error).with_context(|| format!("{self:?}")),
        }
    }
}

/// `len` bytes that are different in every block, and the same for the same `fill`.
fn bytes(fill: u8, len: u64) -> Vec<u8> {
    (0..len).map(|i| fill.wrapping_add((i / 512) as u8).max(1)).collect()
}

/// A file that is made of pieces, in blocks; the tail is in bytes.
struct Shape {
    name: &'static str,
    fill: u8,
    /// First block and number of blocks with data, all contents as of one file.
    data: &'static [(u64, u64)],
    /// First block and number of blocks, allocated only.
    unwritten: &'static [(u64, u64)],
    blocks: u64,
    tail: u64,
}

impl Shape {
    fn size(&self, block: u64) -> u64 {
        self.blocks * block + self.tail
    }

    fn make(&self, path: &Path, block: u64) -> Result<()> {
        let file = File::create(path)?;
        let all = bytes(self.fill, self.size(block));
        for (first, count) in self.data {
            let end = ((first + count) * block).min(all.len() as u64) as usize;
            let start = (first * block) as usize;
            file.write_all_at(&all[start..end], start as u64)?;
        }
        file.set_len(self.size(block))?;
        for (first, count) in self.unwritten {
            fallocate(&file, FallocateFlags::empty(), first * block, count * block)?;
        }
        Ok(())
    }
}

const SOURCES: &[Shape] = &[
    Shape { name: "empty", fill: 1, data: &[], unwritten: &[], blocks: 0, tail: 0 },
    Shape { name: "odd", fill: 1, data: &[(0, 6)], unwritten: &[], blocks: 5, tail: 515 },
    Shape { name: "even", fill: 1, data: &[(0, 8)], unwritten: &[], blocks: 8, tail: 0 },
    Shape {
        name: "mixed",
        fill: 1,
        data: &[(0, 2), (7, 2), (10, 3)],
        unwritten: &[(4, 3)],
        blocks: 16,
        tail: 0,
    },
];

const TARGETS: &[Shape] = &[
    Shape { name: "empty", fill: 9, data: &[], unwritten: &[], blocks: 0, tail: 0 },
    Shape { name: "short", fill: 9, data: &[(0, 3)], unwritten: &[], blocks: 2, tail: 100 },
    Shape { name: "odd", fill: 9, data: &[(0, 6)], unwritten: &[], blocks: 5, tail: 515 },
    Shape { name: "long", fill: 9, data: &[(0, 21)], unwritten: &[], blocks: 20, tail: 77 },
    Shape {
        name: "holes",
        fill: 9,
        data: &[(3, 2), (11, 1)],
        unwritten: &[(0, 2), (6, 3)],
        blocks: 20,
        tail: 0,
    },
    Shape { name: "same", fill: 1, data: &[(0, 21)], unwritten: &[], blocks: 20, tail: 77 },
    Shape { name: "same odd", fill: 1, data: &[(0, 6)], unwritten: &[], blocks: 5, tail: 515 },
];

/// One request of the matrix: which shapes, and the range in terms of the block size.
struct Case {
    source: usize,
    /// `None`: the source itself (a file of its own for the case).
    target: Option<usize>,
    how: How,
    range: CloneRange,
}

/// Every combination of shapes, ways, offsets and lengths that matters, and of these some.
fn cases(block: u64, count: usize) -> Vec<Case> {
    let mut all = Vec::new();
    for (source, shape) in SOURCES.iter().enumerate() {
        let size = shape.size(block);
        for target in (0..TARGETS.len()).map(Some).chain([None]) {
            for source_offset in [0, 1, block, 3 * block, size, 40 * block] {
                for target_offset in [0, 2 * block, 30 * block, 7, (1 << 63) - 8 * block] {
                    let rest = size.saturating_sub(source_offset);
                    let lengths =
                        [0, block, 2 * block, 3 * block + 100, rest, rest + block, 1 << 62, 100];
                    for length in lengths {
                        for how in [How::Clone, How::Dedupe, How::Copy] {
                            let range = CloneRange { source_offset, target_offset, length };
                            all.push(Case { source, target, how, range });
                        }
                    }
                }
            }
        }
    }
    let mut random = Random(SEED);
    // Requests that begin at blocks get further than the others: most shall.
    let aligned = |case: &Case| {
        let range = case.range;
        range.source_offset.is_multiple_of(block)
            && range.target_offset.is_multiple_of(block)
            && range.target_offset < 1 << 60
            && range.source_offset < 16 * block
    };
    let mut kept = Vec::new();
    while kept.len() < count {
        let case = all.swap_remove(random.below(all.len()));
        if aligned(&case) || random.below(8) == 0 {
            kept.push(case);
        }
    }
    kept
}

/// What xfs_db says of one file: fields of its inode, and for each file block where it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Inode {
    pub fields: BTreeMap<String, String>,
    pub blocks: BTreeMap<u64, (u64, bool)>,
}

pub const FIELDS: [&str; 7] = [
    "core.size",
    "core.nextents",
    "core.nblocks",
    "core.mtime.nsec",
    "core.ctime.nsec",
    "v3.flags2",
    "v3.cowextsize",
];

/// The inodes of an image as xfs_db shows them.
pub fn inodes(peers: &Peers, image: &Path, numbers: &[u64]) -> Result<Vec<Inode>> {
    let mut found = Vec::new();
    for chunk in numbers.chunks(100) {
        let mut commands = Vec::new();
        for number in chunk {
            commands.extend(["echo ====".into(), format!("inode {number}")]);
            commands.extend(FIELDS.map(|field| format!("print {field}")));
            commands.push("bmap".into());
        }
        let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
        let printed = peers.db(image, &commands)?;
        for part in printed.split("====").skip(1) {
            found.push(inode(part)?);
        }
    }
    ensure!(found.len() == numbers.len(), "xfs_db shows {} inodes", found.len());
    Ok(found)
}

fn inode(printed: &str) -> Result<Inode> {
    let mut found = Inode::default();
    for line in printed.lines() {
        if let Some((name, value)) = line.split_once(" = ") {
            found.fields.insert(name.to_owned(), value.to_owned());
        }
        // data offset 0 startblock 12 (0/12) count 5 flag 0
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["data", "offset", offset, "startblock", start, _, "count", count, "flag", flag] =
            words.as_slice()
        {
            let (offset, start): (u64, u64) = (offset.parse()?, start.parse()?);
            for i in 0..count.parse()? {
                found.blocks.insert(offset + i, (start + i, *flag == "1"));
            }
        }
    }
    Ok(found)
}

/// The records of the reference count trees.
pub fn reference_counts(peers: &Peers, image: &Path) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for group in 0..4 {
        let group = format!("agf {group}");
        let printed = peers.db(image, &[&group, "addr refcntroot", "btdump"])?;
        // Leaves come last. What follows "recs[" differs by block; the records by group only.
        for records in printed.split("[startblock,blockcount,refcount").skip(1) {
            all.extend(records.split_whitespace().filter(|w| w.contains(":[")).map(|w| {
                let record = w.split_once(':').map_or(w, |(_, record)| record);
                format!("{group} {record}")
            }));
        }
    }
    Ok(all)
}

/// Runs the matrix on a filesystem made with `options`.
fn matrix(options: &[&str], block: u64, count: usize) -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    if !linux::host_or_skip() {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let (base, image) = (scratch.path("base"), scratch.path("image"));
    peers.mkfs(&base, IMAGE, options)?;
    let reflink = !options.contains(&"reflink=0");
    let cases = cases(block, count);
    let mut requests = Vec::new();
    let (mut numbers, mut sources) = (Vec::new(), Vec::new());
    linux::mount(&base, |root| {
        for shape in SOURCES {
            shape.make(&root.join(shape.name), block)?;
            sources.push(fs::metadata(root.join(shape.name))?.ino());
        }
        for (i, case) in cases.iter().enumerate() {
            let name = format!("case{i}");
            let (shape, source) = match case.target {
                Some(target) => (&TARGETS[target], SOURCES[case.source].name.to_owned()),
                None => (&SOURCES[case.source], name.clone()),
            };
            shape.make(&root.join(&name), block)?;
            numbers.push(fs::metadata(root.join(&name))?.ino());
            requests.push(Request { how: case.how, source, target: name, range: case.range });
        }
        if reflink {
            peers.io(&root.join("even"), &["cowextsize 65536"])?;
        }
        Ok(())
    })?;
    sparse::copy(&base, &image)?;
    let by_linux: Vec<Outcome> = linux::mount(&image, |root| {
        requests.iter().map(|request| request.by_linux(&peers, root)).collect()
    })?;
    let ours = scratch.path("ours");
    sparse::copy(&base, &ours)?;
    let mut filesystem = open(&ours)?;
    for (request, linux) in requests.iter().zip(&by_linux) {
        let us = request.by_us(&mut filesystem)?;
        ensure!(us == *linux, "{request:?}: Linux says {linux:?}, we {us:?}");
    }
    filesystem.close()?;
    drop(filesystem);
    peers.assert_clean(&ours);
    compare_images(&peers, [&base, &image, &ours], &sources, &numbers, &requests)?;
    if reflink {
        let (one, two) = (reference_counts(&peers, &image)?, reference_counts(&peers, &ours)?);
        ensure!(!one.is_empty(), "no reference counts: the test proves nothing");
        ensure!(one == two, "reference counts of Linux {one:#?}, ours {two:#?}");
    }
    let manifests = [&image, &ours].map(|image| linux::mount(image, Manifest::of));
    let [one, two] = manifests;
    one?.assert_same(&two?);
    let outcomes = |wanted: fn(&Outcome) -> bool| by_linux.iter().filter(|o| wanted(o)).count();
    say(&format!(
        "{} requests with {options:?}: {} done, {} differ, {} copied something, {} refused",
        requests.len(),
        outcomes(|o| *o == Outcome::Done),
        outcomes(|o| *o == Outcome::Differs),
        outcomes(|o| matches!(o, Outcome::Copied(1..))),
        outcomes(|o| matches!(o, Outcome::Refused(_))),
    ));
    Ok(())
}

/// After the same requests the images of Linux and us have the same inodes, mappings (blocks
/// that are not the sources' may lie anywhere) and reference counts.
fn compare_images(
    peers: &Peers,
    [base, linux, ours]: [&Path; 3],
    sources: &[u64],
    numbers: &[u64],
    requests: &[Request],
) -> Result<()> {
    let mut known = BTreeSet::new();
    for source in inodes(peers, base, sources)? {
        known.extend(source.blocks.values().map(|(block, _)| *block));
    }
    let before = inodes(peers, base, numbers)?;
    let of_linux = inodes(peers, linux, numbers)?;
    let of_us = inodes(peers, ours, numbers)?;
    for (i, request) in requests.iter().enumerate() {
        let shape = |inode: &Inode| -> Vec<(u64, Option<u64>, bool)> {
            let blocks = inode.blocks.iter();
            blocks
                .map(|(&at, &(block, unwritten))| {
                    (at, known.contains(&block).then_some(block), unwritten)
                })
                .collect()
        };
        let (linux, us) = (&of_linux[i], &of_us[i]);
        let within = request.source == request.target;
        if !within {
            ensure!(shape(linux) == shape(us), "{request:?}: Linux {linux:?}, we {us:?}");
        }
        for field in FIELDS {
            let [old, theirs, our] = [&before[i], linux, us].map(|inode| inode.fields.get(field));
            ensure!(old.is_some(), "xfs_db shows no {field}: {:?}", before[i]);
            let same = match field {
                "core.mtime.nsec" | "core.ctime.nsec" => (old == theirs) == (old == our),
                "core.nextents" if request.how == How::Copy => true,
                _ => theirs == our,
            };
            ensure!(same, "{request:?}: {field} was {old:?}; Linux {theirs:?}, we {our:?}");
        }
    }
    Ok(())
}

#[test]
fn requests_end_as_on_linux() -> Result<()> {
    matrix(&[], 4096, 1000)
}

#[test]
fn requests_on_small_blocks_end_as_on_linux() -> Result<()> {
    matrix(&["-b", "size=1k"], 1024, 500)
}

#[test]
fn requests_without_reverse_mappings_end_as_on_linux() -> Result<()> {
    matrix(&["-m", "rmapbt=0"], 4096, 500)
}

#[test]
fn requests_without_reference_counts_end_as_on_linux() -> Result<()> {
    matrix(&["-m", "reflink=0"], 4096, 300)
}

/// Sequences of writes, truncations, clones, deduplications and copies on a few files, by both.
fn random_sequences(options: &[&str], block: u64, seed: u64, steps: usize) -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    if !linux::host_or_skip() {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let (image, ours) = (scratch.path("image"), scratch.path("ours"));
    peers.mkfs(&image, IMAGE, options)?;
    linux::mount(&image, |root| Ok((0..4).try_for_each(|i| fs::write(root.join(name(i)), ""))?))?;
    sparse::copy(&image, &ours)?;
    let mut filesystem = open(&ours)?;
    let mut done = BTreeMap::new();
    linux::mount(&image, |root| {
        let mut random = Random(seed);
        for step in 0..steps {
            let at = format!("seed {seed:#x}, step {step}");
            let word = one_step(&peers, root, &mut filesystem, block, &mut random).context(at)?;
            *done.entry(word).or_insert(0) += 1;
        }
        Ok(())
    })?;
    filesystem.close()?;
    drop(filesystem);
    peers.assert_clean(&ours);
    let manifest = linux::mount(&image, Manifest::of)?;
    manifest.assert_same(&linux::mount(&ours, Manifest::of)?);
    let (theirs, us) = (shared_blocks(&image)?, shared_blocks(&ours)?);
    ensure!(theirs == us, "seed {seed:#x}: shared on Linux {theirs:?}, here {us:?}");
    ensure!(theirs.len() > 10, "hardly anything is shared: {theirs:?}");
    say(&format!("{options:?}: {done:?}, {} blocks shared", theirs.len()));
    Ok(())
}

fn name(file: usize) -> String {
    format!("file{file}")
}

/// Does one thing on both and compares how it ends.
fn one_step(
    peers: &Peers,
    root: &Path,
    filesystem: &mut Filesystem,
    block: u64,
    random: &mut Random,
) -> Result<&'static str> {
    let mut below = |limit: u64| random.below(limit as usize) as u64;
    let (source, target) = (name(below(4) as usize), name(below(4) as usize));
    let path = root.join(&target);
    let ino = filesystem.lookup(&format!("/{target}"))?;
    match below(8) {
        0..3 => {
            let (offset, len) = (below(48 * block), below(12 * block) + 1);
            let data = bytes(below(3) as u8, len);
            OpenOptions::new().write(true).open(path)?.write_all_at(&data, offset)?;
            filesystem.write(ino, offset, &data)?;
            Ok("write")
        }
        3 => {
            let size = below(64 * block);
            OpenOptions::new().write(true).open(path)?.set_len(size)?;
            filesystem.truncate(ino, size)?;
            Ok("truncate")
        }
        which => {
            let (how, word) = match which {
                4 | 5 => (How::Clone, "clone"),
                6 => (How::Dedupe, "dedupe"),
                _ => (How::Copy, "copy"),
            };
            let mut range = CloneRange {
                source_offset: below(32) * block,
                target_offset: below(32) * block,
                length: below(16) * block,
            };
            if how == How::Dedupe {
                range.target_offset = range.source_offset;
            }
            if how == How::Copy && below(2) == 0 {
                range.source_offset += below(block);
                range.length += below(block);
            }
            let request = Request { how, source, target, range };
            let linux = request.by_linux(peers, root)?;
            let us = request.by_us(filesystem)?;
            ensure!(linux == us, "{request:?}: Linux {linux:?}, we {us:?}");
            Ok(if matches!(us, Outcome::Refused(_) | Outcome::Differs) { "refused" } else { word })
        }
    }
}

/// Which blocks of which files are shared.
fn shared_blocks(image: &Path) -> Result<Vec<(usize, u64)>> {
    let mut filesystem = open(image)?;
    let units = u64::from(filesystem.geometry().block_size) / 512;
    let mut shared = Vec::new();
    for file in 0..4 {
        let ino = filesystem.lookup(&format!("/{}", name(file)))?;
        for mapping in filesystem.mappings(ino, false)?.iter().filter(|mapping| mapping.shared) {
            let blocks = mapping.offset / units..(mapping.offset + mapping.len) / units;
            shared.extend(blocks.map(|block| (file, block)));
        }
    }
    filesystem.close()?;
    Ok(shared)
}

#[test]
fn random_sequences_end_as_on_linux() -> Result<()> {
    random_sequences(&[], 4096, 0xc10e_0002, 250)?;
    random_sequences(&["-b", "size=1k"], 1024, 0xc10e_0003, 250)?;
    random_sequences(&["-m", "rmapbt=0"], 4096, 0xc10e_0004, 250)
}

/// Files that are no files, or that may not be changed, and very large ones.
#[test]
fn odd_files_are_refused_as_on_linux() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    if !linux::host_or_skip() {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let (image, ours) = (scratch.path("image"), scratch.path("ours"));
    peers.mkfs(&image, IMAGE, &[])?;
    let names = ["plain", "other", "immutable", "append", "directory", "device", "huge"];
    linux::mount(&image, |root| {
        for name in ["plain", "other", "immutable", "append"] {
            fs::write(root.join(name), bytes(1, 20_000))?;
        }
        fs::create_dir(root.join("directory"))?;
        let (kind, mode) = (rustix::fs::FileType::CharacterDevice, rustix::fs::Mode::RWXU);
        let null = rustix::fs::makedev(1, 3);
        rustix::fs::mknodat(rustix::fs::CWD, root.join("device"), kind, mode, null)?;
        File::create(root.join("huge"))?.set_len(3 << 30)?;
        peers.io(&root.join("immutable"), &["chattr +i"])?;
        peers.io(&root.join("append"), &["chattr +a"]).map(drop)
    })?;
    sparse::copy(&image, &ours)?;
    let mut requests = Vec::new();
    for source in names {
        for target in names {
            for how in [How::Clone, How::Dedupe, How::Copy] {
                // xfs_io's reading and writing of a device are not what is compared here.
                let device = target == "device" && source != "directory";
                for range in [
                    CloneRange { length: 8192, ..CloneRange::default() },
                    CloneRange { source_offset: 5, length: 8192, ..CloneRange::default() },
                    CloneRange { length: 3 << 30, ..CloneRange::default() },
                ] {
                    let (source, target) = (source.to_owned(), target.to_owned());
                    requests.extend((!device).then_some(Request { how, source, target, range }));
                }
            }
        }
    }
    let by_linux: Vec<Outcome> = linux::mount(&image, |root| {
        requests.iter().map(|request| request.by_linux(&peers, root)).collect()
    })?;
    let mut filesystem = open(&ours)?;
    for (request, linux) in requests.iter().zip(&by_linux) {
        let us = request.by_us(&mut filesystem)?;
        ensure!(us == *linux, "{request:?}: Linux says {linux:?}, we {us:?}");
    }
    let a = filesystem.lookup("/huge")?;
    let (b, limit) = (filesystem.create("/new", 0o644)?, 1 << 30);
    filesystem.truncate(b, 3 << 30)?;
    let range = CloneRange { source_offset: limit, target_offset: limit, length: limit + 4096 };
    ensure!(filesystem.dedupe_range(a, b, &range)? == Dedupe::Same(limit));
    filesystem.close()?;
    drop(filesystem);
    peers.assert_clean(&ours);
    let errors: BTreeSet<String> = by_linux.iter().map(|outcome| format!("{outcome:?}")).collect();
    say(&format!("{} requests end as on Linux: {errors:?}", requests.len()));
    Ok(())
}

/// A file of thousands of extents is cloned where hardly a block is free: what the trees need
/// was kept back for them.
#[test]
fn a_full_filesystem_shares_as_on_linux() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    if !linux::host_or_skip() {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let (image, ours) = (scratch.path("image"), scratch.path("ours"));
    peers.mkfs(&image, IMAGE, &[])?;
    linux::mount(&image, |root| {
        let file = File::create(root.join("source"))?;
        for i in 0..2000u64 {
            file.write_all_at(&[i as u8 | 1; 4096], 2 * i * 4096)?;
        }
        fs::write(root.join("target"), "")?;
        // Fills what can be had, down to single blocks.
        let full = File::create(root.join("full"))?;
        let mut at = 0;
        for length in [64 << 20, 1 << 20, 64 << 10, 4096] {
            while fallocate(&full, FallocateFlags::empty(), at, length).is_ok() {
                at += length;
            }
        }
        Ok(())
    })?;
    sparse::copy(&image, &ours)?;
    let request = |source: &str| Request {
        how: How::Clone,
        source: source.into(),
        target: "target".into(),
        range: CloneRange::default(),
    };
    let requests = [request("source"), request("full"), request("source")];
    let by_linux: Vec<Outcome> = linux::mount(&image, |root| {
        requests.iter().map(|request| request.by_linux(&peers, root)).collect()
    })?;
    let mut filesystem = open(&ours)?;
    for (request, linux) in requests.iter().zip(&by_linux) {
        let us = request.by_us(&mut filesystem)?;
        ensure!(us == *linux, "{request:?}: Linux says {linux:?}, we {us:?}");
    }
    filesystem.close()?;
    drop(filesystem);
    peers.assert_clean(&ours);
    let manifest = linux::mount(&image, Manifest::of)?;
    manifest.assert_same(&linux::mount(&ours, Manifest::of)?);
    say(&format!("in a full filesystem: {by_linux:?}"));
    Ok(())
}
