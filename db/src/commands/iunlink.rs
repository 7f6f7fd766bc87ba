//! `iunlink`: make files without a name.

use super::Command;
use crate::getopt;
use crate::program::explain;
use crate::session::Session;
use crate::write::{structure, value};
use anyhow::{Context, Result, anyhow};
use libfs::file::namespace::{self, NewFile};
use libfs::format::geometry::Ino;

/// The command.
pub const COMMAND: Command = Command {
    name: "iunlink",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: true,
    args: "[-n nr]",
    summary: "allocate inodes and put them on the unlinked list",
    help: "
 Makes files without a name, one if -n does not say how many, through the log: they are on the
 lists of unlinked inodes, as files are that were open at a crash.

",
    run,
};

/// Most files that are made at a time.
const MOST: u64 = 1 << 20;

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let given = getopt::parse("iunlink", args, "n:").map_err(|error| {
        eprintln!("{error}");
        anyhow!("Bad option for iunlink command.")
    })?;
    let count = match given.value('n') {
        Some(text) => {
            let count = value::number(text).filter(|count| (1..=MOST).contains(count));
            count.with_context(|| format!("{text}: not a number of inodes"))?
        }
        None => 1,
    };
    let mut made = Vec::new();
    let root = session.geo.root_ino;
    let result = structure::change(session, |filesystem| {
        let mount = filesystem.mount();
        let dir = mount.iget(root.0)?;
        for _ in 0..count {
            let new = NewFile { permissions: 0o600, uid: 0, gid: 0 };
            let inode = namespace::create_temporary(mount, dir, &new)?;
            made.push(Ino(mount.inode(inode).ino));
        }
        Ok(())
    });
    let mut out = String::new();
    for ino in made {
        let (agno, _) = session.geo.ino_parts(ino);
        out.push_str(&format!("Created unlinked inode {ino} in agno {agno}\n"));
    }
    if let Err(error) = result {
        return Err(anyhow!("{out}{}", explain(&error)));
    }
    Ok(out)
}
