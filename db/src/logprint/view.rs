//! Items in the view by transactions, where all regions of an item are at hand.

use super::attribute::{Attribute, Shown};
use super::dump;
use super::fields::Region;
use super::items;
use super::options::Options;
use libfs::format::log::{LogEndian, LogItemType, ilog};
use std::fmt::Write;

/// One item.
pub(super) fn item(regions: &[Vec<u8>], endian: LogEndian, options: &Options, out: &mut String) {
    let Some(format) = regions.first().map(|bytes| Region::new(bytes, endian)) else { return };
    let Some(kind) = LogItemType::from_number(format.u16(0)) else { return };
    let total = format.u16(2);
    let _ = write!(out, "{}: cnt:{} total:{total} ", items::label(kind), regions.len());
    for region in regions {
        let _ = write!(out, "a:0x0 len:{} ", region.len());
    }
    out.push('\n');
    let rest = regions.get(1..).unwrap_or_default();
    let mut rest = rest.iter().map(|bytes| Region::new(bytes, endian));
    match kind {
        LogItemType::Buffer => buffer(format, rest, options, out),
        LogItemType::Inode => inode(format, &mut rest, options, out),
        LogItemType::Dquot => quota(format, rest.next(), options, out),
        LogItemType::InodeCreate => _ = items::inode_create(format, "\t", out),
        LogItemType::Efi | LogItemType::EfiRt => {
            _ = writeln!(
                out,
                "\t{}:  #regs:{total}\tnum_extents:{}  id:{:#x}",
                items::label(kind),
                format.u32(4),
                format.u64(8)
            );
            _ = items::free_extents(format, "\t", out);
        }
        LogItemType::Efd | LogItemType::EfdRt | LogItemType::Attrd => {
            out.push('\t');
            items::whole_item(kind, format, out);
        }
        LogItemType::Attri => {
            let attribute = Attribute::format(format, out);
            let regions: Vec<_> = rest.collect();
            for (index, region) in regions.iter().enumerate() {
                attribute.part(index, *region, Shown::WithoutPadding, out);
            }
            attribute.parents(&regions, out);
        }
        _ => items::whole_item(kind, format, out),
    }
}

fn buffer<'a>(
    format: Region<'a>,
    data: impl Iterator<Item = Region<'a>>,
    options: &Options,
    out: &mut String,
) {
    let blkno = format.u64(8);
    let _ = writeln!(
        out,
        "\tBUF:  #regs:{}   start blkno:{blkno:#x}   len:{}   bmap size:{}   flags:{:#x}",
        format.u16(2),
        format.u16(6),
        format.u32(16),
        format.u16(4)
    );
    for region in data {
        let disk = region.on_disk();
        match disk.bytes.first_chunk::<4>() {
            _ if blkno == 0 => superblock(disk, options, out),
            Some(b"XAGF") => agf(disk, options, out),
            Some(b"XAGI") => agi(disk, options, out),
            _ => {
                out.push_str("\tBUF DATA\n");
                if options.buffers && options.contents {
                    dump::numbers(region.bytes, out);
                }
            }
        }
    }
}

fn superblock(disk: Region<'_>, options: &Options, out: &mut String) {
    out.push_str("\tSUPER Block Buffer:\n");
    if options.buffers {
        let _ = writeln!(
            out,
            "              icount:{} ifree:{}  fdblks:{}  frext:{}",
            disk.u64(128),
            disk.u64(136),
            disk.u64(144),
            disk.u64(152)
        );
        let _ = writeln!(out, "\t\tsunit:{}  swidth:{}", disk.u32(184), disk.u32(188));
    }
}

fn agf(disk: Region<'_>, options: &Options, out: &mut String) {
    out.push_str("\tAGF Buffer: (XAGF)\n");
    if options.buffers {
        let _ = write!(
            out,
            "\t\tver:{}  seq#:{}  len:{}  \n\t\troot BNO:{}  CNT:{}\n\t\tlevel BNO:{}  CNT:{}\n\
             \t\t1st:{}  last:{}  cnt:{}  freeblks:{}  longest:{}\n",
            disk.u32(4),
            disk.u32(8),
            disk.u32(12),
            disk.u32(16),
            disk.u32(20),
            disk.u32(28),
            disk.u32(32),
            disk.u32(40),
            disk.u32(44),
            disk.u32(48),
            disk.u32(52),
            disk.u32(56)
        );
    }
}

fn agi(disk: Region<'_>, options: &Options, out: &mut String) {
    out.push_str("\tAGI Buffer: (XAGI)\n");
    if options.buffers {
        let _ = writeln!(
            out,
            "\t\tver:{}  seq#:{}  len:{}  cnt:{}  root:{}\n\t\tlevel:{}  free#:{:#x}  newino:{:#x}",
            disk.u32(4),
            disk.u32(8),
            disk.u32(12),
            disk.u32(16),
            disk.u32(20),
            disk.u32(24),
            disk.u32(28),
            disk.u32(32)
        );
        items::unlinked_buckets(disk, out);
    }
}

fn inode<'a>(
    format: Region<'a>,
    rest: &mut impl Iterator<Item = Region<'a>>,
    options: &Options,
    out: &mut String,
) {
    let fields = format.u32(4);
    let _ = writeln!(
        out,
        "\tINODE: #regs:{}   ino:{:#x}  flags:{fields:#x}   dsize:{}",
        format.u16(2),
        format.u64(16),
        format.u16(10)
    );
    let Some(core) = rest.next() else { return };
    out.push_str("\tCORE inode:\n");
    if options.inodes {
        inode_core(core, out);
    }
    if fields & ilog::DFORK != 0 {
        fork("DATA", fields & ilog::DFORK, rest.next(), options, out);
    }
    if fields & ilog::AFORK != 0 {
        // Both forks have their bits in the same order.
        let bits = match fields & ilog::AFORK {
            ilog::AEXT => ilog::DEXT,
            ilog::ABROOT => ilog::DBROOT,
            _ => ilog::DDATA,
        };
        fork("ATTR", bits, rest.next(), options, out);
    }
}

fn fork(name: &str, bits: u32, region: Option<Region<'_>>, options: &Options, out: &mut String) {
    let kind = match bits {
        ilog::DEXT => "EXTENTS",
        ilog::DBROOT => "BTREE",
        _ => "LOCAL",
    };
    let _ = writeln!(out, "\t\t{name} FORK {kind} inode data:");
    if let Some(region) = region.filter(|_| options.inodes && options.contents) {
        dump::numbers(region.bytes, out);
    }
}

fn inode_core(core: Region<'_>, out: &mut String) {
    let magic = core.u16(0).to_be_bytes().map(char::from);
    let (nextents, anextents) = items::extent_counts(core);
    let _ = write!(
        out,
        "\t\tmagic:{}{}  mode:{:#x}  ver:{}  format:{}\n\
         \t\tuid:{}  gid:{}  nlink:{} projid:0x{:04x}{:04x}\n\
         \t\tatime:{}  mtime:{}  ctime:{}\n\t\tflushiter:{}\n\
         \t\tsize:{:#x}  nblks:{:#x}  exsize:{}  nextents:{nextents}  anextents:{anextents}\n\
         \t\tforkoff:{}  dmevmask:{:#x}  dmstate:{}  flags:{:#x}  gen:{}\n",
        magic[0],
        magic[1],
        core.u16(2),
        core.u8(4),
        core.u8(5),
        core.u32(8),
        core.u32(12),
        core.u32(16),
        core.u16(22),
        core.u16(20),
        core.u32(32) as i32,
        core.u32(40) as i32,
        core.u32(48) as i32,
        core.u16(30),
        core.u64(56),
        core.u64(64),
        core.u32(72),
        core.u8(82),
        core.u32(84),
        core.u16(88),
        core.u16(90),
        core.u32(92)
    );
    if core.u8(4) == 3 {
        let _ = writeln!(out, "\t\tflags2 {:#x} cowextsize {:#x}", core.u64(120), core.u32(128));
    }
}

fn quota(format: Region<'_>, record: Option<Region<'_>>, options: &Options, out: &mut String) {
    let _ = writeln!(
        out,
        "\tDQUOT: #regs:{}  blkno:{}  boffset:{} id: {}",
        format.u16(2),
        format.u64(8) as i64,
        format.u32(20),
        format.u32(4)
    );
    if let Some(record) = record.filter(|_| options.quotas) {
        quota_record(record.on_disk(), out);
    }
}

fn quota_record(disk: Region<'_>, out: &mut String) {
    let (id, blocks, inodes) = (disk.u32(4), disk.u64(40), disk.u64(48));
    let _ = write!(
        out,
        "\t\tmagic {:#x}\tversion {:#x}\tID {id:#x} ({id})\t\n\
         \t\tblk_hard {:#x}\tblk_soft {:#x}\tino_hard {:#x}\tino_soft {:#x}\n\
         \t\tbcount {blocks:#x} ({blocks}) icount {inodes:#x} ({inodes})\n\
         \t\tbtimer {:#x} itimer {:#x} \n",
        disk.u16(0),
        disk.u8(2),
        disk.u64(8),
        disk.u64(16),
        disk.u64(24),
        disk.u64(32),
        disk.u32(60),
        disk.u32(56)
    );
}
