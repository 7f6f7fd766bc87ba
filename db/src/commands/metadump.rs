//! `metadump`: all metadata in one file.

use super::Command;
use crate::getopt;
use crate::program::explain;
use crate::session::{Session, say};
use anyhow::{Context, Result, bail};
use libfs::device::Device;
use libfs::metadump::{Key, Listener, Options, Progress, Source, Version, dump, log_is_dirty};
use std::fs::File;
use std::io::Write;
use uuid::Uuid;

/// Most blocks of an extent of metadata, unless -m says otherwise: what an extent record holds.
const MAX_EXTENT: u64 = 2_097_151;

/// The command.
pub const COMMAND: Command = Command {
    name: "metadump",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "[-a] [-e] [-g] [-m max_extent] [-w] [-o] [-v 1|2] filename",
    summary: "dump metadata to a file",
    help: "\
Copies all metadata of the filesystem, and no data, to a file that is small when
compressed, for someone else to look at; xfs_mdrestore makes a filesystem of it
again. A file name of - stands for standard output.

 -a -- copy blocks whole, with the bytes that are not in use
 -e -- stop where the device cannot be read, instead of leaving that out
 -g -- show the progress
 -m -- largest extent of metadata, in blocks, that is believed (default 2097151)
 -o -- keep names, extended attributes and targets of symbolic links as they are,
       instead of replacing them by others of the same length and hash
 -v -- version of the file format: 2 for external logs and realtime groups
 -w -- show warnings of metadata that makes no sense
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    if let Err(error) = metadump(session, args) {
        eprintln!("{}: {}", session.program, explain(&error));
        session.exit_status = 1;
    }
    Ok(String::new())
}

fn metadump(session: &mut Session, args: &[&str]) -> Result<()> {
    let given = getopt::parse_or_refuse("metadump", args, "aegm:owv:")?;
    let max_extent = given.value('m').map(|text| {
        let number = super::number(text).filter(|&number| number > 0);
        number.with_context(|| format!("bad max extent size {text}"))
    });
    let version = given.value('v').map(|text| match text {
        "1" => Ok(Version::V1),
        "2" => Ok(Version::V2),
        _ => bail!("bad metadump version: {text}"),
    });
    let (max_extent, version) = (max_extent.transpose()?, version.transpose()?);
    let [target] = given.words[..] else {
        bail!("too few options for metadump (no filename given)");
    };
    let source = Source {
        data: &*session.device,
        log: session.log_device.as_ref().map(|device| &**device as &dyn Device),
        realtime: session.realtime.as_ref().map(|device| device as &dyn Device),
        geo: &session.geo,
    };
    let needs_v2 = source.log.is_some() || source.has_realtime_metadata();
    let default = if needs_v2 { Version::V2 } else { Version::V1 };
    let obfuscate = !given.has('o');
    let options = Options {
        version: version.unwrap_or(default),
        obfuscate: obfuscate.then(random_key),
        full_blocks: given.has('a'),
        max_extent: max_extent.unwrap_or(MAX_EXTENT),
        stop_on_read_error: given.has('e'),
    };
    let program = &session.program;
    if obfuscate && log_is_dirty(&source)? {
        eprintln!(
            "{program}: Warning: log recovery of an obfuscated metadata image can leak \
             unobfuscated metadata and/or cause image corruption.  If possible, please mount \
             the filesystem to clean the log, or disable obfuscation."
        );
    }
    let to_stdout = target == "-";
    let output: Box<dyn Write + Send> = if to_stdout {
        Box::new(std::io::stdout())
    } else {
        Box::new(File::create(target).context("cannot create dump file")?)
    };
    let groups = session.geo.ag_count;
    let inodes = inode_count(session)?;
    let show = given.has('g');
    let mut progress = |progress| {
        if show {
            print_progress(&describe(progress, inodes, groups), to_stdout);
        }
    };
    let warnings = given.has('w');
    let warn = |text: &str| {
        if warnings {
            eprintln!("{program}: {text}");
        }
    };
    dump(&source, &options, output, Listener { progress: &mut progress, warn: &warn })?;
    if show {
        if to_stdout { eprintln!() } else { say("\n") }
    }
    Ok(())
}

/// A key that nobody knows.
fn random_key() -> Key {
    // Some bits of each are not random, not the same ones in both halves of the key.
    let [(a, b), (c, d)] = [Uuid::new_v4(), Uuid::new_v4()].map(|uuid| uuid.as_u64_pair());
    Key(a ^ d.rotate_left(32), b ^ c.rotate_left(32))
}

/// How many inodes the superblock counts.
fn inode_count(session: &Session) -> Result<u64> {
    let sector = session.read(0, session.geo.sector_size as usize)?;
    Ok(libfs::format::superblock::Dsb::view(&sector)?.icount.get())
}

fn describe(progress: Progress, inodes: u64, groups: u32) -> String {
    match progress {
        Progress::Trees(agno) => format!("Copying free space trees of AG {agno}"),
        Progress::Inodes(count, done) => {
            format!("Copied {count} of {inodes} inodes ({done} of {groups} AGs)")
        }
        Progress::Log => "Copying log".into(),
        Progress::EmptyLog => "Zeroing clean log".into(),
    }
}

/// Shows where it is in place of what was shown before.
fn print_progress(text: &str, to_stderr: bool) {
    if to_stderr {
        eprint!("\r{text:<59}");
    } else {
        say(&format!("\r{text:<59}"));
        let _ = std::io::stdout().flush();
    }
}
