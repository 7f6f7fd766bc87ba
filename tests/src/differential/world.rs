//! Who runs scripts, and on what.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::normalise;
use super::script::{Script, Transcript};
use crate::linux::Mount;
use crate::ours;
use crate::peers::Peers;

/// How long a run may take; longer ones are killed and differ by their exit status.
const PATIENCE: &str = "120";

/// Which program works on which kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// xfs_io 7.2 on files of a mounted filesystem.
    Theirs,
    /// Ours on files of a mounted filesystem.
    OursMounted,
    /// Ours on an unmounted image, with -D.
    OursImage,
}

/// One filesystem and the program that works on it.
#[derive(Debug)]
pub struct World {
    /// Which program on which kind of file.
    pub kind: Kind,
    /// The filesystem.
    pub image: PathBuf,
    mount: Option<Mount>,
    peers: Peers,
}

impl World {
    /// A world on `image`, which is mounted if it has to be.
    ///
    /// `allocsize` stops Linux from allocating ahead of a growing file, which depends on what
    /// else goes on.
    ///
    /// # Errors
    ///
    /// When mounting fails.
    pub fn new(peers: &Peers, kind: Kind, image: PathBuf) -> Result<Self> {
        let mount = match kind {
            Kind::OursImage => None,
            Kind::Theirs | Kind::OursMounted => Some(Mount::with(&image, "allocsize=4k")?),
        };
        Ok(World { kind, image, mount, peers: peers.clone() })
    }

    /// What stands for `@` in scripts for the directory `name` of the root.
    pub fn base(&self, name: &str) -> String {
        match &self.mount {
            Some(mount) => mount.path(name).display().to_string(),
            None => format!("/{name}"),
        }
    }

    /// The root of the mounted filesystem; none on an image.
    pub fn root(&self) -> Option<&Path> {
        self.mount.as_ref().map(Mount::root)
    }

    /// Runs `script` in the directory `name` of the root.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub fn run(&self, name: &str, script: &Script) -> Result<Transcript> {
        let base = self.base(name);
        let transcript = self.raw(&base, script)?;
        Ok(normalise::transcript(script, &transcript, &base))
    }

    /// Runs `script` with `base` for `@` and returns what was printed as it was printed.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub fn raw(&self, base: &str, script: &Script) -> Result<Transcript> {
        let mut command = Command::new("timeout");
        command.args(["-k", "5", PATIENCE]);
        let program = match self.kind {
            Kind::Theirs => self.peers.command("xfs_io"),
            Kind::OursMounted => ours::command("xfs_io"),
            Kind::OursImage => {
                let mut program = ours::command("xfs_io");
                program.arg("-D").arg(&self.image);
                program
            }
        };
        command.arg(program.get_program()).args(program.get_args()).arg("-x");
        command.args(&script.options);
        command.args(script.paths.iter().map(|path| path.replace('@', base)));
        command.stdin(Stdio::from(input(&script.input(base))?));
        let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
        Ok(Transcript::of(
            &String::from_utf8_lossy(&output.stdout),
            &String::from_utf8_lossy(&output.stderr),
            output.status.code(),
        ))
    }

    /// Unmounts, so that the image is complete.
    ///
    /// # Errors
    ///
    /// When unmounting fails.
    pub fn rest(&mut self) -> Result<()> {
        self.mount.take().map_or(Ok(()), Mount::unmount)
    }

    /// Mounts the filesystem, whichever world it is, to look at what is there.
    ///
    /// # Errors
    ///
    /// When it is mounted already or mounting fails.
    pub fn inspect(&mut self) -> Result<&Path> {
        if self.mount.is_some() {
            bail!("{} is still mounted", self.image.display());
        }
        Ok(self.mount.insert(Mount::new(&self.image)?).root())
    }
}

/// A file that reads as `text`, for a program's standard input.
fn input(text: &str) -> Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}
