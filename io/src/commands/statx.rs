//! statx: what is known about the current file, and what of it is asked for.

use super::stat::{
    print_file, print_raw_devices, print_raw_inode, print_raw_times, print_space, print_times,
};
use super::{Command, Flags, Named, Scope};
use crate::session::{Complaint, Session};
use crate::target::Stat;

pub const COMMAND: Command = Command {
    name: "statx",
    alias: None,
    arguments: (0, None),
    scope: Scope::Each,
    xfs_only: false,
    expert: false,
    usage: "[-v|-r][-m basic | -m all | -m <mask>][-FD]",
    summary: "extended statistics on the currently open file",
    help: "
 Shows the current file's inode.

 -v -- with timestamps, and the attribute flags in words
 -r -- raw: numbers as statx(2) returns them
 -m mask -- what to ask for: a number, or names of fields
            (default: STATX_BASIC_STATS | STATX_BTIME)
 -m +mask -- ask for this, too
 -m -mask -- do not ask for this
 -D -- do not ask a server
 -F -- ask the server in any case

statx mask values: basic, all, type, mode, nlink, uid, gid, atime, mtime, ctime, ino, size, blocks, btime, mnt_id, dioalign, mnt_id_unique, subvol, write_atomic, dio_read_align",
    run,
};

/// STATX_* bits of `linux/stat.h` by name. "all" is everything but what is reserved.
const MASKS: [(&str, u32); 20] = [
    ("basic", 0x7ff),
    ("all", 0x7fff_ffff),
    ("type", 0x1),
    ("mode", 0x2),
    ("nlink", 0x4),
    ("uid", 0x8),
    ("gid", 0x10),
    ("atime", 0x20),
    ("mtime", 0x40),
    ("ctime", 0x80),
    ("ino", 0x100),
    ("size", 0x200),
    ("blocks", 0x400),
    ("btime", 0x800),
    ("mnt_id", 0x1000),
    ("dioalign", 0x2000),
    ("mnt_id_unique", 0x4000),
    ("subvol", 0x8000),
    ("write_atomic", 0x1_0000),
    ("dio_read_align", 0x2_0000),
];

/// STATX_BASIC_STATS | STATX_BTIME.
const USUAL: u32 = 0xfff;

/// AT_STATX_FORCE_SYNC and AT_STATX_DONT_SYNC.
const FORCE_SYNC: u32 = 0x2000;
const DONT_SYNC: u32 = 0x4000;

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&COMMAND, arguments, "m:rvFD")?;
    let mut mask = USUAL;
    for words in flags.values('m') {
        mask = parse(session, words, mask)?;
    }
    let mut how = 0;
    how |= if flags.has('F') { FORCE_SYNC } else { 0 };
    how |= if flags.has('D') { DONT_SYNC } else { 0 };
    // Both together mean neither.
    how = if how == FORCE_SYNC | DONT_SYNC { DONT_SYNC } else { how };
    let file = session.file()?.clone();
    let stat = session.target.stat(file.handle, mask, how).named("statx")?;
    // One that succeeds forgets earlier failures, in xfsprogs.
    session.exit_code = 0;
    if flags.has('r') {
        print_raw(&stat);
        return Ok(());
    }
    print_file(&file, &stat);
    if flags.has('v') {
        print_times(&stat, true);
    }
    print_space(session, file.handle, flags.has('v'))
}

/// Reads a mask: words or numbers, each added to (+), taken from (-) or replacing what was
/// before.
fn parse(session: &Session, text: &str, mut mask: u32) -> anyhow::Result<u32> {
    for word in text.split(',') {
        let (sign, word) = match word.as_bytes().first() {
            Some(b'+') => ('+', &word[1..]),
            Some(b'-') => ('-', &word[1..]),
            _ => ('=', word),
        };
        let named = MASKS.iter().find(|(name, _)| *name == word).map(|(_, bits)| *bits);
        let bits = match named.or_else(|| session.number(word, "mask").ok().map(|n| n as u32)) {
            Some(bits) => bits,
            None => return Err(Complaint(format!("non-numeric mask -- {word}")).into()),
        };
        mask = match sign {
            '+' => mask | bits,
            '-' => mask & !bits,
            _ => bits,
        };
    }
    Ok(mask)
}

fn print_raw(stat: &Stat) {
    println!("stat.mask = 0x{:x}", stat.mask);
    println!("stat.blksize = {}", stat.block_size);
    println!("stat.attributes = 0x{:x}", stat.attributes);
    print_raw_inode(stat);
    println!("stat.attributes_mask = 0x{:x}", stat.attributes_mask);
    print_raw_times(&[
        ("atime", stat.atime),
        ("btime", stat.btime),
        ("ctime", stat.ctime),
        ("mtime", stat.mtime),
    ]);
    print_raw_devices(stat);
    // Decimal behind the 0x, as xfsprogs has it.
    println!("stat.mnt_id = 0x{}", stat.mount_id);
    println!("stat.dio_mem_align = {}", stat.dio_memory_align);
    println!("stat.dio_offset_align = {}", stat.dio_offset_align);
    println!("stat.subvol = 0x{}", stat.subvolume);
    println!("stat.atomic_write_unit_min = {}", stat.atomic_unit_min);
    println!("stat.atomic_write_unit_max = {}", stat.atomic_unit_max);
    println!("stat.atomic_write_segments_max = {}", stat.atomic_segments_max);
    println!("stat.dio_read_offset_align = {}", stat.dio_read_offset_align);
    println!("stat.atomic_write_unit_max_opt = {}", stat.atomic_unit_max_opt);
}
