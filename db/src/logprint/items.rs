//! The regions of items in the view by records.

use super::fields::Region;
use libfs::format::log::item::{DquotLogFormat, InodeCreateLog, InodeLogFormat, LogDinode};
use libfs::format::log::wire::Wire;
use libfs::format::log::{LogItemType, ilog};
use std::fmt::Write;

/// Core of an inode, as far as its forks need it.
pub(super) struct Core {
    is_directory: bool,
}

/// Where a region of a buffer is.
pub(super) struct Place {
    /// In the buffer of the superblock.
    pub(super) first_block: bool,
    /// At the end of a record; the rest is in the next.
    pub(super) goes_on: bool,
}

/// What a region of a buffer is printed as.
pub(super) fn buffer_data(region: Region<'_>, place: Place, contents: bool, out: &mut String) {
    let disk = region.on_disk();
    if place.first_block {
        return superblock(disk, out);
    }
    match disk.bytes.first_chunk::<4>() {
        Some(b"XAGF") => agf(disk, out),
        Some(b"XAGI") => agi(disk, place.goes_on, out),
        _ => {
            out.push_str("BUF DATA\n");
            if contents {
                words(region, out);
            }
        }
    }
}

fn superblock(disk: Region<'_>, out: &mut String) {
    out.push_str("SUPER BLOCK Buffer: ");
    if disk.len() < 32 {
        out.push_str("Out of space\n");
        return;
    }
    out.push('\n');
    let _ = writeln!(
        out,
        "icount: {}  ifree: {}  fdblks: {}  frext: {}",
        disk.u64(128),
        disk.u64(136),
        disk.u64(144),
        disk.u64(152)
    );
}

fn agf(disk: Region<'_>, out: &mut String) {
    out.push_str("AGF Buffer: XAGF  ");
    if disk.len() < 64 {
        out.push_str("Out of space\n");
        return;
    }
    out.push('\n');
    let _ = write!(
        out,
        "ver: {}  seq#: {}  len: {}  \nroot BNO: {}  CNT: {}\nlevel BNO: {}  CNT: {}\n\
         1st: {}  last: {}  cnt: {}  freeblks: {}  longest: {}\n",
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

fn agi(disk: Region<'_>, goes_on: bool, out: &mut String) {
    out.push_str("AGI Buffer: XAGI  ");
    if disk.len() < 40 {
        out.push_str("out of space\n");
        return;
    }
    out.push('\n');
    let _ = writeln!(
        out,
        "ver: {}  seq#: {}  len: {}  cnt: {}  root: {}\nlevel: {}  free#: {:#x}  newino: {:#x}",
        disk.u32(4),
        disk.u32(8),
        disk.u32(12),
        disk.u32(16),
        disk.u32(20),
        disk.u32(24),
        disk.u32(28),
        disk.u32(32)
    );
    if goes_on {
        out.push_str("AGI unlinked data skipped (CONTINUE set, no space)\n");
        return;
    }
    unlinked_buckets(disk, out);
}

/// The heads of the lists of unlinked inodes, four to a line, as far as the region reaches.
/// xfsprogs stops 20 bytes before its end.
pub(super) fn unlinked_buckets(disk: Region<'_>, out: &mut String) {
    const FIRST: usize = 40;
    const COUNT: usize = 64;
    let held = disk.len().saturating_sub(FIRST + 20) / 4;
    for line in (0..COUNT.min(held)).step_by(4) {
        let _ = write!(out, "bucket[{line} - {}]: ", line + 3);
        for bucket in line..(line + 4).min(held) {
            let _ = write!(out, "{:#x} ", disk.u32(FIRST + 4 * bucket));
        }
        out.push('\n');
    }
}

/// The format of an item other than a buffer, inode or quota record: the whole item. It may go
/// on in the next record.
pub(super) fn whole_item(kind: LogItemType, region: Region<'_>, out: &mut String) {
    let name = label(kind);
    if kind == LogItemType::InodeCreate && region.len() < InodeCreateLog::SIZE {
        out.push_str("ICR: split header, not printing\n");
        return;
    }
    if region.len() < 16 {
        let _ = writeln!(out, "{name}: Not enough data to decode further");
        return;
    }
    let regions = region.u16(2);
    let (count, id) = (region.u32(4), region.u64(8));
    let list = |out: &mut String, count| {
        writeln!(out, "{name}:  #regs: {regions}\tnum_extents: {count}  id: {id:#x}")
    };
    _ = match kind {
        LogItemType::InodeCreate => inode_create(region, "", out),
        LogItemType::Efi | LogItemType::EfiRt => {
            list(out, count).and_then(|()| free_extents(region, "", out))
        }
        LogItemType::Efd | LogItemType::EfdRt => list(out, count),
        LogItemType::Rui | LogItemType::RuiRt | LogItemType::Bui => {
            list(out, count).and_then(|()| mappings(name, region, out))
        }
        LogItemType::Cui | LogItemType::CuiRt => {
            list(out, count).and_then(|()| physical_extents(name, region, out))
        }
        LogItemType::Xmi => list(out, 1).and_then(|()| exchange(region, out)),
        LogItemType::Attrd => writeln!(out, "{name}:  #regs: {regions}\tid: {id:#x}"),
        _ => writeln!(out, "{name}:  #regs: {regions}\t                 id: {id:#x}"),
    };
}

/// Said instead of a list that goes on in the next record.
fn split_list(name: &str, out: &mut String) -> std::fmt::Result {
    writeln!(out, "{name} data skipped (CONTINUE set, no space)")
}

/// What xfsprogs calls a kind of item.
pub(super) fn label(kind: LogItemType) -> &'static str {
    match kind {
        LogItemType::Efi => "EFI",
        LogItemType::Efd => "EFD",
        LogItemType::EfiRt => "EFI_RT",
        LogItemType::EfdRt => "EFD_RT",
        LogItemType::Rui => "RUI",
        LogItemType::Rud => "RUD",
        LogItemType::RuiRt => "RUI_RT",
        LogItemType::RudRt => "RUD_RT",
        LogItemType::Cui => "CUI",
        LogItemType::Cud => "CUD",
        LogItemType::CuiRt => "CUI_RT",
        LogItemType::CudRt => "CUD_RT",
        LogItemType::Bui => "BUI",
        LogItemType::Bud => "BUD",
        LogItemType::Attri => "ATTRI",
        LogItemType::Attrd => "ATTRD",
        LogItemType::Xmi => "XMI",
        LogItemType::Xmd => "XMD",
        LogItemType::Inode => "INO",
        LogItemType::Buffer => "BUF",
        LogItemType::Dquot => "DQ ",
        LogItemType::QuotaOff => "QOFF",
        LogItemType::InodeCreate => "ICR",
    }
}

/// `ICR`: a chunk of new inodes.
pub(super) fn inode_create(region: Region<'_>, indent: &str, out: &mut String) -> std::fmt::Result {
    let disk = region.on_disk();
    writeln!(
        out,
        "{indent}ICR:  #ag: {}  agbno: {:#x}  len: {}\n{indent}      cnt: {}  isize: {}    gen: {:#x}",
        disk.u32(4),
        disk.u32(8),
        disk.u32(20),
        disk.u32(12),
        disk.u32(16),
        disk.u32(24)
    )
}

/// Where the records of `size` bytes are that follow a format of 16 bytes; nothing if the region
/// does not hold as many as it says.
fn listed(region: Region<'_>, size: usize) -> Option<impl Iterator<Item = usize>> {
    let count = region.u32(4) as usize;
    let held = region.len().saturating_sub(16) / size;
    (count <= held).then(|| (0..count).map(move |index| 16 + index * size))
}

/// Extents to free, four to a line.
pub(super) fn free_extents(region: Region<'_>, indent: &str, out: &mut String) -> std::fmt::Result {
    // 32-bit machines log an extent in 12 bytes.
    let count = region.u32(4).max(1) as usize;
    let size = if region.len().saturating_sub(16) / count == 12 { 12 } else { 16 };
    let Some(extents) = listed(region, size) else {
        return split_list("EFI free extent", out);
    };
    out.push_str(indent);
    for (index, at) in extents.enumerate() {
        write!(out, "(s: {:#x}, l: {}) ", region.u64(at), region.u32(at + 8))?;
        if index % 4 == 3 {
            out.push('\n');
        }
    }
    if !count.is_multiple_of(4) {
        out.push('\n');
    }
    Ok(())
}

/// Mappings to change.
pub(super) fn mappings(name: &str, region: Region<'_>, out: &mut String) -> std::fmt::Result {
    let Some(extents) = listed(region, 32) else {
        return split_list(&format!("{name} extent"), out);
    };
    for at in extents {
        writeln!(
            out,
            "(s: {:#x}, l: {}, own: {}, off: {}, f: {:#x}) ",
            region.u64(at + 8),
            region.u32(at + 24),
            region.u64(at) as i64,
            region.u64(at + 16),
            region.u32(at + 28)
        )?;
    }
    Ok(())
}

/// Extents whose reference counts change.
pub(super) fn physical_extents(
    name: &str,
    region: Region<'_>,
    out: &mut String,
) -> std::fmt::Result {
    let Some(extents) = listed(region, 16) else {
        return split_list(&format!("{name} extent"), out);
    };
    for at in extents {
        writeln!(
            out,
            "(s: {:#x}, l: {}, f: {:#x}) ",
            region.u64(at),
            region.u32(at + 8),
            region.u32(at + 12)
        )?;
    }
    Ok(())
}

/// Mappings to exchange.
pub(super) fn exchange(region: Region<'_>, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "(ino1: {:#x}, igen1: {:#x}, ino2: {:#x}, igen2: {:#x}, off1: {}, off2: {}, len: {}, flags: {:#x})",
        region.u64(16),
        region.u32(32),
        region.u64(24),
        region.u32(36),
        region.u64(40),
        region.u64(48),
        region.u64(56),
        region.u64(64)
    )
}

/// The format of an inode; false if the rest of it is in the next record.
pub(super) fn inode_format(region: Region<'_>, out: &mut String) -> bool {
    if region.len() < InodeLogFormat::SIZE {
        let _ = writeln!(out, "INODE: #regs: {}   Not printing rest of data", region.u16(2));
        return false;
    }
    let _ = write!(
        out,
        "INODE: #regs: {}   ino: {:#x}  flags: {:#x}   dsize: {}\n        \
         blkno: {}  len: {}  boff: {}\n",
        region.u16(2),
        region.u64(16),
        region.u32(4),
        region.u16(10),
        region.u64(40) as i64,
        region.u32(48),
        region.u32(52)
    );
    true
}

/// The core of an inode, if it is all in this record.
pub(super) fn inode_core(region: Region<'_>, out: &mut String) -> Option<Core> {
    if region.len() < LogDinode::SIZE {
        return None;
    }
    let mode = region.u16(2);
    let (nextents, anextents) = extent_counts(region);
    let time = |at| region.u32(at) as i32 as i64;
    let _ = write!(
        out,
        "INODE CORE\nmagic {:#x} mode 0{:o} version {} format {}\nnlink {} uid {} gid {}\n\
         atime {:#x} mtime {:#x} ctime {:#x}\nsize {:#x} nblocks {:#x} extsize {:#x} nextents {:#x}\n\
         naextents {:#x} forkoff {} dmevmask {:#x} dmstate {:#x}\nflags {:#x} gen {:#x}\n",
        region.u16(0),
        mode,
        region.u8(4) as i8,
        region.u8(5) as i8,
        region.u32(16),
        region.u32(8),
        region.u32(12),
        time(32),
        time(40),
        time(48),
        region.u64(56),
        region.u64(64),
        region.u32(72),
        nextents,
        anextents,
        region.u8(82),
        region.u32(84),
        region.u16(88),
        region.u16(90),
        region.u32(92)
    );
    if region.u8(4) == 3 {
        let _ = writeln!(out, "flags2 {:#x} cowextsize {:#x}", region.u64(120), region.u32(128));
    }
    Some(Core { is_directory: mode & 0o170_000 == 0o040_000 })
}

/// Extents of both forks: where they are counted depends on a flag.
pub(super) fn extent_counts(region: Region<'_>) -> (u64, u64) {
    const NREXT64: u64 = 1 << 4;
    if region.u64(120) & NREXT64 != 0 {
        (region.u64(24), region.u32(76).into())
    } else {
        (region.u32(76).into(), region.u16(80).into())
    }
}

/// The data fork of an inode, by what its format says of it.
pub(super) fn data_fork(fields: u32, size: u16, core: &Core, out: &mut String) {
    match fields & ilog::DFORK {
        ilog::DEXT => out.push_str("EXTENTS inode data\n"),
        ilog::DBROOT => out.push_str("BTREE inode data\n"),
        _ => {
            out.push_str("LOCAL inode data\n");
            if core.is_directory {
                let _ = writeln!(out, "SHORTFORM DIRECTORY size {size}");
            }
        }
    }
}

/// The attribute fork of an inode.
pub(super) fn attr_fork(fields: u32, out: &mut String) {
    out.push_str(match fields & ilog::AFORK {
        ilog::AEXT => "EXTENTS attr data\n",
        ilog::ABROOT => "BTREE attr data\n",
        _ => "LOCAL attr data\n",
    });
}

/// The format of a quota record; false if the rest of it is in the next record.
pub(super) fn quota_format(region: Region<'_>, out: &mut String) -> bool {
    if region.len() < DquotLogFormat::SIZE {
        let _ = writeln!(out, "DQUOT: #regs: {}   Not printing rest of data", region.u16(2));
        return false;
    }
    let _ = writeln!(
        out,
        "#regs: {}   id: 0x{:x}  blkno: {}  len: {}  boff: {}",
        region.u16(2),
        region.u32(4),
        region.u64(8) as i64,
        region.u32(16),
        region.u32(20)
    );
    true
}

/// A region as 32-bit numbers, eight to a line.
pub(super) fn words(region: Region<'_>, out: &mut String) {
    for (line, bytes) in region.bytes.chunks(32).enumerate() {
        let _ = write!(out, "{:2x} ", line * 8);
        let part = Region::new(bytes, libfs::format::log::LogEndian::NATIVE);
        for at in (0..bytes.len()).step_by(4) {
            let _ = write!(out, "{:8x} ", part.u32(at));
        }
        if bytes.len() == 32 {
            out.push('\n');
        }
    }
    out.push('\n');
}

/// A quota record.
pub(super) fn quota_record(region: Region<'_>, out: &mut String) {
    let disk = region.on_disk();
    let _ = writeln!(out, "DQUOT: magic {:#x} flags 0{:o}", disk.u16(0), disk.u8(3));
}
