//! put: copy a file of the host into the filesystem.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc;

use indicatif::ProgressBar;
use libfs::Errno;
use libfs::filesystem::Filesystem;

use super::{Command, Scope};
use crate::commands::get::{CHUNK, progress};
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "put",
    alias: None,
    arguments: (1, Some(2)),
    scope: Scope::Session,
    xfs_only: false,
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
    let filesystem = &mut session.image()?.filesystem;
    let ino = match filesystem.lookup(&target) {
        Ok(ino) => {
            filesystem.truncate(ino, 0)?;
            ino
        }
        Err(error) if error.errno() == Errno::ENOENT => {
            filesystem.create(&target, (meta.permissions().mode() & 0o7777) as u16)?
        }
        Err(error) => return Err(error.into()),
    };
    copy_in(filesystem, ino, &mut file, &progress(meta.len()))
}

/// Copies `file` to inode `ino`, reading the next piece while the last one is written.
fn copy_in(
    filesystem: &mut Filesystem,
    ino: u64,
    file: &mut File,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let (pieces, next) = mpsc::sync_channel(1);
        let (used, empty) = mpsc::channel();
        for _ in 0..BUFFERS {
            used.send(Vec::new())?;
        }
        scope.spawn(move || read_pieces(file, &empty, &pieces));
        let mut at = 0;
        for piece in next {
            let piece: Vec<u8> = piece?;
            filesystem.write(ino, at, &piece)?;
            at += piece.len() as u64;
            bar.set_position(at);
            // The reader may be gone, having met the end of the file.
            let _ = used.send(piece);
        }
        bar.finish_and_clear();
        Ok(())
    })
}

/// Pieces in memory at a time.
const BUFFERS: usize = 3;

/// Sends the pieces of `file` in buffers that come back empty, or the error that ended
/// reading, until nobody listens.
fn read_pieces(
    file: &mut File,
    empty: &mpsc::Receiver<Vec<u8>>,
    pieces: &mpsc::SyncSender<std::io::Result<Vec<u8>>>,
) {
    for mut piece in empty {
        piece.resize(CHUNK, 0);
        let read = fill(file, &mut piece).map(|len| {
            piece.truncate(len);
            piece
        });
        let more = read.as_ref().is_ok_and(|piece| !piece.is_empty());
        let end = matches!(&read, Ok(piece) if piece.is_empty());
        if end || pieces.send(read).is_err() || !more {
            return;
        }
    }
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
