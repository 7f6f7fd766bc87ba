//! Directories, names and extended attributes made by libfs, judged by xfs_repair 7.2 and by
//! Linux.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use libfs::device::{Device, FileDevice};
use libfs::file::namespace::{self, NewFile, RenameFlags};
use libfs::format::geometry::Geometry;
use libfs::format::inode::mode;
use libfs::format::superblock::Superblock;
use libfs::inode::InodeRef;
use libfs::journal::LogPlace;
use libfs::journal::head::find_ends;
use libfs::journal::writer::LogWriter;
use libfs::mount::Mount;
use libfs::space::startup;
use libfs::xattr::{self, Namespace, SetMode};
use libfs::{dir, parent};
use tests::linux;
use tests::peers::Peers;
use tests::scratch::Scratch;

const SIZE: u64 = 300 << 20;
pub(super) const NEW: NewFile = NewFile { permissions: 0o644, uid: 0, gid: 0 };

/// Filesystems that directories and attributes treat differently.
const RECIPES: &[(&str, &[&str])] = &[
    ("default", &[]),
    ("no parent pointers", &["-n", "parent=0"]),
    ("nothing newer", &["-n", "parent=0", "-i", "exchange=0,nrext64=0", "-m", "bigtime=0"]),
    ("no reverse mapping", &["-m", "rmapbt=0,reflink=0"]),
    ("blocks of 1k", &["-b", "size=1024"]),
    ("inodes of 1k", &["-i", "size=1024"]),
    ("inodes of 2k", &["-i", "size=2048"]),
    ("directory blocks of 8k", &["-n", "size=8192"]),
    ("directory blocks of 64k", &["-n", "size=65536"]),
    ("small blocks, large directory blocks", &["-b", "size=1024", "-n", "size=65536"]),
];

pub(super) struct Bench {
    pub(super) peers: Peers,
    pub(super) scratch: Scratch,
}

impl Bench {
    pub(super) fn or_skip() -> Option<Self> {
        let peers = Peers::or_skip()?;
        Some(Bench { peers, scratch: Scratch::new().expect("a scratch directory") })
    }

    pub(super) fn make(&self, options: &[&str]) -> std::path::PathBuf {
        let image = self.scratch.path("image");
        let _ = fs::remove_file(&image);
        self.peers.mkfs(&image, SIZE, options).unwrap();
        image
    }
}

pub(super) fn open(image: &Path) -> Mount {
    let device: Arc<dyn Device> = Arc::new(FileDevice::open(image).unwrap());
    let mut sector = vec![0; 32768];
    device.read_at(&mut sector, 0).unwrap();
    let superblock = Superblock::decode(&sector).unwrap();
    let geo = Geometry::new(&superblock.dsb).unwrap();
    let log = LogPlace::find(&geo, &device, None).unwrap();
    let ends = find_ends(&*log.device, log.area).unwrap();
    let log = LogWriter::new(log, ends.position());
    let mut mount = Mount::new(device, superblock, geo, Some(log));
    startup::init_reservations(&mut mount).unwrap();
    mount
}

pub(super) fn close(mut mount: Mount) {
    startup::release_reservations(&mut mount);
    mount.unmount().unwrap();
}

pub(super) fn root(mount: &mut Mount) -> InodeRef {
    let ino = mount.geo.root_ino.0;
    mount.iget(ino).unwrap()
}

/// A sequence of numbers that looks random but is the same on every run.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    pub(super) fn name(&mut self, longest: usize) -> Vec<u8> {
        let len = 1 + self.roll(longest);
        (0..len).map(|_| b'a' + self.roll(26) as u8).collect()
    }
}

/// What a name should stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    File,
    Link(Vec<u8>),
    Pipe,
}

/// Attributes by namespace and name.
type Attributes = BTreeMap<(Namespace, Vec<u8>), Vec<u8>>;

/// Something to do to a filesystem.
pub(super) type Operation = Box<dyn Fn(&mut Mount) -> libfs::Result<()>>;

/// What should be in a filesystem, by inode number.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// Entries of each directory.
    pub(super) dirs: BTreeMap<u64, BTreeMap<Vec<u8>, u64>>,
    /// Directory above each directory.
    above: BTreeMap<u64, u64>,
    pub(super) nodes: BTreeMap<u64, Node>,
    pub(super) attributes: BTreeMap<u64, Attributes>,
}

impl Model {
    pub(super) fn new(root: u64) -> Self {
        let mut model = Model::default();
        model.add(root, root, b"", Node::Dir);
        model.dirs.get_mut(&root).unwrap().clear();
        model
    }

    pub(super) fn add(&mut self, dir: u64, ino: u64, name: &[u8], node: Node) {
        if node == Node::Dir {
            self.dirs.insert(ino, BTreeMap::new());
            self.above.insert(ino, dir);
        }
        self.nodes.insert(ino, node);
        self.dirs.get_mut(&dir).unwrap().insert(name.to_vec(), ino);
    }

    fn names_of(&self, ino: u64) -> usize {
        self.dirs.values().flat_map(BTreeMap::values).filter(|&&other| other == ino).count()
    }

    /// Link counts of everything.
    fn links(&self) -> BTreeMap<u64, usize> {
        let mut links = BTreeMap::new();
        for (&dir, names) in &self.dirs {
            *links.entry(dir).or_default() += 2;
            for ino in names.values().filter(|ino| !self.dirs.contains_key(ino)) {
                *links.entry(*ino).or_default() += 1;
            }
            let above = self.above[&dir];
            if above != dir {
                *links.entry(above).or_default() += 1;
            }
        }
        links
    }

    fn forget_if_unnamed(&mut self, ino: u64) {
        if self.names_of(ino) == 0 {
            self.nodes.remove(&ino);
            self.dirs.remove(&ino);
            self.above.remove(&ino);
            self.attributes.remove(&ino);
        }
    }

    fn is_below(&self, mut ino: u64, top: u64) -> bool {
        while ino != top {
            let above = self.above[&ino];
            if above == ino {
                return false;
            }
            ino = above;
        }
        true
    }

    fn any_dir(&self, dice: &mut Dice) -> u64 {
        *self.dirs.keys().nth(dice.roll(self.dirs.len())).unwrap()
    }

    fn any_name(&self, dice: &mut Dice) -> Option<(u64, Vec<u8>, u64)> {
        let all: usize = self.dirs.values().map(BTreeMap::len).sum();
        let mut index = dice.roll(all.max(1));
        for (dir, names) in &self.dirs {
            if index < names.len() {
                let (name, ino) = names.iter().nth(index).unwrap();
                return Some((*dir, name.clone(), *ino));
            }
            index -= names.len();
        }
        None
    }
}

/// Does one random operation on both, which must agree on whether it can be done.
fn random_operation(mount: &mut Mount, model: &mut Model, dice: &mut Dice, longest: usize) {
    let dir = model.any_dir(dice);
    let at = mount.iget(dir).unwrap();
    let name = dice.name(longest);
    let exists = model.dirs[&dir].contains_key(&name);
    let ino_of = |mount: &Mount, made: libfs::Result<InodeRef>| {
        assert_eq!(made.is_err(), exists, "{made:?}");
        made.ok().map(|inode| mount.inode(inode).ino)
    };
    match dice.roll(100) {
        0..30 => {
            let made = namespace::create(mount, at, &name, &NEW);
            if let Some(ino) = ino_of(mount, made) {
                model.add(dir, ino, &name, Node::File);
            }
        }
        30..40 => {
            let made = namespace::mkdir(mount, at, &name, &NEW);
            if let Some(ino) = ino_of(mount, made) {
                model.add(dir, ino, &name, Node::Dir);
            }
        }
        40..46 => {
            let longest = [20, 400, 1023][dice.roll(3)];
            let target = vec![b't'; 1 + dice.roll(longest)];
            let made = namespace::symlink(mount, at, &name, &target, &NEW);
            if let Some(ino) = ino_of(mount, made) {
                model.add(dir, ino, &name, Node::Link(target));
            }
        }
        46..48 => {
            let made = namespace::mknod(mount, at, &name, &NEW, mode::FIFO, 0);
            if let Some(ino) = ino_of(mount, made) {
                model.add(dir, ino, &name, Node::Pipe);
            }
        }
        48..54 => random_link(mount, model, dice, dir, &name),
        54..74 => random_removal(mount, model, dice),
        74..90 => random_rename(mount, model, dice, dir, &name),
        _ => random_attribute(mount, model, dice),
    }
    mount.trim_caches();
}

fn random_link(mount: &mut Mount, model: &mut Model, dice: &mut Dice, dir: u64, name: &[u8]) {
    let Some((_, _, ino)) = model.any_name(dice) else { return };
    let (inode, at) = (mount.iget(ino).unwrap(), mount.iget(dir).unwrap());
    let possible = model.nodes[&ino] != Node::Dir && !model.dirs[&dir].contains_key(name);
    let result = namespace::link(mount, inode, at, name);
    assert_eq!(result.is_ok(), possible, "{result:?}");
    if possible {
        model.dirs.get_mut(&dir).unwrap().insert(name.to_vec(), ino);
    }
}

fn random_removal(mount: &mut Mount, model: &mut Model, dice: &mut Dice) {
    let Some((dir, name, ino)) = model.any_name(dice) else { return };
    let at = mount.iget(dir).unwrap();
    if model.nodes[&ino] == Node::Dir {
        assert!(namespace::unlink(mount, at, &name).is_err());
        let possible = model.dirs[&ino].is_empty();
        let result = namespace::rmdir(mount, at, &name);
        assert_eq!(result.is_ok(), possible, "{result:?}");
        if !possible {
            return;
        }
    } else {
        assert!(namespace::rmdir(mount, at, &name).is_err());
        namespace::unlink(mount, at, &name).unwrap();
    }
    model.dirs.get_mut(&dir).unwrap().remove(&name);
    model.forget_if_unnamed(ino);
}

fn random_rename(mount: &mut Mount, model: &mut Model, dice: &mut Dice, dir: u64, name: &[u8]) {
    let Some((from, old, ino)) = model.any_name(dice) else { return };
    // Half of the time the new name exists.
    let other = model.any_name(dice).filter(|_| dice.roll(2) == 0);
    let (to, new) = other.map_or((dir, name.to_vec()), |(dir, name, _)| (dir, name));
    let target = model.dirs[&to].get(&new).copied();
    let flags = match dice.roll(5) {
        0 => RenameFlags::EXCHANGE,
        1 => RenameFlags::NOREPLACE,
        _ => RenameFlags::empty(),
    };
    let is_dir = |model: &Model, ino: u64| model.nodes[&ino] == Node::Dir;
    let into_itself = is_dir(model, ino) && model.is_below(to, ino);
    let possible = !into_itself
        && match target {
            None => flags != RenameFlags::EXCHANGE,
            Some(_) if flags == RenameFlags::NOREPLACE => false,
            Some(target) if target == ino => true,
            Some(target) if flags == RenameFlags::EXCHANGE => {
                !(is_dir(model, target) && model.is_below(from, target))
            }
            Some(target) => {
                is_dir(model, ino) == is_dir(model, target)
                    && model.dirs.get(&target).is_none_or(BTreeMap::is_empty)
            }
        };
    let (from_dir, to_dir) = (mount.iget(from).unwrap(), mount.iget(to).unwrap());
    let result = namespace::rename(mount, from_dir, &old, to_dir, &new, flags);
    assert_eq!(result.is_ok(), possible, "{result:?}");
    if !possible || target == Some(ino) {
        return;
    }
    let exchanged = target.filter(|_| flags == RenameFlags::EXCHANGE);
    model.dirs.get_mut(&from).unwrap().remove(&old);
    model.dirs.get_mut(&to).unwrap().insert(new, ino);
    if is_dir(model, ino) {
        model.above.insert(ino, to);
    }
    if let Some(exchanged) = exchanged {
        model.dirs.get_mut(&from).unwrap().insert(old, exchanged);
        if is_dir(model, exchanged) {
            model.above.insert(exchanged, from);
        }
    } else if let Some(replaced) = target {
        model.forget_if_unnamed(replaced);
    }
}

fn random_attribute(mount: &mut Mount, model: &mut Model, dice: &mut Dice) {
    let inodes: Vec<u64> = model.nodes.keys().copied().collect();
    let ino = inodes[dice.roll(inodes.len())];
    if matches!(model.nodes[&ino], Node::Link(_) | Node::Pipe) {
        // Linux shows trusted attributes only on these; keep to what it shows.
        return;
    }
    let inode = mount.iget(ino).unwrap();
    let namespace = [Namespace::User, Namespace::Trusted][dice.roll(2)];
    let all = model.attributes.entry(ino).or_default();
    if dice.roll(4) == 0
        && let Some((key, _)) = all.iter().nth(dice.roll(all.len().max(1)))
    {
        let key = key.clone();
        xattr::remove(mount, inode, key.0, &key.1).unwrap();
        all.remove(&key);
        return;
    }
    let longest = if dice.roll(10) == 0 { 200 } else { 2 };
    let name = dice.name(longest);
    let longest = [50, 300, 3000, 65536][[0, 0, 0, 0, 1, 1, 2, 3][dice.roll(8)]];
    let value = vec![dice.roll(256) as u8; dice.roll(longest + 1)];
    xattr::set(mount, inode, namespace, &name, &value, SetMode::Any).unwrap();
    all.insert((namespace, name), value);
}

/// Compares with what libfs itself reads.
pub(super) fn check_ours(mount: &mut Mount, model: &Model) {
    let has_parents = mount.geo.features.parent;
    let mut parents: BTreeMap<u64, Vec<(u64, Vec<u8>)>> = BTreeMap::new();
    for (&dir, names) in &model.dirs {
        let inode = mount.iget(dir).unwrap();
        let mut listed = BTreeMap::new();
        for entry in dir::list(mount, inode).unwrap() {
            listed.insert(entry.name, entry.ino);
        }
        assert_eq!(listed.remove(&b"."[..]), Some(dir));
        assert_eq!(listed.remove(&b".."[..]), Some(model.above[&dir]));
        assert_eq!(&listed, names);
        for (name, ino) in names {
            parents.entry(*ino).or_default().push((dir, name.clone()));
        }
    }
    let links = model.links();
    for (&ino, node) in &model.nodes {
        let inode = mount.iget(ino).unwrap();
        assert_eq!(mount.inode(inode).core.nlink as usize, links[&ino], "inode {ino}");
        if let Node::Link(target) = node {
            assert_eq!(&libfs::symlink::read(mount, inode).unwrap(), target);
        }
        for ((namespace, name), value) in model.attributes.get(&ino).into_iter().flatten() {
            let found = xattr::get(mount, inode, *namespace, name).unwrap();
            assert!(found.as_ref() == Some(value), "attribute {name:?} of inode {ino}");
        }
        if has_parents {
            let mut found: Vec<(u64, Vec<u8>)> = parent::list(mount, inode)
                .unwrap()
                .into_iter()
                .map(|parent| (parent.ino, parent.name))
                .collect();
            found.sort();
            assert_eq!(found, parents.remove(&ino).unwrap_or_default(), "inode {ino}");
        }
    }
}

/// Compares with what Linux finds below `path`, which is directory `dir`.
fn check_linux(path: &Path, model: &Model, dir: u64) {
    check_linux_directory(path, model, dir, &model.links());
}

fn check_linux_directory(path: &Path, model: &Model, dir: u64, links: &BTreeMap<u64, usize>) {
    let names = &model.dirs[&dir];
    let mut count = 0;
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_vec();
        let ino = *names.get(&name).expect("Linux finds a name that should not be");
        let meta = fs::symlink_metadata(entry.path()).unwrap();
        assert_eq!(meta.ino(), ino);
        assert_eq!(meta.nlink() as usize, links[&ino]);
        match &model.nodes[&ino] {
            Node::Dir => check_linux_directory(&entry.path(), model, ino, links),
            Node::File => assert!(meta.is_file()),
            Node::Pipe => assert_eq!(meta.mode() & 0o170_000, 0o010_000),
            Node::Link(target) => {
                let found = fs::read_link(entry.path()).unwrap();
                assert_eq!(found.as_os_str().as_bytes(), target);
            }
        }
        if matches!(model.nodes[&ino], Node::Dir | Node::File) {
            check_linux_attributes(&entry.path(), model, ino);
        }
        count += 1;
    }
    assert_eq!(count, names.len());
}

fn check_linux_attributes(path: &Path, model: &Model, ino: u64) {
    let none = BTreeMap::new();
    let expected = model.attributes.get(&ino).unwrap_or(&none);
    let mut list = vec![0u8; 65536];
    let len = rustix::fs::llistxattr(path, &mut list[..]).unwrap();
    let listed = list[..len].split(|&byte| byte == 0).filter(|name| !name.is_empty()).count();
    assert_eq!(listed, expected.len(), "attributes of {}", path.display());
    for ((namespace, name), value) in expected {
        let prefix: &[u8] = match namespace {
            Namespace::User => b"user.",
            _ => b"trusted.",
        };
        let full = [prefix, name].concat();
        let mut found = vec![0u8; 65536];
        let len = rustix::fs::lgetxattr(path, OsStr::from_bytes(&full), &mut found[..]).unwrap();
        assert!(found[..len] == value[..], "{full:?} of {}", path.display());
    }
}

/// Random operations, then the judges.
fn random_tree(bench: &Bench, options: &[&str], seed: u64, rounds: usize, longest: usize) {
    let image = bench.make(options);
    let mut mount = open(&image);
    let top = mount.geo.root_ino.0;
    let mut model = Model::new(top);
    let mut dice = Dice(seed);
    for _ in 0..rounds {
        random_operation(&mut mount, &mut model, &mut dice, longest);
    }
    check_ours(&mut mount, &model);
    close(mount);
    bench.peers.assert_clean(&image);
    check_ours(&mut open(&image), &model);
    if linux::host_or_skip() {
        let mounted = linux::Mount::new(&image).unwrap();
        check_linux(mounted.root(), &model, top);
        mounted.unmount().unwrap();
        bench.peers.assert_clean(&image);
    }
}

#[test]
fn random_trees() {
    let Some(bench) = Bench::or_skip() else { return };
    for (what, options) in RECIPES {
        for (seed, longest) in [(0x1234_5678, 20), (0x8765_4321, 255)] {
            println!("{what}, seed {seed:#x}");
            random_tree(&bench, options, seed, 600, longest);
        }
    }
}

/// One directory through all formats, up and down.
fn grow_and_shrink(bench: &Bench, options: &[&str], count: usize) {
    let image = bench.make(options);
    let mut mount = open(&image);
    let top = mount.geo.root_ino.0;
    let mut model = Model::new(top);
    let at = root(&mut mount);
    // All names are those of one file: inodes would take most of the time.
    let file = namespace::create(&mut mount, at, b"file", &NEW).unwrap();
    let ino = mount.inode(file).ino;
    model.add(top, ino, b"file", Node::File);
    let made = namespace::mkdir(&mut mount, at, b"dir", &NEW).unwrap();
    let dir_ino = mount.inode(made).ino;
    model.add(top, dir_ino, b"dir", Node::Dir);
    let mut dice = Dice(99);
    for index in 0..count {
        let mut name = format!("{index}-").into_bytes();
        name.extend(dice.name(if index % 10 == 0 { 200 } else { 20 }));
        let (file, dir) = (mount.iget(ino).unwrap(), mount.iget(dir_ino).unwrap());
        namespace::link(&mut mount, file, dir, &name).unwrap();
        model.dirs.get_mut(&dir_ino).unwrap().insert(name, ino);
        mount.trim_caches();
    }
    close(mount);
    judge(bench, &image, &model, top);
    for left in [count / 2, count / 50, 3, 0] {
        let mut mount = open(&image);
        while model.dirs[&dir_ino].len() > left {
            let names = &model.dirs[&dir_ino];
            // Runs of neighbours, so that whole blocks become empty.
            let start = dice.roll(names.len());
            let run: Vec<Vec<u8>> =
                names.keys().skip(start).take(names.len() - left).take(100).cloned().collect();
            for name in run {
                let dir = mount.iget(dir_ino).unwrap();
                namespace::unlink(&mut mount, dir, &name).unwrap();
                model.dirs.get_mut(&dir_ino).unwrap().remove(&name);
                mount.trim_caches();
            }
        }
        close(mount);
        judge(bench, &image, &model, top);
    }
}

pub(super) fn judge(bench: &Bench, image: &Path, model: &Model, top: u64) {
    bench.peers.assert_clean(image);
    if linux::host_or_skip() {
        let mounted = linux::Mount::new(image).unwrap();
        check_linux(mounted.root(), model, top);
        mounted.unmount().unwrap();
    }
}

#[test]
fn directories_grow_and_shrink_through_every_format() {
    let Some(bench) = Bench::or_skip() else { return };
    grow_and_shrink(&bench, &["-n", "parent=0"], 3000);
    grow_and_shrink(&bench, &["-n", "parent=0", "-b", "size=1024"], 6000);
    grow_and_shrink(&bench, &["-n", "parent=0,size=8192"], 3000);
    grow_and_shrink(&bench, &["-n", "parent=0,size=65536"], 3000);
    grow_and_shrink(&bench, &["-b", "size=1024"], 1500);
    grow_and_shrink(&bench, &[], 1500);
}

#[test]
fn directories_of_many_entries_have_trees_of_several_levels() {
    let Some(bench) = Bench::or_skip() else { return };
    grow_and_shrink(&bench, &["-n", "parent=0", "-b", "size=1024"], 50_000);
}

/// Fills the filesystem to the last block; names can still be removed, and added where there
/// is room for them.
fn full_filesystem(bench: &Bench, options: &[&str]) {
    let image = bench.make(options);
    let mut mount = open(&image);
    let top = mount.geo.root_ino.0;
    let mut model = Model::new(top);
    let at = root(&mut mount);
    let dir_ino = {
        let made = namespace::mkdir(&mut mount, at, b"dir", &NEW).unwrap();
        mount.inode(made).ino
    };
    model.add(top, dir_ino, b"dir", Node::Dir);
    let mut dice = Dice(5);
    let mut add = |mount: &mut Mount, model: &mut Model| -> libfs::Result<()> {
        let mut name = format!("{} ", model.nodes.len()).into_bytes();
        name.extend(dice.name(60));
        let dir = mount.iget(dir_ino).unwrap();
        let file = namespace::create(mount, dir, &name, &NEW)?;
        let ino = mount.inode(file).ino;
        model.add(dir_ino, ino, &name, Node::File);
        mount.trim_caches();
        Ok(())
    };
    for _ in 0..300 {
        add(&mut mount, &mut model).unwrap();
    }
    let file = namespace::create(&mut mount, at, b"filler", &NEW).unwrap();
    let filler = mount.inode(file).ino;
    model.add(top, filler, b"filler", Node::File);
    let mut offset = 0;
    for size in [4 << 20, 64 << 10, 4096, 1024] {
        loop {
            let file = mount.iget(filler).unwrap();
            match libfs::file::write(&mut mount, file, offset, &vec![0x55; size]) {
                Ok(done) => offset += done as u64,
                Err(error) => {
                    assert_eq!(error.errno(), nix::errno::Errno::ENOSPC);
                    break;
                }
            }
        }
    }
    let refused = loop {
        if let Err(error) = add(&mut mount, &mut model) {
            break error;
        }
    };
    assert_eq!(refused.errno(), nix::errno::Errno::ENOSPC, "{refused}");
    assert!(mount.shutdown.is_none());
    let names: Vec<(Vec<u8>, u64)> =
        model.dirs[&dir_ino].iter().map(|(name, ino)| (name.clone(), *ino)).collect();
    for (index, (name, ino)) in names.into_iter().enumerate() {
        let dir = mount.iget(dir_ino).unwrap();
        if index % 3 == 0 {
            let new = format!("new {index}").into_bytes();
            let renamed =
                namespace::rename(&mut mount, dir, &name, dir, &new, RenameFlags::empty());
            match renamed {
                Ok(()) => {
                    let entries = model.dirs.get_mut(&dir_ino).unwrap();
                    entries.remove(&name);
                    entries.insert(new, ino);
                }
                Err(error) => assert_eq!(error.errno(), nix::errno::Errno::ENOSPC, "{error}"),
            }
        } else {
            namespace::unlink(&mut mount, dir, &name).unwrap();
            model.dirs.get_mut(&dir_ino).unwrap().remove(&name);
            model.forget_if_unnamed(ino);
        }
        mount.trim_caches();
    }
    check_ours(&mut mount, &model);
    close(mount);
    judge(bench, &image, &model, top);
}

#[test]
fn names_can_be_removed_from_a_full_filesystem() {
    let Some(bench) = Bench::or_skip() else { return };
    full_filesystem(&bench, &[]);
    full_filesystem(&bench, &["-n", "parent=0", "-b", "size=1024"]);
    full_filesystem(&bench, &["-n", "parent=0,size=8192", "-m", "rmapbt=0"]);
}
