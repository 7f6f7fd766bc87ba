//! Recognising what a device holds already, so that it is not overwritten by mistake.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Something that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A filesystem, swap space, or part of a volume, by blkid's name of its type.
    Content(&'static str),
    /// A partition table.
    PartitionTable(&'static str),
}

/// Bytes that tell a kind of content, at an offset from the start of the device.
struct Signature(&'static str, u64, &'static [u8]);

/// Kinds whose bytes are in one fixed place.
const SIGNATURES: &[Signature] = &[
    Signature("xfs", 0, b"XFSB"),
    Signature("xfs_external_log", 0, &[0xfe, 0xed, 0xba, 0xbe]),
    Signature("btrfs", 0x10040, b"_BHRfS_M"),
    Signature("bcachefs", 0x1018, BCACHEFS_MAGIC),
    Signature("bcachefs", 0x1018, BCACHE_MAGIC),
    Signature("crypto_LUKS", 0, b"LUKS\xba\xbe"),
    Signature("LVM2_member", 0x218, b"LVM2 001"),
    Signature("LVM2_member", 0x018, b"LVM2 001"),
    Signature("LVM2_member", 0x418, b"LVM2 001"),
    Signature("LVM2_member", 0x618, b"LVM2 001"),
    Signature("linux_raid_member", 0, RAID_MAGIC),
    Signature("linux_raid_member", 0x1000, RAID_MAGIC),
    Signature("f2fs", 0x400, &[0x10, 0x20, 0xf5, 0xf2]),
    Signature("nilfs2", 0x406, &[0x34, 0x34]),
    Signature("erofs", 0x400, &[0xe2, 0xe1, 0xf5, 0xe0]),
    Signature("iso9660", 0x8001, b"CD001"),
    Signature("udf", 0x8001, b"BEA01"),
    Signature("jfs", 0x8000, b"JFS1"),
    Signature("reiserfs", 0x10034, b"ReIsErFs"),
    Signature("reiserfs", 0x10034, b"ReIsEr2Fs"),
    Signature("reiser4", 0x10000, b"ReIsEr4"),
    Signature("gfs2", 0x10000, &[0x01, 0x16, 0x19, 0x70, 0, 0, 0, 1]),
    Signature("ocfs2", 0x2000, b"OCFSV2"),
    Signature("zfs_member", 0x20000, &[0x0c, 0xb1, 0xba]),
    Signature("ntfs", 3, b"NTFS    "),
    Signature("exfat", 3, b"EXFAT   "),
    Signature("vfat", 0x52, b"FAT32   "),
    Signature("vfat", 0x36, b"FAT16   "),
    Signature("vfat", 0x36, b"FAT12   "),
    Signature("hfsplus", 0x400, b"H+\0\x04"),
    Signature("hfsplus", 0x400, b"HX\0\x05"),
    Signature("apfs", 0x20, b"NXSB"),
    Signature("ufs", 0x255c, &[0x19, 0x01, 0x54, 0x19]),
    Signature("minix", 0x410, &[0x8f, 0x13]),
    Signature("minix", 0x418, &[0x5a, 0x4d]),
    Signature("DRBD", 0x1000, b"DRBD"),
];

const BCACHE_MAGIC: &[u8] = &[
    0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d, 0x81,
];
const BCACHEFS_MAGIC: &[u8] = &[
    0xc6, 0x85, 0x73, 0xf6, 0x66, 0xce, 0x90, 0xa9, 0xd9, 0x6a, 0x60, 0xcf, 0x80, 0x3d, 0xf7, 0xef,
];
const RAID_MAGIC: &[u8] = &[0xfc, 0x4e, 0x2b, 0xa9];

/// What `path` holds, if it can be opened and holds something known.
///
/// # Errors
/// The device cannot be read.
pub fn find(path: &Path) -> std::io::Result<Option<Found>> {
    let file = File::open(path)?;
    let size = {
        use std::io::{Seek, SeekFrom};
        (&file).seek(SeekFrom::End(0))?
    };
    Ok(Reader { file, size }.find())
}

struct Reader {
    file: File,
    size: u64,
}

impl Reader {
    fn find(&self) -> Option<Found> {
        let fixed = SIGNATURES.iter().find(|Signature(_, at, bytes)| self.has(*at, bytes));
        let content = fixed
            .map(|Signature(name, ..)| *name)
            .or_else(|| self.extended())
            .or_else(|| self.squashfs())
            .or_else(|| self.swap())
            .or_else(|| self.raid_at_end());
        content.map(Found::Content).or_else(|| self.partition_table().map(Found::PartitionTable))
    }

    fn bytes<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact_at(&mut bytes, at).ok().map(|()| bytes)
    }

    fn has(&self, at: u64, wanted: &[u8]) -> bool {
        let mut found = vec![0; wanted.len()];
        self.file.read_exact_at(&mut found, at).is_ok() && found == wanted
    }

    /// The ext family, told apart by features.
    fn extended(&self) -> Option<&'static str> {
        const HAS_JOURNAL: u32 = 0x4;
        const JOURNAL_DEVICE: u32 = 0x8;
        const EXT3_INCOMPAT: u32 = 0x2 | 0x4 | 0x10;
        const EXT3_RO_COMPAT: u32 = 0x1 | 0x2 | 0x4;
        if !self.has(0x438, &[0x53, 0xef]) {
            return None;
        }
        let word = |at| self.bytes(at).map_or(0, u32::from_le_bytes);
        let (compat, incompat, ro_compat) = (word(0x45c), word(0x460), word(0x464));
        if incompat & JOURNAL_DEVICE != 0 {
            return Some("jbd");
        }
        if incompat & !EXT3_INCOMPAT != 0 || ro_compat & !EXT3_RO_COMPAT != 0 {
            return Some("ext4");
        }
        Some(if compat & HAS_JOURNAL != 0 { "ext3" } else { "ext2" })
    }

    /// Squashfs, whose versions before 4 go by a name of their own.
    fn squashfs(&self) -> Option<&'static str> {
        let version = self.has(0, b"hsqs").then(|| self.bytes(28).map_or(0, u16::from_le_bytes))?;
        Some(if version < 4 { "squashfs3" } else { "squashfs" })
    }

    /// Swap space: the signature ends the first page, whose size is the machine's.
    fn swap(&self) -> Option<&'static str> {
        let pages = [0x1000u64, 0x2000, 0x4000, 0x8000, 0x10000];
        let is = |word: &[u8]| pages.iter().any(|page| self.has(page - 10, word));
        if is(b"S1SUSPEND") || is(b"S2SUSPEND") || is(b"ULSUSPEND") {
            return Some("swsuspend");
        }
        (is(b"SWAPSPACE2") || is(b"SWAP-SPACE")).then_some("swap")
    }

    /// Software RAID with its superblock at the end: version 1.0, and 0.90.
    fn raid_at_end(&self) -> Option<&'static str> {
        let version1 = (self.size / 512).checked_sub(16).map(|sector| (sector & !7) * 512);
        let version0 = (self.size & !0xffff).checked_sub(0x10000);
        let found = [version1, version0].into_iter().flatten().any(|at| self.has(at, RAID_MAGIC));
        found.then_some("linux_raid_member")
    }

    fn partition_table(&self) -> Option<&'static str> {
        if self.has(512, b"EFI PART") || self.has(4096, b"EFI PART") {
            return Some("gpt");
        }
        if !self.has(510, &[0x55, 0xaa]) {
            return None;
        }
        // Four entries, each inactive or active; else it is some other boot sector.
        let entries: [u8; 64] = self.bytes(446)?;
        let sound = entries.chunks_exact(16).all(|entry| entry[0] & 0x7f == 0);
        sound.then_some("dos")
    }
}
