//! put: copy a file of the host into the filesystem.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use libfs::Errno;

use super::Command;
use crate::commands::get::{CHUNK, progress};
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "put",
    alias: None,
    arguments: (1, Some(2)),
    needs_file: false,
    expert: false,
    usage: "hostfile [path]",
    summary: "copy a file of the host into the filesystem",
    help: "
 Copies hostfile to path (by default a file of the same name in the root directory),
 replacing what path holds. Holes in hostfile are not kept.",
    run,
};

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let host = Path::new(&arguments[1]);
    let name = || anyhow::anyhow!("{}: no file name", host.display());
    let target = match arguments.get(2) {
        Some(path) => path.clone(),
        None => format!("/{}", host.file_name().ok_or_else(name)?.to_string_lossy()),
    };
    let mut file = File::open(host).map_err(|e| anyhow::anyhow!("{}: {e}", host.display()))?;
    let meta = file.metadata()?;
    let ino = match session.filesystem.lookup(&target) {
        Ok(ino) => {
            session.filesystem.truncate(ino, 0)?;
            ino
        }
        Err(error) if error.errno() == Errno::ENOENT => {
            session.filesystem.create(&target, (meta.permissions().mode() & 0o7777) as u16)?
        }
        Err(error) => return Err(error.into()),
    };
    let bar = progress(meta.len());
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    loop {
        let n = fill(&mut file, &mut buffer)?;
        if n == 0 {
            break;
        }
        session.filesystem.write(ino, at, &buffer[..n])?;
        at += n as u64;
        bar.set_position(at);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Reads until the buffer is full or the file ends, so that extents are allocated large.
fn fill(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}
