//! What the manual page says of each suboption. Values, limits and what excludes what are
//! added from the table in `suboptions`.

/// Letter of the option, name of the suboption, what it is for.
const TEXT: &[(char, &str, &str)] = &[
    (
        'b',
        "size",
        "Block size; 4096 by default. It cannot be smaller than a sector, or than 1 KiB.",
    ),
    ('c', "options", "Configuration file: see CONFIGURATION FILES."),
    (
        'c',
        "defaults",
        "Configuration file whose values are new defaults, which the command line may override.",
    ),
    (
        'c',
        "makecfg",
        "Write the configuration of the filesystem that would be made to this file (- for standard\n\
         output), and make nothing.",
    ),
    ('d', "agcount", "Number of allocation groups."),
    (
        'd',
        "file",
        "The path is an image file. It is created if it is missing, and emptied if it is not.\n\
         Needs -d size, and is refused for block devices.",
    ),
    ('d', "name", "The device or image file, instead of as the last argument."),
    (
        'd',
        "size",
        "Size of the filesystem; all of the device by default. An image file that is smaller\n\
         grows. Less than 300 MiB is refused.",
    ),
    (
        'd',
        "sunit",
        "Stripe unit of the storage below, as a number of 512-byte blocks; needs swidth.",
    ),
    ('d', "swidth", "Stripe width, as a number of 512-byte blocks."),
    ('d', "agsize", "Size of an allocation group."),
    ('d', "su", "Stripe unit in bytes; needs sw."),
    ('d', "sw", "Number of units in a stripe."),
    ('d', "sectsize", "Sector size, as with -s size."),
    ('d', "noalign", "Do not align to the stripes that the device reports."),
    ('d', "rtinherit", "The root directory hands the realtime flag on to what is created in it."),
    ('d', "projinherit", "The root directory hands this project number on."),
    ('d', "extszinherit", "The root directory hands this extent size hint, in blocks, on."),
    (
        'd',
        "cowextsize",
        "The root directory hands this copy-on-write extent size hint, in blocks, on. Needs\n\
         -m reflink.",
    ),
    ('d', "daxinherit", "The root directory hands the flag for direct access on."),
    (
        'd',
        "concurrency",
        "Choose the number of allocation groups for this many threads. No value, 1 and nr_cpus\n\
         mean as many as there are CPUs; 0 leaves the CPUs out of account.",
    ),
    ('i', "align", "Inode chunks are aligned, always in version 5: 0 is refused."),
    ('i', "maxpct", "Percentage of the space that inodes may take; 0 for no limit."),
    ('i', "perblock", "Inodes in a block, instead of their size."),
    ('i', "size", "Bytes in an inode: 512 by default, and at most half a block. 256 is refused."),
    ('i', "attr", "Version of attributes: only 2 is accepted."),
    ('i', "projid32bit", "Project numbers of 32 bits, always in version 5: 0 is refused."),
    ('i', "sparse", "Inode chunks may be allocated in part. On by default."),
    ('i', "nrext64", "64-bit extent counts. On by default."),
    (
        'i',
        "exchange",
        "Atomic exchange of file ranges, which exchangerange of xfs_io(8) needs. On by default.",
    ),
    (
        'i',
        "max_atomic_write",
        "Untorn writes of this size, a power of two, should be possible: allocation groups are\n\
         aligned to it, and the log is made large enough for the mount option of the same name.",
    ),
    ('l', "agnum", "Allocation group of the log; the middle one by default."),
    ('l', "internal", "The log is inside the filesystem, as by default."),
    (
        'l',
        "size",
        "Size of the log. 64 MiB is the least for a supported filesystem. By default 1/2048 of\n\
         the filesystem, and at least 64 MiB; all of the device, if the log is on its own.",
    ),
    ('l', "version", "Version of the log: only 2 is accepted."),
    ('l', "sunit", "Stripe unit of the log, as a number of 512-byte blocks."),
    ('l', "su", "Stripe unit of the log."),
    ('l', "logdev", "Device or image file that the log is on."),
    ('l', "name", "The same."),
    ('l', "sectsize", "Sector size of the log; that of the data, if it is internal."),
    ('l', "file", "The log device is an image file, which is created if it is missing."),
    (
        'l',
        "lazy-count",
        "Counters of the superblock are not logged, always in version 5: 0 is refused.",
    ),
    (
        'l',
        "concurrency",
        "Choose the log size for this many threads; values as with -d concurrency.",
    ),
    ('m', "crc", "Checksums: only 1 is accepted; 0 would be a filesystem of version 4."),
    ('m', "finobt", "Btrees of free inodes. On by default."),
    ('m', "uuid", "Identity of the filesystem, written with hyphens; random by default."),
    ('m', "rmapbt", "Reverse mappings: who owns each block. On by default."),
    ('m', "reflink", "Files may share blocks. On by default."),
    (
        'm',
        "inobtcount",
        "Sizes of the inode btrees in the group headers. On by default; needs finobt.",
    ),
    ('m', "bigtime", "Timestamps beyond the year 2038. On by default."),
    (
        'm',
        "autofsck",
        "What self-healing by Linux may do: none, check, optimize or repair; also 0 for none and\n\
         1 for repair. Levels other than none turn on rmapbt and parent, unless declined.",
    ),
    (
        'm',
        "metadir",
        "Metadata files are in a directory tree of their own, which quota and groups of the\n\
         realtime volume are part of. Off by default.",
    ),
    ('m', "uquota", "User quota is accounted and enforced from the first mount on. Needs metadir."),
    ('m', "gquota", "The same for groups."),
    ('m', "pquota", "The same for projects."),
    ('m', "uqnoenforce", "User quota is accounted and not enforced. Needs metadir."),
    ('m', "gqnoenforce", "The same for groups."),
    ('m', "pqnoenforce", "The same for projects."),
    (
        'n',
        "size",
        "Bytes in a directory block, at least a filesystem block. By default the larger of 4096\n\
         and the filesystem block.",
    ),
    (
        'n',
        "version",
        "2 for directories as usual, or ci for names that are compared without the case of ASCII\n\
         letters (deprecated in Linux).",
    ),
    ('n', "ftype", "Directories know the types of files, always in version 5: 0 is refused."),
    ('n', "parent", "Parent pointers: each file knows its names. On by default."),
    ('r', "extsize", "Size of an extent of the realtime volume, the unit of its allocations."),
    ('r', "size", "Size of the realtime volume; all of its device by default."),
    ('r', "rtdev", "Device or image file that the realtime volume is on."),
    ('r', "file", "The realtime device is an image file, which is created if it is missing."),
    ('r', "name", "The same as rtdev."),
    ('r', "noalign", "Do not align to the stripes that the realtime device reports."),
    ('r', "rgcount", "Number of groups of the realtime volume; needs -m metadir."),
    ('r', "rgsize", "Size of a group of the realtime volume; needs -m metadir."),
    (
        'r',
        "concurrency",
        "Choose the number of groups for this many threads; values as with -d concurrency.",
    ),
    (
        'r',
        "zoned",
        "The realtime volume is written zone by zone, as zoned devices need it; needs -m metadir.",
    ),
    ('r', "start", "Where a zoned realtime volume begins on the data device."),
    ('r', "reserved", "Space that a zoned realtime volume keeps for moving data."),
    (
        's',
        "size",
        "Sector size, at most a block and at least the device's logical sector. By default the\n\
         device's physical sector, and 512 for image files.",
    ),
    ('s', "sectsize", "The same."),
];

/// What the suboption `name` of option `letter` is for.
pub fn describe(letter: char, name: &str) -> Option<&'static str> {
    TEXT.iter().find(|(l, n, _)| (*l, *n) == (letter, name)).map(|(.., text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suboptions::TABLE;

    #[test]
    fn every_suboption_is_described() {
        let described = |(letter, name)| describe(letter, name).is_some();
        let missing: Vec<_> =
            TABLE.iter().map(|o| (o.letter, o.name)).filter(|&key| !described(key)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
