//! Images that Linux filled, with every kind of structure in them.
//!
//! [`PICTURES`] says how each is made: mkfs.xfs 7.2, then [`fill`]'s recipes on the mounted
//! filesystem. [`Gallery::make`] makes those with the given names: on the machine's own Linux
//! where that can, in as few boots of user-mode Linux as possible otherwise.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::linux;
use crate::ours;
use crate::peers::{Peers, UUID, run};
use crate::scratch::Scratch;
use crate::uml::Uml;

pub mod fill;
mod pictures;

pub use pictures::PICTURES;

/// Environment variable that names a directory where the images stay: a test then makes only
/// those that are missing, which saves time while working on one.
pub const DIR_VARIABLE: &str = "XFS_GALLERY_DIR";

/// How an image is made.
#[derive(Debug, Clone, Copy)]
pub struct Picture {
    /// Name.
    pub name: &'static str,
    /// Size of the data device in MiB.
    pub size: u64,
    /// Size of the realtime device in MiB, 0 for none.
    pub realtime: u64,
    /// Size of the external log in MiB, 0 for none.
    pub log: u64,
    /// Options of mkfs.xfs.
    pub mkfs: &'static [&'static str],
    /// Mount options besides the devices.
    pub mount: &'static str,
    /// Recipes of [`fill`], in order.
    pub fill: &'static [&'static str],
    /// How the filesystem is left.
    pub end: End,
    /// The Linux that can mount it.
    pub takes: Takes,
}

/// How a filesystem is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Unmounted.
    Clean,
    /// Shut down with all changes in the log, then unmounted: the log is dirty.
    Dirty,
    /// Frozen and never unmounted: unlinked inodes and staged blocks are on disk.
    Frozen,
}

/// The Linux that a picture takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Any.
    AnyLinux,
    /// User-mode Linux: the machine's own may lack the feature, or is not to be left with a
    /// mounted filesystem.
    UserMode,
}

/// An image that was made, with its other devices.
#[derive(Debug, Clone)]
pub struct Exhibit {
    /// How it was made.
    pub picture: &'static Picture,
    /// The data device.
    pub image: PathBuf,
    /// The realtime device.
    pub realtime: Option<PathBuf>,
    /// The external log.
    pub log: Option<PathBuf>,
}

/// Images in a temporary directory, removed on drop.
#[derive(Debug)]
pub struct Gallery {
    /// The images, in the order of the names that were asked for.
    pub exhibits: Vec<Exhibit>,
    _scratch: Option<Scratch>,
}

/// Disks that user-mode Linux has room for.
const DISKS: usize = 16;

impl Gallery {
    /// Makes the pictures with these names.
    ///
    /// # Errors
    ///
    /// When there is no such picture, or making or filling one fails.
    pub fn make(peers: &Peers, names: &[&str]) -> Result<Self> {
        if let Some(dir) = std::env::var_os(DIR_VARIABLE).map(PathBuf::from) {
            return Self::kept(peers, &dir, names);
        }
        let scratch = Scratch::new()?;
        let exhibits = make_in(peers, scratch.dir(), names)?;
        Ok(Gallery { exhibits, _scratch: Some(scratch) })
    }

    /// Images that stay in `dir`, of which those that are missing are made now.
    fn kept(peers: &Peers, dir: &Path, names: &[&str]) -> Result<Self> {
        let missing = names.iter().filter(|name| !dir.join(name).exists());
        make_in(peers, dir, &missing.copied().collect::<Vec<_>>())?;
        let exhibits = names.iter().map(|name| Exhibit::of(picture(name)?, dir));
        Ok(Gallery { exhibits: exhibits.collect::<Result<_>>()?, _scratch: None })
    }

    /// As [`Gallery::make`], for every picture there is.
    ///
    /// # Errors
    ///
    /// As [`Gallery::make`].
    pub fn all(peers: &Peers) -> Result<Self> {
        let names: Vec<_> = PICTURES.iter().map(|picture| picture.name).collect();
        Self::make(peers, &names)
    }

    /// As [`Gallery::make`], skipping the calling test where user-mode Linux or both kinds of
    /// Linux are missing.
    ///
    /// # Panics
    ///
    /// When a picture cannot be made or filled.
    pub fn or_skip(peers: &Peers, names: &[&str]) -> Option<Self> {
        Uml::or_skip(peers)?;
        Some(Self::make(peers, names).unwrap_or_else(|error| panic!("{error:#}")))
    }

    /// The image of the picture with this name.
    ///
    /// # Panics
    ///
    /// When it was not asked for.
    pub fn get(&self, name: &str) -> &Exhibit {
        let found = self.exhibits.iter().find(|exhibit| exhibit.picture.name == name);
        found.unwrap_or_else(|| panic!("the picture {name} was not made"))
    }
}

/// The picture with this name.
fn picture(name: &str) -> Result<&'static Picture> {
    let found = PICTURES.iter().find(|picture| picture.name == name);
    found.with_context(|| format!("no picture is called {name}"))
}

/// Makes the pictures with these names in the directory `dir`, where they stay.
///
/// # Errors
///
/// As [`Gallery::make`].
pub fn make_in(peers: &Peers, dir: &Path, names: &[&str]) -> Result<Vec<Exhibit>> {
    let exhibits = names.iter().map(|name| Exhibit::make(peers, dir, picture(name)?));
    let exhibits = exhibits.collect::<Result<Vec<_>>>()?;
    let host = linux::host().is_ok();
    let (own, user_mode): (Vec<_>, Vec<_>) =
        exhibits.iter().partition(|exhibit| host && exhibit.picture.takes == Takes::AnyLinux);
    for exhibit in own {
        exhibit.fill_here(peers)?;
    }
    let mut boot: Vec<&Exhibit> = Vec::new();
    for exhibit in user_mode {
        let disks: usize = boot.iter().map(|exhibit| exhibit.disks().len()).sum();
        if disks + exhibit.disks().len() > DISKS {
            fill_in_user_mode(peers, &boot)?;
            boot.clear();
        }
        boot.push(exhibit);
    }
    fill_in_user_mode(peers, &boot)?;
    Ok(exhibits)
}

impl Exhibit {
    /// Where the devices of `picture` are in `dir`.
    fn of(picture: &'static Picture, dir: &Path) -> Result<Self> {
        let device = |suffix: &str, size: u64| {
            (size > 0).then(|| dir.join(format!("{}{suffix}", picture.name)))
        };
        Ok(Exhibit {
            picture,
            image: device("", picture.size).context("an image has a size")?,
            realtime: device(".realtime", picture.realtime),
            log: device(".log", picture.log),
        })
    }

    /// Makes the devices and runs mkfs.xfs.
    fn make(peers: &Peers, dir: &Path, picture: &'static Picture) -> Result<Self> {
        let exhibit = Self::of(picture, dir)?;
        let sizes = [picture.size, picture.realtime, picture.log].into_iter();
        for (disk, size) in exhibit.disks().iter().zip(sizes.filter(|&size| size > 0)) {
            File::create(disk)?.set_len(size << 20)?;
        }
        let mut command = peers.command("mkfs.xfs");
        command.args(["-q", "-f", "-m", &format!("uuid={UUID}")]).args(picture.mkfs);
        if let Some(realtime) = &exhibit.realtime {
            command.arg("-r").arg(format!("rtdev={}", realtime.display()));
        }
        if let Some(log) = &exhibit.log {
            command.arg("-l").arg(format!("logdev={}", log.display()));
        }
        run(command.arg(&exhibit.image)).with_context(|| picture.name)?;
        Ok(exhibit)
    }

    /// The devices.
    fn disks(&self) -> Vec<&Path> {
        let others = [self.realtime.as_deref(), self.log.as_deref()];
        [Some(self.image.as_path())].into_iter().chain(others).flatten().collect()
    }

    /// Options with which the programs of xfsprogs, and ours, are told of the other devices.
    pub fn device_options(&self, realtime: &str, log: &str) -> Vec<String> {
        let mut options = Vec::new();
        for (option, device) in [(realtime, &self.realtime), (log, &self.log)] {
            if let Some(device) = device {
                options.extend([option.to_owned(), device.display().to_string()]);
            }
        }
        options
    }

    /// Fills it on the machine's own Linux.
    fn fill_here(&self, peers: &Peers) -> Result<()> {
        ensure!(self.disks().len() == 1, "{} has several devices", self.picture.name);
        let options = if self.picture.mount.is_empty() { "rw" } else { self.picture.mount };
        let mount = linux::Mount::with(&self.image, options)?;
        let mut command = Command::new(ours::path("gallery_fill")?);
        command.arg(mount.root()).args(self.picture.fill);
        run(command.env(crate::peers::DIR_VARIABLE, peers.directory()))
            .with_context(|| self.picture.name)?;
        match self.picture.end {
            End::Clean => {}
            End::Dirty => drop(peers.io(mount.root(), &["shutdown -f"])?),
            End::Frozen => anyhow::bail!("{}: only user-mode Linux is left so", self.picture.name),
        }
        mount.unmount()
    }

    /// The shell commands that fill it in user-mode Linux, where its devices are `disks`.
    fn script(&self, peers: &Peers, disks: &[String]) -> Result<String> {
        let picture = self.picture;
        // One of the others may still be mounted, and all have the same UUID.
        let mut options = vec!["nouuid".to_owned()];
        options.extend((!picture.mount.is_empty()).then(|| picture.mount.to_owned()));
        let mut others = disks.iter().skip(1);
        for (option, device) in [("rtdev", &self.realtime), ("logdev", &self.log)] {
            if device.is_some() {
                let disk = others.next().context("a disk for each device")?;
                options.push(format!("{option}={disk}"));
            }
        }
        let disk = disks.first().context("a disk for the image")?;
        let point = format!("/mnt/{}", picture.name);
        let end = match picture.end {
            End::Clean => format!("umount {point}"),
            End::Dirty => format!(
                "'{}/bin/xfs_io' -x -c 'shutdown -f' {point}\numount {point}",
                peers.directory().display()
            ),
            // A process that the end of the script does not end keeps open what was removed.
            End::Frozen => format!(
                "echo removed > {point}/removed; sleep 1000 < {point}/removed &\n\
                 sleep 0.2; rm {point}/removed; sync; fsfreeze -f {point}"
            ),
        };
        Ok(format!(
            "mkdir {point}\nmount -t xfs -o {options} {disk} {point}\n\
             {variable}='{peers}' '{program}' {point} {recipes}\n{end}\n",
            options = options.join(","),
            variable = crate::peers::DIR_VARIABLE,
            peers = peers.directory().display(),
            program = ours::path("gallery_fill")?.display(),
            recipes = picture.fill.join(" "),
        ))
    }
}

/// Fills images in one boot.
fn fill_in_user_mode(peers: &Peers, exhibits: &[&Exhibit]) -> Result<()> {
    if exhibits.is_empty() {
        return Ok(());
    }
    let mut disks = Vec::new();
    let mut script = String::new();
    for exhibit in exhibits {
        let first = disks.len();
        disks.extend(exhibit.disks());
        let letters = (b'a'..).skip(first).take(disks.len() - first);
        let names: Vec<_> = letters.map(|letter| format!("/dev/ubd{}", letter as char)).collect();
        script.push_str(&exhibit.script(peers, &names)?);
    }
    Uml::find(peers)?.run(&disks, &script).map(drop)
}
