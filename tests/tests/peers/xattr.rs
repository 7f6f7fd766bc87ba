//! Extended attributes and parent pointers made by libfs, cut off in the middle, and judged by
//! xfs_repair 7.2 and by Linux.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::Arc;

use libfs::device::{Device, FileDevice};
use libfs::dir;
use libfs::file::namespace::{self, RenameFlags};
use libfs::filesystem::{Filesystem, Opened};
use libfs::inode::InodeRef;
use libfs::mount::Mount;
use libfs::transaction::InjectTag;
use libfs::xattr::{self, Namespace, SetMode};
use tests::linux;

use super::dir::{Bench, Dice, Model, NEW, Node, Operation, check_ours, close, judge, open, root};

/// A value that differs for each attribute and length.
fn value(len: usize, salt: u8) -> Vec<u8> {
    (0..len).map(|i| (i / 7) as u8 ^ salt).collect()
}

/// Attributes of every size on one file, more and more of them, then fewer.
fn attributes_of_every_size(bench: &Bench, options: &[&str], count: usize) {
    let image = bench.make(options);
    let mut mount = open(&image);
    let top = mount.geo.root_ino.0;
    let mut model = Model::new(top);
    let at = root(&mut mount);
    let file = namespace::create(&mut mount, at, b"file", &NEW).unwrap();
    let ino = mount.inode(file).ino;
    model.add(top, ino, b"file", Node::File);
    let mut dice = Dice(4242);
    let set = |mount: &mut Mount, model: &mut Model, name: &[u8], new: Vec<u8>| {
        let file = mount.iget(ino).unwrap();
        xattr::set(mount, file, Namespace::User, name, &new, SetMode::Any).unwrap();
        let all = model.attributes.entry(ino).or_default();
        all.insert((Namespace::User, name.to_vec()), new);
        mount.trim_caches();
    };
    let lengths =
        [0, 1, 250, 255, 256, 700, 767, 768, 3000, 3060, 3072, 4040, 4096, 30_000, 65_536];
    for (salt, len) in lengths.into_iter().enumerate() {
        set(&mut mount, &mut model, format!("length {len}").as_bytes(), value(len, salt as u8));
    }
    // Linux cannot list names of more than 64 KiB in all.
    for index in 0..count {
        let len = if index % 25 == 0 { dice.roll(5000) } else { dice.roll(120) };
        set(
            &mut mount,
            &mut model,
            format!("attribute {index}").as_bytes(),
            value(len, index as u8),
        );
    }
    close(mount);
    judge(bench, &image, &model, top);
    for round in 0..3 {
        let mut mount = open(&image);
        let names: Vec<Vec<u8>> =
            model.attributes[&ino].keys().map(|(_, name)| name.clone()).collect();
        for name in names {
            match dice.roll(3) {
                _ if round == 2 => {}
                0 => {
                    let len = [20, 1000, 9000][dice.roll(3)];
                    set(&mut mount, &mut model, &name, value(len, 77));
                    continue;
                }
                1 => continue,
                _ => {}
            }
            let file = mount.iget(ino).unwrap();
            xattr::remove(&mut mount, file, Namespace::User, &name).unwrap();
            let key = (Namespace::User, name);
            model.attributes.get_mut(&ino).unwrap().remove(&key);
            mount.trim_caches();
        }
        check_ours(&mut mount, &model);
        close(mount);
        judge(bench, &image, &model, top);
    }
}

#[test]
fn attributes_grow_and_shrink_through_every_format() {
    let Some(bench) = Bench::or_skip() else { return };
    attributes_of_every_size(&bench, &[], 1500);
    attributes_of_every_size(&bench, &["-b", "size=1024"], 1500);
    attributes_of_every_size(&bench, &["-b", "size=65536"], 400);
    let oldest = ["-n", "parent=0", "-i", "exchange=0,nrext64=0", "-m", "bigtime=0"];
    attributes_of_every_size(&bench, &oldest, 500);
}

/// One operation that is cut off in the middle, and what must be true once it is recovered.
struct Interrupted {
    what: String,
    prepare: Box<dyn Fn(&mut Mount)>,
    run: Operation,
    /// The finished state: names in the root directory and attributes of "file".
    names: Vec<&'static [u8]>,
    attribute: Option<Vec<u8>>,
}

const KEY: &[u8] = b"key";

fn file_of(mount: &mut Mount, name: &[u8]) -> InodeRef {
    let at = root(mount);
    let (ino, _) = dir::lookup(mount, at, name).unwrap().unwrap();
    mount.iget(ino).unwrap()
}

fn set_key(mount: &mut Mount, file: InodeRef, value: &[u8]) -> libfs::Result<()> {
    xattr::set(mount, file, Namespace::User, KEY, value, SetMode::Any)
}

/// Changes of an attribute from every kind of value to every other.
fn interrupted_attributes() -> Vec<Interrupted> {
    let sizes = [None, Some(10), Some(3000), Some(65_536)];
    let mut all = Vec::new();
    for old in sizes {
        for new in sizes {
            if old.is_none() && new.is_none() {
                continue;
            }
            let new_value = new.map(|len| value(len, 1));
            let attribute = new_value.clone();
            all.push(Interrupted {
                what: format!("attribute of {old:?} bytes to {new:?}"),
                prepare: Box::new(move |mount| {
                    let file = file_of(mount, b"file");
                    if let Some(len) = old {
                        set_key(mount, file, &value(len, 2)).unwrap();
                    }
                }),
                run: Box::new(move |mount| {
                    let file = file_of(mount, b"file");
                    match &new_value {
                        Some(new) => set_key(mount, file, new),
                        None => xattr::remove(mount, file, Namespace::User, KEY),
                    }
                }),
                names: vec![b"file"],
                attribute,
            });
        }
    }
    all
}

/// Changes of names, whose parent pointers follow in a chain of their own.
fn interrupted_names() -> Vec<Interrupted> {
    let rename = |mount: &mut Mount, old: &[u8], new: &[u8], flags| {
        let at = root(mount);
        namespace::rename(mount, at, old, at, new, flags)
    };
    let none = RenameFlags::empty();
    let mut all = Vec::new();
    // With few attributes parent pointers are in the inode, with large ones in a leaf.
    for size in [10, 2000, 20_000] {
        let prepare = move |mount: &mut Mount| {
            let at = root(mount);
            let file = file_of(mount, b"file");
            set_key(mount, file, &value(size, 3)).unwrap();
            namespace::create(mount, at, b"other", &NEW).unwrap();
        };
        let all = &mut all;
        let mut add = |what: &str, names: Vec<&'static [u8]>, keeps: bool, run: Operation| {
            all.push(Interrupted {
                what: format!("{what} beside {size} bytes"),
                prepare: Box::new(prepare),
                run,
                names,
                attribute: keeps.then(|| value(size, 3)),
            });
        };
        let link_and_rename = move |mount: &mut Mount| {
            let (at, file) = (root(mount), file_of(mount, b"file"));
            namespace::link(mount, file, at, b"again")?;
            rename(mount, b"again", b"renamed", none)
        };
        add("rename", vec![b"file", b"renamed", b"other"], true, Box::new(link_and_rename));
        let replace_twice = move |mount: &mut Mount| {
            rename(mount, b"file", b"other", none)?;
            rename(mount, b"other", b"file", none)
        };
        add("replace", vec![b"file"], true, Box::new(replace_twice));
        let exchange =
            move |mount: &mut Mount| rename(mount, b"file", b"other", RenameFlags::EXCHANGE);
        // The file with the attribute then has the other name.
        add("exchange", vec![b"file", b"other"], false, Box::new(exchange));
        let unlink = move |mount: &mut Mount| {
            let at = root(mount);
            namespace::unlink(mount, at, b"other")
        };
        add("unlink", vec![b"file"], true, Box::new(unlink));
    }
    all
}

/// What must be true after recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The operation is finished: its intent was in the log.
    Finished,
    /// Nothing is broken, and the attribute has its old value or the new one. As with
    /// attributes of Linux, an entry that was being made may be left over.
    Either,
}

/// Cuts each operation off at every point where a deferred operation could be half done;
/// Linux has to finish it.
fn interrupt_everywhere(bench: &Bench, base: &Path, all: &[Interrupted], outcome: Outcome) {
    let mut mount = open(base);
    let at = root(&mut mount);
    namespace::create(&mut mount, at, b"file", &NEW).unwrap();
    close(mount);
    let image = bench.scratch.path("interrupted");
    for case in all {
        for (tag, tag_name) in InjectTag::ALL {
            for skip in 0.. {
                tests::sparse::copy(base, &image).unwrap();
                let mut mount = open(&image);
                (case.prepare)(&mut mount);
                mount.checkpoint().unwrap();
                let before = key_in(&mut mount);
                mount.set_inject(tag, skip);
                let stopped = (case.run)(&mut mount).is_err();
                if !stopped {
                    assert!(mount.shutdown.is_none());
                    break;
                }
                drop(mount);
                let what = format!("{}, stopped at {tag_name} after {skip}", case.what);
                check_recovered(bench, &image, case, &before, &what, outcome);
            }
        }
    }
}

fn key_in(mount: &mut Mount) -> Option<Vec<u8>> {
    let file = file_of(mount, b"file");
    xattr::get(mount, file, Namespace::User, KEY).unwrap()
}

/// What is left after recovery: names in the root directory, and the attribute.
type Left = (Vec<Vec<u8>>, Option<Vec<u8>>);

fn left_by_linux(image: &Path, what: &str) -> Left {
    let mounted = linux::Mount::new(image).expect(what);
    let mut names: Vec<Vec<u8>> =
        fs::read_dir(mounted.root()).unwrap().map(|e| e.unwrap().file_name().into_vec()).collect();
    names.sort();
    let mut found = vec![0u8; 65536];
    let paths = ["file", "other"].map(|name| mounted.path(name));
    let path = paths.iter().find(|path| path.exists()).expect(what);
    let len = rustix::fs::lgetxattr(path, "user.key", &mut found[..]);
    let found = len.ok().map(|len| found[..len].to_vec());
    mounted.unmount().unwrap();
    (names, found)
}

fn left_by_us(image: &Path, what: &str) -> Left {
    let device: Arc<dyn Device> = Arc::new(FileDevice::open(image).unwrap());
    let Opened::Dirty(dirty) = Filesystem::open(device).expect(what) else {
        panic!("{what}: the log is clean");
    };
    let (mut filesystem, _) = dirty.recover().expect(what);
    let mount = filesystem.mount();
    let at = root(mount);
    let mut names: Vec<Vec<u8>> =
        dir::list(mount, at).unwrap().into_iter().map(|entry| entry.name).collect();
    names.retain(|name| !matches!(&name[..], b"." | b".."));
    names.sort();
    let name: &[u8] = if names.contains(&b"file".to_vec()) { b"file" } else { b"other" };
    let file = file_of(mount, name);
    let found = xattr::get(mount, file, Namespace::User, KEY).unwrap();
    filesystem.close().unwrap();
    (names, found)
}

fn check_recovered(
    bench: &Bench,
    image: &Path,
    case: &Interrupted,
    before: &Option<Vec<u8>>,
    what: &str,
    outcome: Outcome,
) {
    let copy = bench.scratch.path("copy");
    tests::sparse::copy(image, &copy).unwrap();
    for (who, image, (names, found)) in
        [("Linux", image, left_by_linux(image, what)), ("we", &copy, left_by_us(&copy, what))]
    {
        let what = format!("{what}, recovered by {who}");
        let verdict = bench.peers.check(image).unwrap();
        let mut findings = verdict.findings();
        // The bit that allow_logged_attributes() sets is in the first superblock only.
        findings.retain(|line| !line.contains("would sync log incompat feature"));
        let len = found.as_ref().map(Vec::len);
        if outcome == Outcome::Finished {
            assert!(findings.is_empty(), "{what}: {findings:?}");
            let mut expected: Vec<Vec<u8>> = case.names.iter().map(|name| name.to_vec()).collect();
            expected.sort();
            assert_eq!(names, expected, "{what}");
            assert!(found == case.attribute, "{what}: {len:?} bytes");
        } else {
            findings.retain(|line| !line.contains("INCOMPLETE"));
            assert!(findings.is_empty(), "{what}: {findings:?}");
            assert!(found == case.attribute || found == *before, "{what}: {len:?} bytes");
        }
    }
}

/// Lets intents to change attributes be in the log, as Linux's debugging knob "larp" does.
fn allow_logged_attributes(bench: &Bench, image: &Path) {
    let image = image.to_str().unwrap();
    let write = "write features_log_incompat 1";
    bench.peers.run("xfs_db", ["-x", "-c", "sb 0", "-c", write, image]).unwrap();
}

#[test]
fn linux_finishes_attribute_changes() {
    let Some(bench) = Bench::or_skip() else { return };
    if linux::host_or_skip() {
        let base = bench.make(&[]);
        allow_logged_attributes(&bench, &base);
        interrupt_everywhere(&bench, &base, &interrupted_attributes(), Outcome::Finished);
        let base = bench.make(&["-b", "size=1024", "-m", "rmapbt=0"]);
        allow_logged_attributes(&bench, &base);
        interrupt_everywhere(&bench, &base, &interrupted_attributes()[10..], Outcome::Finished);
    }
}

#[test]
fn attributes_are_old_or_new_without_intents() {
    let Some(bench) = Bench::or_skip() else { return };
    if linux::host_or_skip() {
        let base = bench.make(&[]);
        interrupt_everywhere(&bench, &base, &interrupted_attributes(), Outcome::Either);
    }
}

#[test]
fn linux_finishes_changes_of_parent_pointers() {
    let Some(bench) = Bench::or_skip() else { return };
    if linux::host_or_skip() {
        let base = bench.make(&[]);
        interrupt_everywhere(&bench, &base, &interrupted_names(), Outcome::Either);
    }
}

/// Files, links and directories that fill their inode give up room for their first attribute.
#[test]
fn first_attributes_find_room_in_full_inodes() {
    let Some(bench) = Bench::or_skip() else { return };
    let image = bench.make(&["-n", "parent=0", "-b", "size=1024"]);
    let mut mount = open(&image);
    let top = mount.geo.root_ino.0;
    let mut model = Model::new(top);
    let at = root(&mut mount);
    let mut inodes = Vec::new();
    for extents in [0, 1, 10, 18, 19, 20, 21, 22, 59, 120, 400, 580, 600, 620, 700, 900, 1200, 2500]
    {
        let name = format!("{extents} extents").into_bytes();
        let file = namespace::create(&mut mount, at, &name, &NEW).unwrap();
        let ino = mount.inode(file).ino;
        model.add(top, ino, &name, Node::File);
        for index in 0..extents {
            libfs::file::write(&mut mount, file, index * 2048, &[1; 1024]).unwrap();
        }
        inodes.push(ino);
    }
    for entries in [0, 1, 5, 8, 9, 10, 30] {
        let name = format!("{entries} entries").into_bytes();
        let dir = namespace::mkdir(&mut mount, at, &name, &NEW).unwrap();
        let ino = mount.inode(dir).ino;
        model.add(top, ino, &name, Node::Dir);
        for index in 0..entries {
            let name = format!("an entry of moderate length {index}").into_bytes();
            let file = namespace::create(&mut mount, dir, &name, &NEW).unwrap();
            let file_ino = mount.inode(file).ino;
            model.add(ino, file_ino, &name, Node::File);
        }
        inodes.push(ino);
    }
    for len in [1, 100, 290, 330, 336, 337, 900] {
        let (name, target) = (format!("link {len}").into_bytes(), vec![b'x'; len]);
        let link = namespace::symlink(&mut mount, at, &name, &target, &NEW).unwrap();
        let ino = mount.inode(link).ino;
        model.add(top, ino, &name, Node::Link(target));
        inodes.push(ino);
    }
    for size in [1, 40, 200] {
        for ino in &inodes {
            let inode = mount.iget(*ino).unwrap();
            let (name, value) = (format!("{size} bytes").into_bytes(), vec![7; size]);
            xattr::set(&mut mount, inode, Namespace::Trusted, &name, &value, SetMode::Create)
                .unwrap();
            model.attributes.entry(*ino).or_default().insert((Namespace::Trusted, name), value);
        }
        check_ours(&mut mount, &model);
        close(mount);
        judge(&bench, &image, &model, top);
        mount = open(&image);
    }
    for ino in &inodes {
        let inode = mount.iget(*ino).unwrap();
        for (namespace, name) in model.attributes.remove(ino).unwrap().into_keys() {
            xattr::remove(&mut mount, inode, namespace, &name).unwrap();
        }
        assert_eq!(mount.inode(inode).core.forkoff == 0, mount.inode(inode).attr.is_none());
    }
    close(mount);
    judge(&bench, &image, &model, top);
}
