//! get: copy a file of the filesystem to the host.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Command, Scope};
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "get",
    alias: None,
    arguments: (1, Some(2)),
    scope: Scope::Session,
    xfs_only: false,
    expert: false,
    usage: "path [hostfile]",
    summary: "copy a file of the filesystem to the host",
    help: "
 Copies path to hostfile (by default a file of the same name in the working directory).
 Holes stay holes.",
    run,
};

/// Bytes copied at a time.
pub const CHUNK: usize = 8 << 20;

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let path = &arguments[1];
    let name = || anyhow::anyhow!("{path}: no file name");
    let host = match arguments.get(2) {
        Some(host) => host.into(),
        None => Path::new(path).file_name().ok_or_else(name)?.to_owned(),
    };
    let ino = session.image()?.filesystem.lookup(path)?;
    let size = session.image()?.filesystem.stat(ino)?.size;
    let host = Path::new(&host);
    let file = File::create(host).map_err(|e| anyhow::anyhow!("{}: {e}", host.display()))?;
    file.set_len(size)?;
    let bar = progress(size);
    let mut buffer = vec![0; CHUNK];
    for extent in session.image()?.filesystem.mappings(ino, false)? {
        if extent.start.is_none() || extent.unwritten {
            continue;
        }
        let (mut at, end) = (extent.offset * 512, ((extent.offset + extent.len) * 512).min(size));
        while at < end {
            let want = (CHUNK as u64).min(end - at) as usize;
            let got = session.image()?.filesystem.read(ino, at, &mut buffer[..want])?;
            if got == 0 {
                break;
            }
            file.write_all_at(&buffer[..got], at)?;
            at += got as u64;
            bar.set_position(at);
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// A progress bar on standard error where a terminal watches.
pub fn progress(total: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}
