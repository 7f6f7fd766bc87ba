//! The pictures.

use super::{End, Picture, Takes};

/// A picture with one device that any Linux mounts.
const fn plain(
    name: &'static str,
    size: u64,
    mkfs: &'static [&'static str],
    fill: &'static [&'static str],
) -> Picture {
    let (mount, end, takes) = ("", End::Clean, Takes::AnyLinux);
    Picture { name, size, realtime: 0, log: 0, mkfs, mount, fill, end, takes }
}

impl Picture {
    /// The same, filled in user-mode Linux.
    const fn user_mode(mut self) -> Self {
        self.takes = Takes::UserMode;
        self
    }

    /// The same, with a realtime device.
    const fn realtime(mut self, size: u64) -> Self {
        self.realtime = size;
        self.user_mode()
    }

    /// The same, with an external log.
    const fn log(mut self, size: u64) -> Self {
        self.log = size;
        self.user_mode()
    }

    /// The same, with mount options.
    const fn mount(mut self, options: &'static str) -> Self {
        self.mount = options;
        self
    }

    /// The same, left in another way.
    const fn end(mut self, end: End) -> Self {
        self.end = end;
        self
    }
}

/// The usual things.
const USUAL: &[&str] = &["directories", "attributes", "files", "sizes", "fragments", "shared"];
/// The same without clones.
const UNSHARED: &[&str] = &["directories", "attributes", "files", "sizes", "fragments"];
/// Realtime files besides a few others.
const REALTIME: &[&str] = &["files", "sizes", "realtime"];
/// The same with clones.
const REALTIME_SHARED: &[&str] = &["files", "shared", "realtime", "realtime-shared"];
/// Options of filesystems as they were ten years ago.
const OLD: &[&str] = &[
    "-m",
    "finobt=0,rmapbt=0,reflink=0,inobtcount=0,bigtime=0",
    "-i",
    "sparse=0,nrext64=0,exchange=0",
    "-n",
    "parent=0",
];

/// Every picture.
pub const PICTURES: &[Picture] = &[
    plain("default", 400, &[], USUAL),
    plain(
        "deep",
        400,
        &["-b", "size=1k", "-d", "agcount=2"],
        &["directories", "large-directory", "attributes", "deep", "many-shared"],
    ),
    plain("deep-attributes", 300, &["-b", "size=1k", "-d", "agcount=2"], &["deep-attributes"]),
    plain(
        "blocks-2k",
        300,
        &[
            "-b",
            "size=2k",
            "-n",
            "size=8k",
            "-i",
            "size=1024,nrext64=0,sparse=0",
            "-m",
            "bigtime=0",
        ],
        USUAL,
    ),
    plain("blocks-8k", 300, &["-b", "size=8k"], USUAL),
    plain("blocks-16k", 400, &["-b", "size=16k"], USUAL),
    plain("blocks-32k", 600, &["-b", "size=32k"], USUAL),
    plain("blocks-64k", 800, &["-b", "size=64k"], USUAL),
    plain("directories-64k", 300, &["-n", "size=64k", "-i", "size=2048"], USUAL),
    plain("old", 300, OLD, UNSHARED),
    plain(
        "striped",
        600,
        &["-s", "size=4k", "-d", "su=64k,sw=2", "-n", "parent=0", "-L", "a\"b\\c \u{e9}"],
        USUAL,
    ),
    plain("sparse-inodes", 300, &["-d", "agcount=2"], &["sparse-inodes"]),
    plain("dirty", 300, &[], USUAL).end(End::Dirty),
    plain(
        "many-inodes",
        400,
        &[
            "-b",
            "size=1k",
            "-d",
            "agcount=2",
            "-m",
            "rmapbt=0",
            "-n",
            "parent=0",
            "-i",
            "maxpct=90",
        ],
        &["many-inodes"],
    ),
    plain("frozen", 300, &[], &["files", "shared", "staged"]).end(End::Frozen).user_mode(),
    plain("ci", 300, &["-n", "version=ci"], USUAL).user_mode(),
    plain("external-log", 300, &[], USUAL).log(64),
    plain("quota", 300, &["-n", "parent=0"], &["files", "owners"])
        .mount("uquota,gquota,pquota")
        .user_mode(),
    plain("metadir", 300, &["-m", "metadir=1"], &["directories", "files", "shared", "owners"])
        .mount("uquota,gquota,pquota")
        .user_mode(),
    plain("realtime", 300, OLD, REALTIME).realtime(128),
    plain("realtime-extents", 300, &["-r", "extsize=64k", "-m", "rmapbt=0,reflink=0"], REALTIME)
        .realtime(300),
    plain("rtgroups", 300, &["-m", "metadir=1", "-r", "rgcount=4"], REALTIME_SHARED).realtime(256),
    plain(
        "rtgroups-deep",
        300,
        &["-m", "metadir=1", "-r", "rgcount=2"],
        &["realtime", "realtime-deep", "realtime-shared", "owners"],
    )
    .mount("uquota,gquota,pquota")
    .realtime(512),
    plain(
        "zoned",
        4096,
        &["-m", "metadir=1", "-r", "zoned=1"],
        &["directories", "attributes", "overwrites"],
    )
    .user_mode(),
];
