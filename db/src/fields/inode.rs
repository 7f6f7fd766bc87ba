//! Fields of an inode: core, and what its two forks hold.

use super::btree::{
    ATTR_EXTENT, DATA_EXTENT, ROOT_KEY, RTREFCOUNT, RTREFCOUNT_KEY, RTRMAP, RTRMAP_KEY,
};
use super::{Base, Field, Kind, Link, Null, Place, attr, crc, dec, dir, flag, hex, nul, uuid};
use crate::types::Type;
use libfs::format::btree_block::BtreeKind;
use libfs::format::extent::root_max_records;
use libfs::format::geometry::{Fork, Ino};
use libfs::format::inode::{CORE_SIZE, Dinode, ForkFormat, MetafileType, mode};

/// The core of the inode that `place` is in; `None` if the object is too short for one.
fn core<'a>(place: &Place<'a>) -> Option<&'a Dinode> {
    Dinode::view(place.data, Ino::NULL).ok()
}

fn is_v3(place: &Place) -> bool {
    place.root_number::<1>(4) == 3
}

/// Whether timestamps are 64-bit nanoseconds.
pub fn has_bigtime(place: &Place) -> bool {
    is_v3(place) && core(place).is_some_and(Dinode::has_bigtime)
}

fn has_large_counts(place: &Place) -> bool {
    is_v3(place) && core(place).is_some_and(Dinode::has_large_counts)
}

fn has_small_counts(place: &Place) -> bool {
    !has_large_counts(place)
}

fn format(place: &Place, fork: Fork) -> Option<ForkFormat> {
    core(place)?.fork_format(fork)
}

/// Whether the data fork has this format and the inode one of these types.
fn data_is(place: &Place, wanted: ForkFormat, types: &[u16]) -> bool {
    format(place, Fork::Data) == Some(wanted)
        && core(place).is_some_and(|core| types.contains(&core.file_type()))
}

fn has_attr(place: &Place) -> bool {
    core(place).is_some_and(|core| core.forkoff != 0)
}

fn attr_is(place: &Place, wanted: ForkFormat) -> bool {
    has_attr(place) && format(place, Fork::Attr) == Some(wanted)
}

/// Bytes of the object where a fork lies.
fn fork_range(place: &Place, fork: Fork) -> std::ops::Range<usize> {
    core(place).map_or(0..0, |core| core.fork_range(fork, place.data.len()))
}

fn extent_rows(place: &Place, fork: Fork) -> usize {
    let count = core(place).map_or(0, |core| core.extent_count(fork));
    usize::try_from(count).unwrap_or(usize::MAX).min(fork_range(place, fork).len() / 16)
}

const fn number(name: &'static str, bits: usize, base: Base, at: usize) -> Field {
    Field::new(name, Kind::Number(bits, base, Null::Plain), at)
}

const fn time(name: &'static str, at: usize) -> Field {
    Field::new(name, Kind::Group(TIME, 8), at)
}

static TIME: &[Field] = &[Field::new("sec", Kind::Seconds, 0), Field::new("nsec", Kind::Nanos, 0)];

/// An inode.
pub static FIELDS: &[Field] = &[
    Field::new("core", Kind::Group(CORE, 0), 0),
    nul("next_unlinked", 32, 96).link(Link::AgInode),
    Field::new("v3", Kind::Group(V3, 0), 0),
    Field::new("u3", Kind::Group(DATA, 0), CORE_SIZE),
    Field::new("a", Kind::Group(ATTR, 0), 0)
        .at_func(|place, _| fork_range(place, Fork::Attr).start * 8)
        .when(has_attr),
];

static CORE: &[Field] = &[
    hex("magic", 16, 0),
    number("mode", 16, Base::Octal, 2),
    number("version", 8, Base::Signed, 4),
    Field::new("format", Kind::Format, 5),
    dec("nlinkv1", 16, 6).when(|place| place.root_number::<1>(4) == 1),
    dec("onlink", 16, 6)
        .when(|place| place.root_number::<1>(4) > 1 && !core(place).is_some_and(is_metadata)),
    Field::new("metatype", Kind::MetaType, 6)
        .when(|place| is_v3(place) && core(place).is_some_and(is_metadata)),
    dec("uid", 32, 8),
    dec("gid", 32, 12),
    dec("nlinkv2", 32, 16).when(|place| place.root_number::<1>(4) > 1),
    dec("projid_lo", 16, 20).when(|place| place.root_number::<1>(4) > 1),
    dec("projid_hi", 16, 22).when(|place| place.root_number::<1>(4) > 1),
    dec("nextents", 64, 24).when(has_large_counts),
    dec("v3_pad", 64, 24).when(|place| is_v3(place) && has_small_counts(place)).hidden(),
    dec("flushiter", 16, 30).when(|place| !is_v3(place)),
    time("atime", 32),
    time("mtime", 40),
    time("ctime", 48),
    number("size", 64, Base::Signed, 56),
    nul("nblocks", 64, 64),
    dec("extsize", 32, 72),
    dec("nextents", 32, 76).when(has_small_counts),
    dec("naextents", 32, 76).when(has_large_counts),
    dec("naextents", 16, 80).when(has_small_counts),
    dec("nrext64_pad", 16, 80).when(has_large_counts).hidden(),
    dec("forkoff", 8, 82),
    Field::new("aformat", Kind::Format, 83),
    hex("dmevmask", 32, 84),
    dec("dmstate", 16, 88),
    hex("flags", 16, 90).hidden(),
    flag("newrtbm", 90 * 8 + 13),
    flag("prealloc", 90 * 8 + 14),
    flag("realtime", 90 * 8 + 15),
    flag("immutable", 90 * 8 + 12),
    flag("append", 90 * 8 + 11),
    flag("sync", 90 * 8 + 10),
    flag("noatime", 90 * 8 + 9),
    flag("nodump", 90 * 8 + 8),
    flag("rtinherit", 90 * 8 + 7),
    flag("projinherit", 90 * 8 + 6),
    flag("nosymlinks", 90 * 8 + 5),
    flag("extsz", 90 * 8 + 4),
    flag("extszinherit", 90 * 8 + 3),
    flag("nodefrag", 90 * 8 + 2),
    flag("filestream", 90 * 8 + 1),
    dec("gen", 32, 92),
];

fn is_metadata(core: &Dinode) -> bool {
    use libfs::format::inode::DiFlags2;
    core.version == 3 && core.di_flags2().contains(DiFlags2::METADATA)
}

static V3: &[Field] = &[
    crc("crc", 100),
    dec("change_count", 64, 104),
    hex("lsn", 64, 112),
    hex("flags2", 64, 120),
    dec("cowextsize", 32, 128),
    dec("pad2", 8, 132).many(|_| 12).hidden(),
    time("crtime", 144),
    nul("inumber", 64, 152),
    uuid("uuid", 160),
    flag("reflink", 120 * 8 + 62),
    flag("cowextsz", 120 * 8 + 61),
    flag("dax", 120 * 8 + 63),
    flag("bigtime", 120 * 8 + 60),
    flag("nrext64", 120 * 8 + 59),
    flag("metadata", 120 * 8 + 58),
];

static DATA: &[Field] = &[
    Field::new("bmbt", Kind::Group(DATA_ROOT, 0), 0)
        .when(|place| format(place, Fork::Data) == Some(ForkFormat::Btree)),
    Field::new("bmx", Kind::Row(DATA_EXTENT, 16), 0).many(|place| {
        let extents = format(place, Fork::Data) == Some(ForkFormat::Extents);
        if extents { extent_rows(place, Fork::Data) } else { 0 }
    }),
    Field::new("c", Kind::Text(local_size), 0)
        .when(|place| data_is(place, ForkFormat::Local, &[mode::REGULAR])),
    hex("dev", 32, 0).when(|place| format(place, Fork::Data) == Some(ForkFormat::Dev)),
    Field::new("rtrmapbt", Kind::Group(RMAP_ROOT, 0), 0)
        .when(|place| is_realtime_tree(place, MetafileType::RtRmap)),
    Field::new("rtrefcbt", Kind::Group(REFCOUNT_ROOT, 0), 0)
        .when(|place| is_realtime_tree(place, MetafileType::RtRefcount)),
    Field::new("sfdir3", Kind::Group(dir::SHORT, 0), 0)
        .when(|place| data_is(place, ForkFormat::Local, &[mode::DIR])),
    Field::new("symlink", Kind::Text(local_size), 0)
        .when(|place| data_is(place, ForkFormat::Local, &[mode::SYMLINK])),
];

/// Bytes of a file that is in the inode itself.
fn local_size(place: &Place) -> usize {
    let size = core(place).map_or(0, |core| core.size.get());
    usize::try_from(size).unwrap_or(usize::MAX).min(fork_range(place, Fork::Data).len())
}

static ATTR: &[Field] = &[
    Field::new("bmbt", Kind::Group(ATTR_ROOT, 0), 0)
        .when(|place| attr_is(place, ForkFormat::Btree)),
    Field::new("bmx", Kind::Row(ATTR_EXTENT, 16), 0).many(|place| {
        if attr_is(place, ForkFormat::Extents) { extent_rows(place, Fork::Attr) } else { 0 }
    }),
    Field::new("sfattr", Kind::Group(attr::SHORT, 0), 0)
        .when(|place| attr_is(place, ForkFormat::Local)),
];

fn root_entries(place: &Place, fork: Fork) -> usize {
    let room = root_max_records(fork_range(place, fork).len());
    (place.number::<2>(2) as usize).min(room)
}

fn root_pointer(place: &Place, fork: Fork, index: usize) -> usize {
    (4 + root_max_records(fork_range(place, fork).len()) * 8 + index * 8) * 8
}

/// The root of a fork's tree.
macro_rules! root {
    ($name:ident, $fork:expr, $type:expr) => {
        static $name: &[Field] = &[
            dec("level", 16, 0),
            dec("numrecs", 16, 2),
            Field::new("keys", Kind::Row(ROOT_KEY, 8), 4)
                .many(|place| root_entries(place, $fork))
                .counted_from_one(),
            dec("ptrs", 64, 0)
                .at_func(|place, index| root_pointer(place, $fork, index))
                .many(|place| root_entries(place, $fork))
                .counted_from_one()
                .link(Link::FsBlock($type)),
        ];
    };
}

root!(DATA_ROOT, Fork::Data, Type::Bmapbtd);
root!(ATTR_ROOT, Fork::Attr, Type::Bmapbta);

/// Whether the inode is the metadata file of this kind with the root of a tree in it.
fn is_realtime_tree(place: &Place, kind: MetafileType) -> bool {
    format(place, Fork::Data) == Some(ForkFormat::MetaBtree)
        && core(place).is_some_and(|core| core.metatype.get() == kind.to_disk())
}

/// Pairs, or records of a root without blocks below it, that there is room for in a root.
fn realtime_root_room(place: &Place, kind: BtreeKind) -> usize {
    let space = fork_range(place, Fork::Data).len().saturating_sub(4);
    match place.number::<2>(0) {
        0 => space / kind.record_len(),
        // Linux reckons with two keys for each pointer, which only reverse mappings have.
        _ if kind == BtreeKind::RtRefcount => space / (2 * kind.key_len() + 8),
        _ => space / (kind.key_len() + 8),
    }
}

fn realtime_entries(place: &Place, kind: BtreeKind, leaf: bool) -> usize {
    let is_leaf = place.number::<2>(0) == 0;
    let count = place.number::<2>(2) as usize;
    if is_leaf == leaf { count.min(realtime_root_room(place, kind)) } else { 0 }
}

/// The root of a tree of a realtime group.
macro_rules! realtime_root {
    ($name:ident, $kind:expr, $record:expr, $key:expr, $type:expr) => {
        static $name: &[Field] = &[
            dec("level", 16, 0),
            dec("numrecs", 16, 2),
            Field::new("recs", Kind::Row($record, $kind.record_len()), 4)
                .many(|place| realtime_entries(place, $kind, true))
                .counted_from_one(),
            Field::new("keys", Kind::Row($key, $kind.key_len()), 4)
                .many(|place| realtime_entries(place, $kind, false))
                .counted_from_one(),
            nul("ptrs", 64, 0)
                .at_func(|place, index| {
                    let keys = realtime_root_room(place, $kind) * $kind.key_len();
                    (4 + keys + index * 8) * 8
                })
                .many(|place| realtime_entries(place, $kind, false))
                .counted_from_one()
                .link(Link::FsBlock($type)),
        ];
    };
}

realtime_root!(RMAP_ROOT, BtreeKind::RtRmap, RTRMAP, RTRMAP_KEY, Type::Rtrmapbt);
realtime_root!(REFCOUNT_ROOT, BtreeKind::RtRefcount, RTREFCOUNT, RTREFCOUNT_KEY, Type::Rtrefcntbt);
