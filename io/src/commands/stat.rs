//! stat: what is known about the current file.

use super::{Command, Flags, Named, Scope};
use crate::session::{OpenFile, Session};
use crate::target::{Handle, Stat};

pub const COMMAND: Command = Command {
    name: "stat",
    alias: None,
    arguments: (0, None),
    scope: Scope::Each,
    xfs_only: false,
    expert: false,
    usage: "[-v|-r]",
    summary: "statistics on the currently open file",
    help: "
 Shows the current file's inode.
 -v -- with timestamps, and the attribute flags in words
 -r -- raw: numbers as stat(2) returns them",
    run,
};

/// STATX_BASIC_STATS: what stat(2) tells.
const STATX_BASIC_STATS: u32 = 0x7ff;

/// Letter and name of each bit of fsxattr.xflags, lowest bit first; bits without a meaning
/// are left out.
pub const XFLAGS: [(u32, char, &str); 17] = [
    (0x1, 'r', "realtime"),
    (0x2, 'p', "prealloc"),
    (0x8, 'i', "immutable"),
    (0x10, 'a', "append-only"),
    (0x20, 's', "sync"),
    (0x40, 'A', "no-atime"),
    (0x80, 'd', "no-dump"),
    (0x100, 't', "rt-inherit"),
    (0x200, 'P', "proj-inherit"),
    (0x400, 'n', "nosymlinks"),
    (0x800, 'e', "extsize"),
    (0x1000, 'E', "extsz-inherit"),
    (0x2000, 'f', "no-defrag"),
    (0x4000, 'S', "filestream"),
    (0x8000, 'x', "dax"),
    (0x10000, 'C', "cowextsize"),
    (0x8000_0000, 'X', "has-xattr"),
];

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&COMMAND, arguments, "vr")?;
    let file = session.file()?.clone();
    let stat = session.target.stat(file.handle, STATX_BASIC_STATS, 0).named("fstat")?;
    if flags.has('r') {
        print_raw(&stat);
        return Ok(());
    }
    print_file(&file, &stat);
    if flags.has('v') {
        print_times(&stat, false);
    }
    print_space(session, file.handle, flags.has('v'))
}

/// What the file is; shared with statx, as what follows.
pub fn print_file(file: &OpenFile, stat: &Stat) {
    println!("fd.path = \"{}\"", file.path);
    println!("fd.flags = {}", file.describe_access());
    println!("stat.ino = {}", stat.ino);
    println!("stat.type = {}", type_name(stat.mode));
    println!("stat.size = {}", stat.size);
    println!("stat.blocks = {}", stat.blocks);
}

/// The times in words, if `made` that of the inode's making, too.
pub fn print_times(stat: &Stat, made: bool) {
    println!("stat.atime = {}", date(stat.atime.0));
    println!("stat.mtime = {}", date(stat.mtime.0));
    println!("stat.ctime = {}", date(stat.ctime.0));
    if made {
        println!("stat.btime = {}", date(stat.btime.0));
    }
}

/// The flags as letters, a dash for each that is not set.
pub fn letters(xflags: u32) -> String {
    XFLAGS.iter().map(|(bit, letter, _)| if xflags & bit != 0 { *letter } else { '-' }).collect()
}

/// The flags as words.
pub fn words(xflags: u32) -> String {
    let set = XFLAGS.iter().filter(|(bit, ..)| xflags & bit != 0);
    set.map(|(_, _, name)| *name).collect::<Vec<_>>().join(", ")
}

/// Flags, hints and numbers of extents, and what direct I/O must keep to; the latter only on
/// XFS.
pub fn print_space(session: &mut Session, file: Handle, in_words: bool) -> anyhow::Result<()> {
    let stat = session.target.attributes(file).named("FS_IOC_FSGETXATTR")?;
    let shown = if in_words { words(stat.xflags) } else { letters(stat.xflags) };
    println!("fsxattr.xflags = 0x{:x} [{shown}]", stat.xflags);
    println!("fsxattr.projid = {}", stat.projid);
    println!("fsxattr.extsize = {}", stat.extsize);
    println!("fsxattr.cowextsize = {}", stat.cowextsize);
    println!("fsxattr.nextents = {}", stat.nextents);
    if session.file().is_ok_and(|file| file.foreign) {
        return Ok(());
    }
    let attribute_extents = session.target.attribute_extents(file);
    println!("fsxattr.naextents = {}", attribute_extents.named("XFS_IOC_FSGETXATTRA")?);
    let limits = session.target.direct_limits(file).named("XFS_IOC_DIOINFO")?;
    println!("dioattr.mem = 0x{:x}", limits.memory);
    println!("dioattr.miniosz = {}", limits.smallest);
    println!("dioattr.maxiosz = {}", limits.largest);
    Ok(())
}

fn print_raw(stat: &Stat) {
    println!("stat.blksize = {}", stat.block_size);
    print_raw_inode(stat);
    print_raw_times(&[("atime", stat.atime), ("ctime", stat.ctime), ("mtime", stat.mtime)]);
    print_raw_devices(stat);
}

/// From the number of links to that of blocks, as statx prints them, too.
pub fn print_raw_inode(stat: &Stat) {
    println!("stat.nlink = {}", stat.links);
    println!("stat.uid = {}", stat.uid);
    println!("stat.gid = {}", stat.gid);
    println!("stat.mode: 0{:o}", stat.mode);
    println!("stat.ino = {}", stat.ino);
    println!("stat.size = {}", stat.size);
    println!("stat.blocks = {}", stat.blocks);
}

/// Times, each under its name, in seconds and nanoseconds.
pub fn print_raw_times(times: &[(&str, (i64, u32))]) {
    for (name, (seconds, nanoseconds)) in times {
        println!("stat.{name}.tv_sec = {seconds}");
        println!("stat.{name}.tv_nsec = {nanoseconds}");
    }
}

/// The device that the file is, and the one that it is on.
pub fn print_raw_devices(stat: &Stat) {
    println!("stat.rdev_major = {}", stat.rdev.0);
    println!("stat.rdev_minor = {}", stat.rdev.1);
    println!("stat.dev_major = {}", stat.dev.0);
    println!("stat.dev_minor = {}", stat.dev.1);
}

fn type_name(mode: u16) -> &'static str {
    match mode & 0o170000 {
        0o100000 => "regular file",
        0o040000 => "directory",
        0o020000 => "char device",
        0o060000 => "block device",
        0o010000 => "fifo",
        0o120000 => "symbolic link",
        0o140000 => "socket",
        _ => "unknown",
    }
}

/// "Sat Nov 21 00:29:26 2026", in UTC: an image belongs to no time zone.
pub fn date(seconds: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, of_day) = (seconds.div_euclid(86400), seconds.rem_euclid(86400));
    // Days are counted from 1 March of year 0, so that a leap day ends its year.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let calendar = (month + 2) % 12;
    let year = year_of_era + era * 400 + i64::from(calendar < 2);
    format!(
        "{} {} {day:2} {:02}:{:02}:{:02} {year}",
        DAYS[days.rem_euclid(7) as usize],
        MONTHS[calendar as usize],
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

#[cfg(test)]
mod tests {
    /// Compared with `date -u -d @N '+%a %b %e %T %Y'`.
    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(super::date(1_795_220_966), "Sat Nov 21 00:29:26 2026");
        assert_eq!(super::date(0), "Thu Jan  1 00:00:00 1970");
        assert_eq!(super::date(951_782_400), "Tue Feb 29 00:00:00 2000");
        assert_eq!(super::date(-1), "Wed Dec 31 23:59:59 1969");
    }
}
