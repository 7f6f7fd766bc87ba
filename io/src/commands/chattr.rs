//! chattr, lsattr: the flags of the current file.

use super::stat::{XFLAGS, letters, words};
use super::walk::{self, Reach};
use super::{Command, Flags, Scope, reason};
use crate::session::Session;

pub const CHATTR: Command = Command {
    name: "chattr",
    alias: None,
    arguments: (1, None),
    scope: Scope::Each,
    xfs_only: false,
    expert: false,
    usage: "[-R|-D] [+/-riasAdtPneEfSxC]",
    summary: "change extended inode flags on the currently open file",
    help: "
 Sets (+) or clears (-) flags of the current file.

 -R -- everything below the current file, and it
 -D -- the directories below the current file, and it
 +/-r -- the data is in the realtime volume
 +/-i -- immutable: nothing of the file can change
 +/-a -- append-only: the file can only grow
 +/-s -- every change is written at once
 +/-A -- the time of access is not kept
 +/-d -- not part of a dump
 +/-t -- files made in this directory are realtime files
 +/-P -- files made in this directory inherit its project
 +/-n -- no symbolic links can be made in this directory
 +/-e -- there is an extent size hint
 +/-E -- files made in this directory inherit its extent size hint
 +/-f -- left out by the defragmenter
 +/-S -- the filestreams allocator is used below this directory
 +/-x -- direct access to persistent memory (DAX)
 +/-C -- there is a copy-on-write extent size hint",
    run: chattr,
};

pub const LSATTR: Command = Command {
    name: "lsattr",
    arguments: (0, None),
    usage: "[-R|-D|-a|-v]",
    summary: "list extended inode flags set on the currently open file",
    help: "
 Shows the flags of the current file, one letter each as for chattr, and p for a file with
 preallocated extents and X for one with extended attributes.

 -R -- everything below the current file, and it
 -D -- the directories below the current file, and it
 -a -- show all letters there are, too (not with -R or -D)
 -v -- words instead of letters (not with -R or -D)",
    run: lsattr,
    ..CHATTR
};

fn chattr(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let (mut reach, mut set, mut clear) = (Reach::File, 0, 0);
    for word in &arguments[1..] {
        match word.as_str() {
            // What follows the letter does not count.
            word if word.starts_with("-R") => reach = Reach::All,
            word if word.starts_with("-D") => reach = Reach::Directories,
            word => {
                let mut letters = word.chars();
                let bits = match letters.next() {
                    Some('+') => &mut set,
                    Some('-') => &mut clear,
                    _ => anyhow::bail!("xfs_io: bad chattr command, not +/-X"),
                };
                for letter in letters {
                    let Some((bit, ..)) = XFLAGS.iter().find(|(_, c, _)| *c == letter) else {
                        anyhow::bail!("xfs_io: unknown flag");
                    };
                    *bits |= bit;
                }
            }
        }
    }
    walk::change(session, reach, "flags", &|attributes| {
        attributes.xflags = (attributes.xflags | set) & !clear;
    })
}

fn lsattr(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&LSATTR, arguments, "DRav")?;
    let reach = match flags.last(&['D', 'R']) {
        Some('D') => Reach::Directories,
        Some(_) => Reach::All,
        None => Reach::File,
    };
    let all: String = XFLAGS.iter().map(|(_, letter, _)| letter).collect();
    // On the way down xfsprogs looks at neither -a nor -v.
    let alone = reach == Reach::File;
    let all = if alone && flags.has('a') { format!("/{all}") } else { String::new() };
    // Of a file that is not a directory, -D shows nothing.
    let mut failed = false;
    let directory = walk::is_directory(session)?;
    if reach == Reach::Directories && !directory {
        return Ok(());
    }
    walk::each(session, reach, &mut |target, file, path| {
        match target.attributes(file) {
            Ok(attributes) if alone && flags.has('v') => {
                println!("[{}]{all} {path} ", words(attributes.xflags));
            }
            Ok(attributes) => println!("{}{all} {path} ", letters(attributes.xflags)),
            Err(error) => {
                eprintln!("xfs_io: cannot get flags on {path}: {}", reason(&error));
                failed = true;
            }
        }
        Ok(())
    })?;
    if failed {
        session.exit_code = 1;
    }
    Ok(())
}
