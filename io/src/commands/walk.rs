//! Descending below the current file, for the commands that have -R and -D.

use super::reason;
use crate::session::Session;
use crate::target::{Attributes, Handle, OpenFlags, Target};

/// How far a command reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The current file alone.
    File,
    /// Everything below it, and it.
    All,
    /// All directories below it, and it.
    Directories,
}

/// What to do with each file; an error is for the whole command.
pub type Visit<'a> = dyn FnMut(&mut dyn Target, Handle, &str) -> anyhow::Result<()> + 'a;

/// Visits the files in reach, contents of a directory before it. Symbolic links are not
/// followed on the way down.
pub fn each(session: &mut Session, reach: Reach, visit: &mut Visit<'_>) -> anyhow::Result<()> {
    let file = session.file()?.clone();
    if reach == Reach::File {
        return visit(session.target.as_mut(), file.handle, &file.path);
    }
    let directory = is_directory(session)?;
    let mut below = Below { target: session.target.as_mut(), reach, visit, failed: false };
    below.descend(&file.path, directory)?;
    if below.failed {
        session.exit_code = 1;
    }
    Ok(())
}

/// Changes the attributes of the files in reach; `what` is the change as a failure names it.
pub fn change(
    session: &mut Session,
    reach: Reach,
    what: &str,
    change: &dyn Fn(&mut Attributes),
) -> anyhow::Result<()> {
    let mut failed = false;
    each(session, reach, &mut |target, file, path| {
        let changed = target.attributes(file).map_err(|error| ("get", error));
        let changed = changed.and_then(|mut attributes| {
            change(&mut attributes);
            target.set_attributes(file, &attributes).map_err(|error| ("set", error))
        });
        if let Err((verb, error)) = changed {
            eprintln!("xfs_io: cannot {verb} {what} on {path}: {}", reason(&error));
            failed = true;
        }
        Ok(())
    })?;
    if failed {
        session.exit_code = 1;
    }
    Ok(())
}

/// Whether the current file is a directory.
pub fn is_directory(session: &mut Session) -> anyhow::Result<bool> {
    let file = session.handle()?;
    Ok(session.target.stat(file, STATX_TYPE, 0)?.mode & 0o170000 == 0o040000)
}

/// STATX_TYPE of `linux/stat.h`.
const STATX_TYPE: u32 = 0x1;

struct Below<'a, 'b> {
    target: &'a mut dyn Target,
    reach: Reach,
    visit: &'a mut Visit<'b>,
    failed: bool,
}

impl Below<'_, '_> {
    fn descend(&mut self, path: &str, directory: bool) -> anyhow::Result<()> {
        if directory {
            for (name, directory) in self.target.list(path)? {
                self.descend(&format!("{}/{name}", path.trim_end_matches('/')), directory)?;
            }
        } else if self.reach == Reach::Directories {
            return Ok(());
        }
        // Nobody may be there to open the other end of a pipe.
        let how = OpenFlags { read_only: true, nonblocking: true, ..Default::default() };
        match self.target.open(path, &how) {
            Ok(file) => {
                let result = (self.visit)(self.target, file, path);
                self.target.close(file)?;
                result
            }
            Err(error) => {
                eprintln!("xfs_io: cannot open {path}: {}", reason(&error));
                self.failed = true;
                Ok(())
            }
        }
    }
}
