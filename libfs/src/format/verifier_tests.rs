//! Verifiers refuse what is wrong in one place. The structures are those that
//! `SOURCE_DATE_EPOCH=1700000000 DETERMINISTIC_SEED=1 mkfs.xfs -m
//! uuid=01234567-89ab-cdef-0123-456789abcdef -d file,name=IMAGE,size=300m` of xfsprogs 7.2
//! makes; the zeros at the end of each are left out.

const SUPERBLOCK: &str = concat!(
    "58465342000010000000000000012c00000000000000000000000000000000000123456789abcdef01234567",
    "89abcdef00000000000100070000000000000080000000000000008100000000000000820000000100004b00",
    "000000040000000000004000b4b50200020000080000000000000000000000000c0909030f00001900000000",
    "00000040000000000000003d000000000000ebdc000000000000000000000000000000000000000000000000",
    "0000000000000008000000000000000000000000000000010000018a0000018a000000000000000f000000eb",
    "000000001e9fbecf00000004",
);

const AGF: &str = concat!(
    "58414746000000010000000000004b0000000001000000020000000500000001000000010000000100000001",
    "000000060000000600004aeb00004ae8000000000123456789abcdef0123456789abcdef0000000100000001",
    "0000000600000001000000000000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    "000000000000000000000000000000000000000000000000000000000000000000000000000000008a873616",
);

const AGI: &str = concat!(
    "58414749000000010000000000004b000000004000000003000000010000003d00000080ffffffffffffffff",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff0123456789abcdef01234567",
    "89abcdefb7aef7da00000000000000000000000000000004000000010000000100000001",
);

const INODE: &str = concat!(
    "494e41ed03010000000000000000000000000002000000000000000000000000356501fe362a0000356501fe",
    "362a0000356501fe362a00000000000000000006000000000000000000000000000000000000250100000000",
    "0000000000000000ffffffffe43e493900000000000000040000000000000000000000000000001800000000",
    "000000000000000000000000356501fe362a000000000000000000800123456789abcdef0123456789abcdef",
    "0000000000800000000000000000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000001901000c06027866733a61",
    "75746f6673636b726570616972",
);

const INOBT: &str = concat!(
    "4941423300000001ffffffffffffffff000000000000001800000000000000000123456789abcdef01234567",
    "89abcdef000000004803b803000000800000403dfffffffffffffff8",
);

const RMAPBT: &str = concat!(
    "524d423300000007ffffffffffffffff000000000000002800000000000000000123456789abcdef01234567",
    "89abcdef000000001641e8e30000000000000001fffffffffffffffd00000000000000000000000100000002",
    "fffffffffffffffb00000000000000000000000300000002fffffffffffffffa000000000000000000000005",
    "00000001fffffffffffffffb00000000000000000000000600000001fffffffffffffff80000000000000000",
    "0000000700000006fffffffffffffffb00000000000000000000001000000008fffffffffffffff9",
);

use super::ag::{self, Agf, Agfl, Agi};
use super::attr::{self, remote::RemoteHeader};
use super::btree_block::{self, BtreeKind};
use super::btree_record::{DiskInodeChunk, DiskRmap, InodeChunk, Rmap};
use super::dir::{data::DataBlock, free::Free, leaf::Leaf};
use super::extent::{self, Root};
use super::geometry::{Fork, FsBlock, Geometry, Ino};
use super::inode::{self, Dinode};
use super::superblock::{self, Superblock};
use super::symlink::SymlinkHeader;
use super::{checksum, da, overlay, slice_of};
use crate::{At, Error, Result};
use proptest::prelude::*;

/// The bytes that `hex` spells, padded with zeros to `size`.
fn bytes(hex: &str, size: usize) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let mut bytes: Vec<u8> = (0..hex.len()).step_by(2).map(digit).collect();
    bytes.resize(size, 0);
    bytes
}

fn geometry() -> Geometry {
    Geometry::new(&Superblock::decode(&bytes(SUPERBLOCK, 512)).unwrap().dsb).unwrap()
}

/// One byte of a structure to be changed, and a word that must be in the complaint.
type Mutation = (usize, &'static str);

/// Changes each byte in turn; `verify` must then complain with the word given.
fn each_is_noticed(sound: &[u8], mutations: &[Mutation], verify: impl Fn(&[u8]) -> Result<()>) {
    verify(sound).unwrap();
    for (offset, word) in mutations {
        let mut broken = sound.to_vec();
        broken[*offset] ^= 0x81;
        let text = verify(&broken).expect_err(word).to_string();
        assert!(text.contains(word), "byte {offset}: {text:?} does not say {word:?}");
    }
}

#[test]
fn checksums_of_mkfs_are_right() {
    for (hex, size, offset) in [
        (SUPERBLOCK, 512, superblock::CRC_OFFSET),
        (AGF, 512, ag::AGF_CRC_OFFSET),
        (AGI, 512, ag::AGI_CRC_OFFSET),
        (INODE, 512, inode::CRC_OFFSET),
        (INOBT, 4096, BtreeKind::Ino.crc_offset()),
        (RMAPBT, 4096, BtreeKind::Rmap.crc_offset()),
    ] {
        let mut block = bytes(hex, size);
        assert!(checksum::verify(&block, offset));
        let sound = block.clone();
        block[offset] ^= 1;
        assert!(!checksum::verify(&block, offset));
        checksum::stamp(&mut block, offset);
        assert_eq!(block, sound);
    }
}

#[test]
fn superblock_fields() {
    let mutations: &[Mutation] = &[
        (3, "magic"),
        (7, "blocksize"),
        (15, "dblocks"),
        (80, "rextsize"),
        (86, "agblklog"),
        (88, "dblocks"),
        (103, "sector size"),
        (105, "inodesize"),
        (107, "inopblock"),
        (120, "blocksize"),
        (121, "sectsize"),
        (122, "inodesize"),
        (123, "inopblog"),
        (124, "agblklog"),
        (126, "mkfs"),
        (127, "imax_pct"),
        (177, "qflags"),
        (179, "shared_vn"),
        (183, "inoalignmt"),
        (187, "dalign"),
        (192, "directory"),
        (193, "logsectsize"),
        (196, "logsunit"),
        (219, "unknown incompatible"),
        (228, "spino_align"),
    ];
    let verify = |sector: &[u8]| {
        let mut sector = sector.to_vec();
        // Bit 7 of this byte is the parent feature, which may be missing.
        if sector[219] & 0x80 == 0 {
            sector[217] |= 0x80;
        }
        // Bits of quota flags that exist in version 5 are no mistake; bit 4 is.
        if sector[177] != 0 {
            sector[177] = 0x10;
        }
        checksum::stamp(&mut sector, superblock::CRC_OFFSET);
        Superblock::decode(&sector).map(drop)
    };
    each_is_noticed(&bytes(SUPERBLOCK, 512), mutations, verify);
}

#[test]
fn unknown_features_and_versions() {
    let decode = |offset: usize, value: u8| {
        let mut sector = bytes(SUPERBLOCK, 512);
        sector[offset] = value;
        checksum::stamp(&mut sector, superblock::CRC_OFFSET);
        Superblock::decode(&sector)
    };
    // Bit 31 of the incompatible features, and of those compatible with reading.
    assert!(
        matches!(decode(216, 0x80), Err(Error::Incompatible(text)) if text.contains("0x80000000"))
    );
    assert!(decode(212, 0x80).unwrap().read_only_reason().unwrap().contains("0x80000000"));
    let version = bytes(SUPERBLOCK, 512)[101];
    assert!(matches!(decode(101, version & 0xf0 | 4), Err(Error::Incompatible(_))));
    assert!(matches!(decode(101, version & 0xf0 | 6), Err(Error::Corrupt(_))));
    let mut torn = bytes(SUPERBLOCK, 512);
    torn[300] = 1;
    assert!(Superblock::decode(&torn).unwrap_err().to_string().contains("checksum"));
    assert!(Superblock::decode(&torn[..300]).is_err());
}

#[test]
fn group_header_fields() {
    let geo = geometry();
    let free_space: &[Mutation] = &[
        (3, "magic"),
        (7, "version"),
        (11, "seqno"),
        (15, "length"),
        (31, "bnolevel"),
        (35, "cntlevel"),
        (39, "rmaplevel"),
        (40, "flfirst"),
        (44, "fllast"),
        (48, "flcount"),
        (52, "freeblks"),
        (56, "longest"),
        (60, "btreeblks"),
        (79, "uuid"),
        (80, "rmapblocks"),
        (84, "refcntblocks"),
        (95, "refcntlevel"),
    ];
    each_is_noticed(&bytes(AGF, 512), free_space, |sector| {
        overlay::<Agf>(sector, "AGF", At::Byte(0))?.verify(&geo, 0)
    });
    let inodes: &[Mutation] = &[
        (3, "magic"),
        (7, "version"),
        (11, "seqno"),
        (15, "length"),
        (27, "level"),
        (40, "unlinked[0]"),
        (40 + 63 * 4, "unlinked[63]"),
        (296, "uuid"),
        (335, "free_level"),
    ];
    each_is_noticed(&bytes(AGI, 512), inodes, |sector| {
        overlay::<Agi>(sector, "AGI", At::Byte(0))?.verify(&geo, 0)
    });
}

#[test]
fn inode_fields() {
    let geo = geometry();
    let mutations: &[Mutation] = &[
        (1, "magic"),
        (2, "format"),
        (4, "version"),
        (5, "format"),
        (7, "metatype"),
        (24, "extents"),
        (56, "size"),
        (71, "extents"),
        (72, "extsize"),
        (79, "extents"),
        (81, "nrext64_pad"),
        (82, "forkoff"),
        (83, "format"),
        (98, "next_unlinked"),
        (128, "cowextsize"),
        (159, "ino is"),
        (175, "uuid"),
    ];
    each_is_noticed(&bytes(INODE, 512), mutations, |inode| {
        Dinode::view(inode, Ino(128))?.verify(&geo, Ino(128))
    });
}

#[test]
fn btree_block_fields() {
    let geo = geometry();
    let mutations: &[Mutation] = &[
        (3, "magic"),
        (5, "level"),
        (6, "records"),
        (9, "left sibling"),
        (13, "right sibling"),
        (23, "blkno"),
        (40, "uuid"),
        (51, "owner"),
    ];
    for (hex, kind, agbno) in [(INOBT, BtreeKind::Ino, 3), (RMAPBT, BtreeKind::Rmap, 5)] {
        let daddr = geo.agblock_daddr(0, agbno);
        each_is_noticed(&bytes(hex, 4096), mutations, |block| {
            btree_block::verify(block, &geo, kind, daddr).map(drop)
        });
    }
}

#[test]
fn record_fields() {
    let geo = geometry();
    let block = bytes(INOBT, 4096);
    let chunk: &DiskInodeChunk = overlay(&block[56..], "record", At::Byte(0)).unwrap();
    let sound = InodeChunk::decode(chunk, true);
    sound.verify(&geo, 0).unwrap();
    for broken in [
        InodeChunk { startino: 1, ..sound },
        InodeChunk { count: 32, ..sound },
        InodeChunk { holemask: 0xff00, ..sound },
        InodeChunk { freecount: sound.freecount - 1, ..sound },
        InodeChunk { free: sound.free << 1, ..sound },
    ] {
        assert!(broken.verify(&geo, 0).is_err(), "{broken:?}");
    }
    let block = bytes(RMAPBT, 4096);
    let records: &[DiskRmap] = slice_of(&block[56..]);
    let count = usize::from(u16::from_be_bytes([block[6], block[7]]));
    for record in &records[..count] {
        let sound = Rmap::decode(record);
        sound.verify(&geo, 0).unwrap();
        for broken in [
            Rmap { startblock: u32::MAX, ..sound },
            Rmap { len: 0, ..sound },
            Rmap { owner: super::btree_record::owner::MIN, ..sound },
            Rmap { offset: 1, ..sound },
            Rmap { flags: super::btree_record::RmapFlags::UNWRITTEN, ..sound },
        ] {
            assert!(broken.verify(&geo, 0).is_err(), "{broken:?}");
        }
    }
    assert!(records[..count].is_sorted_by_key(|record| Rmap::decode(record).low_key()));
}

proptest! {
    /// Nothing panics on any bytes, whole blocks of them or short ones; the magic number
    /// is made right often enough that what is behind it is looked at.
    #[test]
    fn garbage_never_panics(
        mut block in prop::collection::vec(any::<u8>(), 0..4097), full: bool, kind in 0usize..14,
    ) {
        let geo = geometry();
        if full {
            block.resize(4096, 0xa5);
        }
        let short = [da::NODE_MAGIC, da::ATTR_LEAF_MAGIC, da::DIR_LEAF1_MAGIC, da::DIR_LEAFN_MAGIC];
        if let (Some(magic), Some(field)) = (short.get(kind), block.get_mut(8..10)) {
            field.copy_from_slice(&magic.to_be_bytes());
        }
        let long = [
            super::dir::data::BLOCK_MAGIC, super::dir::data::DATA_MAGIC, super::dir::free::MAGIC,
            attr::remote::MAGIC, super::symlink::MAGIC,
        ];
        if let (Some(magic), Some(field)) = (long.get(kind.wrapping_sub(4)), block.get_mut(..4)) {
            field.copy_from_slice(&magic.to_be_bytes());
        }
        look_at_everything(&block, &geo);
    }

    #[test]
    fn damaged_superblocks_never_panic(changes in prop::collection::vec((0usize..304, any::<u8>()), 1..9)) {
        let mut sector = bytes(SUPERBLOCK, 512);
        for (at, value) in changes {
            sector[at] = value;
        }
        checksum::stamp(&mut sector, superblock::CRC_OFFSET);
        let _ = Superblock::decode(&sector);
        if let Ok(geo) = Geometry::new(superblock::Dsb::view(&sector).unwrap()) {
            for value in [0, 1, 12345, u64::from(u32::MAX), u64::MAX] {
                geo.valid_ino(Ino(value));
                geo.valid_fsb(FsBlock(value));
                geo.inode_buffer(Ino(value), None);
                geo.fsblock_daddr(FsBlock(value));
            }
            look_at_everything(&bytes(INODE, 4096), &geo);
        }
    }
}

fn look_at_everything(block: &[u8], geo: &Geometry) {
    let at = At::Byte(0);
    let _ = DataBlock::view(block, true, at).and_then(|data| {
        data.items().for_each(drop);
        data.leaf_entries();
        data.verify(geo, 0)
    });
    let _ = Leaf::view(block, at).and_then(|leaf| leaf.verify(geo, 0, block));
    let _ = Free::view(block, at).and_then(|free| free.verify(geo, 0));
    let _ = da::Node::view(block, at).and_then(|node| node.verify(geo, 4096, 0));
    let _ = attr::leaf::Leaf::view(block, at).and_then(|leaf| {
        for entry in leaf.entries {
            let _ = leaf.name_value(entry);
        }
        leaf.verify(geo, 0)
    });
    let _ = RemoteHeader::view(block, at).and_then(|header| header.verify(geo, 0));
    let _ = SymlinkHeader::view(block, at).and_then(|header| header.verify(geo, 0));
    let _ = Agfl::view(block).and_then(|agfl| agfl.verify(geo, 0));
    let _ = overlay::<Agf>(block, "AGF", at).and_then(|agf| agf.verify(geo, 0));
    let _ = overlay::<Agi>(block, "AGI", at).and_then(|agi| agi.verify(geo, 0));
    for kind in BtreeKind::IN_AG.into_iter().chain([BtreeKind::Bmap]) {
        let _ = btree_block::verify(block, geo, kind, 0);
    }
    for fork in [Fork::Data, Fork::Attr] {
        let _ = Root::decode(block, geo, Ino(128), fork);
        let _ = extent::decode_list(block, 20, geo, Ino(128), fork, false, 0);
        let _ = Dinode::view(block, Ino(128)).and_then(|core| {
            core.fork(fork, block);
            core.verify(geo, Ino(128))
        });
    }
}
