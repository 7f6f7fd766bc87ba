//! Flags, hints, projects, times and modes; and what immutable, append-only and project
//! directories refuse: the same requests to Linux and to us, with the same answers.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use libfs::device::FileDevice;
use libfs::file::attributes::{FileAttributes, FileFlags};
use libfs::file::{AllocateMode, Seek};
use libfs::filesystem::{Filesystem, Opened};
use tests::linux::{self, Mount};
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse;

/// A mounted filesystem of Linux's, and ours, which began as a copy.
struct Both {
    peers: Peers,
    mount: Mount,
    ours: Filesystem,
    scratch: Scratch,
}

impl Both {
    /// An image filled by `script` with Linux, twice; `None` where a peer is missing.
    fn new(options: &[&str], script: &str) -> Result<Option<Self>> {
        let Some(peers) = Peers::or_skip() else { return Ok(None) };
        if !linux::host_or_skip() {
            return Ok(None);
        }
        let scratch = Scratch::new()?;
        let (theirs, ours) = (scratch.path("theirs"), scratch.path("ours"));
        peers.mkfs(&theirs, 400 << 20, options)?;
        linux::mount(&theirs, |root| shell(root, script).map(drop))?;
        sparse::copy(&theirs, &ours)?;
        let ours = match Filesystem::open(Arc::new(FileDevice::open(&ours)?))? {
            Opened::Clean(filesystem) => filesystem,
            Opened::Dirty(_) => anyhow::bail!("the log is dirty"),
        };
        Ok(Some(Both { peers, mount: Mount::new(&theirs)?, ours, scratch }))
    }

    /// What xfs_io says about `commands` for a file: its output, and the reason of an error.
    fn linux(&self, name: &str, commands: &[&str]) -> Result<(String, Option<String>)> {
        let mut command = self.peers.command("xfs_io");
        command.arg("-r");
        for line in commands {
            command.args(["-c", line]);
        }
        let output = command.arg(self.mount.path(name)).output()?;
        let error = String::from_utf8_lossy(&output.stderr).trim().to_string();
        let reason = error.rsplit(": ").next().filter(|r| !r.is_empty()).map(str::to_string);
        Ok((String::from_utf8_lossy(&output.stdout).into_owned(), reason))
    }

    /// The lines of `stat` about flags, hints and project: Linux's and ours.
    fn fsxattr(&mut self, name: &str) -> Result<(String, String)> {
        let (printed, _) = self.linux(name, &["stat"])?;
        let theirs: Vec<&str> = printed
            .lines()
            .filter(|line| {
                let wanted = ["xflags", "projid", "extsize", "cowextsize"];
                wanted.iter().any(|word| line.starts_with(&format!("fsxattr.{word}")))
            })
            .map(|line| line.split(" [").next().unwrap_or(line))
            .collect();
        let ino = self.ours.lookup(&format!("/{name}"))?;
        let found = self.ours.attributes(ino)?;
        let ours = format!(
            "fsxattr.xflags = 0x{:x}\nfsxattr.projid = {}\nfsxattr.extsize = {}\n\
             fsxattr.cowextsize = {}",
            found.xflags, found.projid, found.extsize, found.cowextsize
        );
        Ok((theirs.join("\n"), ours))
    }

    /// Unmounts, closes and has both checked, and compares all that the trees hold but times.
    fn finish(mut self) -> Result<()> {
        let (theirs, ours) = (self.scratch.path("theirs"), self.scratch.path("ours"));
        self.ours.close()?;
        self.mount.unmount()?;
        self.peers.assert_clean(&ours);
        self.peers.assert_clean(&theirs);
        let theirs = linux::mount(&theirs, tests::manifest::Manifest::of)?;
        theirs.assert_same(&linux::mount(&ours, tests::manifest::Manifest::of)?);
        Ok(())
    }
}

fn shell(root: &Path, script: &str) -> Result<std::process::Output> {
    let peers = Peers::find()?;
    let io = peers.command("xfs_io");
    let words: Vec<String> = std::iter::once(io.get_program())
        .chain(io.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let prelude = format!("xfs_io() {{ {} \"$@\"; }}\n", words.join(" "));
    let mut command = Command::new("sh");
    command.current_dir(root).env("LC_ALL", "C").args(["-c", &format!("{prelude}{script}")]);
    Ok(command.output()?)
}

/// The system's words for an error.
fn reason<T>(result: &libfs::Result<T>) -> Option<String> {
    let error = result.as_ref().err()?;
    let words = std::io::Error::from_raw_os_error(error.errno() as i32).to_string();
    words.split(" (os error").next().map(str::to_string)
}

/// A request as a command of xfs_io, and how that changes what the file had.
type Request = (String, Box<dyn Fn(&mut FileAttributes, bool)>);

/// One letter of chattr and its flag.
const LETTERS: [(char, FileFlags); 15] = [
    ('r', FileFlags::REALTIME),
    ('i', FileFlags::IMMUTABLE),
    ('a', FileFlags::APPEND),
    ('s', FileFlags::SYNC),
    ('A', FileFlags::NOATIME),
    ('d', FileFlags::NODUMP),
    ('t', FileFlags::RTINHERIT),
    ('P', FileFlags::PROJINHERIT),
    ('n', FileFlags::NOSYMLINKS),
    ('e', FileFlags::EXTSIZE),
    ('E', FileFlags::EXTSZINHERIT),
    ('f', FileFlags::NODEFRAG),
    ('S', FileFlags::FILESTREAM),
    ('x', FileFlags::DAX),
    ('C', FileFlags::COWEXTSIZE),
];

fn requests() -> Vec<Request> {
    let mut all: Vec<Request> = Vec::new();
    for value in [0u32, 512, 4096, 5000, 65536, 50 << 20, (50 << 20) + 4096, 1 << 30] {
        all.push((
            format!("extsize {value}"),
            Box::new(move |attributes, dir| {
                let flag = if dir { FileFlags::EXTSZINHERIT } else { FileFlags::EXTSIZE };
                attributes.xflags |= flag.bits();
                attributes.extsize = value;
            }),
        ));
        all.push((
            format!("cowextsize {value}"),
            Box::new(move |attributes, _| {
                attributes.xflags |= FileFlags::COWEXTSIZE.bits();
                attributes.cowextsize = value;
            }),
        ));
    }
    for (letter, flag) in LETTERS {
        all.push((format!("chattr +{letter}"), Box::new(move |a, _| a.xflags |= flag.bits())));
        all.push((format!("chattr -{letter}"), Box::new(move |a, _| a.xflags &= !flag.bits())));
    }
    for project in [0u32, 7, 70_000, u32::MAX - 1] {
        all.push((format!("chproj {project}"), Box::new(move |a, _| a.projid = project)));
    }
    all
}

#[test]
fn flags_hints_and_projects_are_set_alike() -> Result<()> {
    let script = "mkdir directory; touch empty; dd if=/dev/zero of=written bs=4k count=3; \
                  mkfifo fifo; xfs_io -c 'extsize 64k' -c 'cowextsize 32k' -c 'chproj 3' \
                  -c 'chattr +sdP' directory; xfs_io -f -c 'extsize 16k' -c 'falloc 0 4k' hinted";
    let Some(mut both) = Both::new(&[], script)? else { return Ok(()) };
    let (mut tried, mut refused) = (0, 0);
    for name in ["directory", "empty", "written", "hinted"] {
        for (command, change) in requests() {
            // Some of these print their errors to standard output.
            let (printed, theirs) = both.linux(name, &[&command])?;
            let theirs = theirs.or(printed.trim().rsplit_once(": ").map(|(_, r)| r.to_string()));
            let ino = both.ours.lookup(&format!("/{name}"))?;
            let mut attributes = both.ours.attributes(ino)?;
            change(&mut attributes, name == "directory");
            let result = both.ours.set_attributes(ino, &attributes);
            let ours = reason(&result);
            ensure!(theirs == ours, "{name}: {command}: {theirs:?}, we {result:?}");
            let (theirs, ours) = both.fsxattr(name)?;
            ensure!(theirs == ours, "{name}: {command}:\n{theirs}\nwe\n{ours}");
            tried += 1;
            refused += usize::from(result.is_err());
        }
    }
    say(&format!("{tried} requests, {refused} refused by both"));
    both.finish()
}

/// What no command of xfs_io asks for. The errors are Linux 6.18's, found with the ioctl.
#[test]
fn impossible_requests_are_refused_as_linux_refuses_them() -> Result<()> {
    use libfs::Errno::{EINVAL, EOPNOTSUPP};
    let Some(mut both) = Both::new(&[], "mkdir directory; touch empty")? else { return Ok(()) };
    let new = |xflags, extsize, cowextsize, projid| FileAttributes {
        xflags,
        extsize,
        cowextsize,
        projid,
    };
    let file = both.ours.lookup("/empty")?;
    let directory = both.ours.lookup("/directory")?;
    let cases = [
        (file, new(0x4, 0, 0, 0), EOPNOTSUPP),
        (file, new(0x20000, 0, 0, 0), EOPNOTSUPP),
        (file, new(0xffff_ffff, 4096, 4096, 0), EOPNOTSUPP),
        (file, new(0x1, 0, 0, 0), EINVAL),
        (file, new(0, 4096, 0, 0), EINVAL),
        (file, new(0, 0, 4096, 0), EINVAL),
        (file, new(0x1000, 8192, 0, 0), EINVAL),
        (file, new(0x1000, 0, 0, 0), EINVAL),
        (file, new(0x1800, 8192, 0, 0), EINVAL),
        (file, new(0, 0, 0, u32::MAX), EINVAL),
        (directory, new(0x800, 4096, 0, 0), EINVAL),
        (directory, new(0x800, 0, 0, 0), EINVAL),
        (directory, new(0x10800, 4096, 8192, 7), EINVAL),
    ];
    for (ino, request, expected) in cases {
        let before = both.ours.attributes(ino)?;
        let errno = both.ours.set_attributes(ino, &request).err().map(|error| error.errno());
        ensure!(errno == Some(expected), "{request:?}: {errno:?}");
        ensure!(both.ours.attributes(ino)? == before, "{request:?} changed something");
    }
    // These are ignored: flags that the type does not have, and those that tell something.
    for xflags in [0x2, 0x100, 0x200, 0x400, 0x8000_0000] {
        both.ours.set_attributes(file, &new(xflags, 0, 0, 0))?;
        ensure!(both.ours.attributes(file)?.xflags == 0x8000_0000, "{xflags:#x}");
    }
    both.finish()
}

/// An operation on names by a shell command and by us.
type Step = (&'static str, fn(&mut Filesystem) -> libfs::Result<()>);

#[test]
fn protected_files_and_directories_refuse_alike() -> Result<()> {
    let script = "for d in immutable append plain project nolinks; do mkdir $d $d/sub; \
                  echo text > $d/file; echo text > $d/i; echo text > $d/a; done; \
                  for d in *; do xfs_io -c 'chattr +i' $d/i; xfs_io -c 'chattr +a' $d/a; done; \
                  xfs_io -c 'chproj 7' -c 'chattr +P' project; touch other; mkfifo fifo; \
                  xfs_io -c 'chattr +n' nolinks; \
                  xfs_io -c 'chattr +i' immutable; xfs_io -c 'chattr +a' append";
    let Some(mut both) = Both::new(&[], script)? else { return Ok(()) };
    let steps: Vec<Step> = vec![
        ("touch immutable/new", |f| f.create("/immutable/new", 0o644).map(drop)),
        ("touch append/new", |f| f.create("/append/new", 0o644).map(drop)),
        ("mkdir immutable/new", |f| f.make_directory("/immutable/new", 0o755).map(drop)),
        ("mkdir immutable/sub", |f| f.make_directory("/immutable/sub", 0o755).map(drop)),
        ("mkdir append/new2", |f| f.make_directory("/append/new2", 0o755).map(drop)),
        ("ln -s x immutable/link", |f| f.make_symlink("/immutable/link", b"x").map(drop)),
        ("ln -s x nolinks/link", |f| f.make_symlink("/nolinks/link", b"x").map(drop)),
        ("ln other immutable/other", |f| f.link("/other", "/immutable/other")),
        ("ln other append/other", |f| f.link("/other", "/append/other")),
        ("ln immutable/file from-immutable", |f| f.link("/immutable/file", "/from-immutable")),
        ("ln plain/i link", |f| f.link("/plain/i", "/link")),
        ("ln plain/a link", |f| f.link("/plain/a", "/link")),
        ("unlink immutable/file", |f| f.unlink("/immutable/file")),
        ("unlink immutable/sub", |f| f.unlink("/immutable/sub")),
        ("unlink immutable/none", |f| f.unlink("/immutable/none")),
        ("unlink append/file", |f| f.unlink("/append/file")),
        ("unlink plain/i", |f| f.unlink("/plain/i")),
        ("unlink plain/a", |f| f.unlink("/plain/a")),
        ("rmdir immutable/sub", |f| f.remove_directory("/immutable/sub")),
        ("rmdir append/sub", |f| f.remove_directory("/append/sub")),
        ("rmdir immutable", |f| f.remove_directory("/immutable")),
        ("mv -T --no-copy immutable/file immutable/g", |f| {
            f.rename("/immutable/file", "/immutable/g")
        }),
        ("mv -T --no-copy append/file g", |f| f.rename("/append/file", "/g")),
        ("mv -T --no-copy plain/i g", |f| f.rename("/plain/i", "/g")),
        ("mv -T --no-copy plain/a g", |f| f.rename("/plain/a", "/g")),
        ("mv -T --no-copy plain/file plain/i", |f| f.rename("/plain/file", "/plain/i")),
        ("mv -T --no-copy plain/file append/moved", |f| f.rename("/plain/file", "/append/moved")),
        ("mv -T --no-copy append other2", |f| f.rename("/append", "/other2")),
        ("chmod 600 plain/i", |f| chmod(f, "/plain/i")),
        ("chmod 600 plain/a", |f| chmod(f, "/plain/a")),
        ("chmod 700 append", |f| chmod(f, "/append")),
        ("chmod 600 other", |f| chmod(f, "/other")),
        ("touch -d @1000 plain/i", |f| touch(f, "/plain/i")),
        ("touch -d @1000 plain/a", |f| touch(f, "/plain/a")),
        ("touch -d @1000 other", |f| touch(f, "/other")),
        ("echo more >> plain/i", |f| write(f, "/plain/i", 5, true)),
        ("echo more >> plain/a", |f| write(f, "/plain/a", 5, true)),
        ("echo more 1<> plain/a", |f| write(f, "/plain/a", 0, false)),
        ("echo more 1<> plain/i", |f| write(f, "/plain/i", 0, false)),
        ("truncate -s 3 plain/i", |f| f.lookup("/plain/i").and_then(|ino| f.truncate(ino, 3))),
        ("truncate -s 3 plain/a", |f| f.lookup("/plain/a").and_then(|ino| f.truncate(ino, 3))),
        ("ln other project/other", |f| f.link("/other", "/project/other")),
        ("ln fifo project/fifo", |f| f.link("/fifo", "/project/fifo")),
        ("mv -T --no-copy fifo project/fifo2", |f| f.rename("/fifo", "/project/fifo2")),
        ("touch project/new", |f| f.create("/project/new", 0o644).map(drop)),
        ("ln project/new from-project", |f| f.link("/project/new", "/from-project")),
    ];
    let mut refused = 0;
    for (command, ours) in &steps {
        // mv without --no-copy copies what cannot be renamed; older ones do not know it.
        let command = command.replace(" --no-copy", "");
        let output = shell(both.mount.root(), &command)?;
        let text = String::from_utf8_lossy(&output.stderr).trim().to_string();
        let theirs = text.rsplit(": ").next().filter(|reason| !reason.is_empty());
        let result = ours(&mut both.ours);
        let mine = reason(&result);
        ensure!(theirs == mine.as_deref(), "{command}: Linux says {text:?}, we {result:?}");
        refused += usize::from(mine.is_some());
    }
    say(&format!("{} operations, {refused} refused by both", steps.len()));
    both.finish()
}

fn chmod(filesystem: &mut Filesystem, path: &str) -> libfs::Result<()> {
    let ino = filesystem.lookup(path)?;
    let mode = if path == "/append" { 0o700 } else { 0o600 };
    filesystem.set_mode(ino, mode)
}

fn touch(filesystem: &mut Filesystem, path: &str) -> libfs::Result<()> {
    let ino = filesystem.lookup(path)?;
    filesystem.set_times(ino, Some((1000, 0)), Some((1000, 0)))
}

fn write(f: &mut Filesystem, path: &str, offset: u64, append: bool) -> libfs::Result<()> {
    let ino = f.lookup(path)?;
    f.hold_writer(ino, append)?;
    let result = f.write(ino, offset, b"more\n");
    f.release_writer(ino)?;
    result
}

/// What a new file or directory gets from the directory it is made in.
#[test]
fn new_files_inherit_alike() -> Result<()> {
    let mut script = String::new();
    for (index, (letter, _)) in LETTERS.iter().enumerate().filter(|(_, l)| !"rieC".contains(l.0)) {
        script += &format!(
            "mkdir d{index}; xfs_io -c 'chproj {index}' -c 'extsize 64k' -c 'cowextsize 32k' \
             -c 'chattr -E' -c 'chattr +{letter}' d{index}; "
        );
    }
    script += "mkdir all; xfs_io -c 'chproj 9' -c 'extsize 64k' -c 'cowextsize 32k' \
               -c 'chattr +sAdPnfSx' all";
    let Some(mut both) = Both::new(&[], &script)? else { return Ok(()) };
    let mut directories = Vec::new();
    for entry in std::fs::read_dir(both.mount.root())? {
        directories.push(entry?.file_name().to_string_lossy().into_owned());
    }
    for directory in &directories {
        std::fs::write(both.mount.path(&format!("{directory}/file")), [])?;
        std::fs::create_dir(both.mount.path(&format!("{directory}/sub")))?;
        both.ours.create(&format!("/{directory}/file"), 0o644)?;
        both.ours.make_directory(&format!("/{directory}/sub"), 0o755)?;
        for name in ["file", "sub"] {
            let name = format!("{directory}/{name}");
            let (theirs, ours) = both.fsxattr(&name)?;
            ensure!(theirs == ours, "{name}:\n{theirs}\nwe\n{ours}");
        }
    }
    say(&format!("{} directories", directories.len()));
    both.finish()
}

/// Times of all years, and what is looked for with seek.
#[test]
fn times_and_holes_are_the_same() -> Result<()> {
    for options in [["-m", "bigtime=1"], ["-m", "bigtime=0,inobtcount=0"]] {
        let Some(mut both) = Both::new(&options, "touch file")? else { return Ok(()) };
        let ino = both.ours.lookup("/file")?;
        for seconds in [
            0,
            -1,
            i64::from(i32::MIN),
            i64::from(i32::MIN) - 1,
            i64::from(i32::MAX),
            i64::from(i32::MAX) + 1,
            16_299_260_424,
            16_299_260_425,
            1 << 40,
        ] {
            let command = format!("utimes {seconds} 123456789 {} 5", seconds / 2);
            let (_, theirs) = both.linux("file", &[&command])?;
            let times = (Some((seconds, 123_456_789)), Some((seconds / 2, 5)));
            let ours = reason(&both.ours.set_times(ino, times.0, times.1));
            ensure!(theirs == ours, "{command}: {theirs:?}, we {ours:?}");
            let found = std::fs::metadata(both.mount.path("file"))?;
            use std::os::unix::fs::MetadataExt;
            let theirs = (
                (found.atime(), found.atime_nsec() as u32),
                (found.mtime(), found.mtime_nsec() as u32),
            );
            let stat = both.ours.stat(ino)?;
            ensure!(theirs == (stat.atime, stat.mtime), "{command}: {theirs:?}, we {stat:?}");
        }
        seeks_alike(&mut both)?;
        both.finish()?;
    }
    Ok(())
}

fn seeks_alike(both: &mut Both) -> Result<()> {
    let ino = both.ours.lookup("/file")?;
    let root = both.mount.root().to_path_buf();
    let io = |commands: &[&str]| both.peers.io(&root.join("file"), commands);
    io(&["pwrite -q 8k 4k", "pwrite -q 20k 10000", "falloc 32k 16k", "truncate 100000", "fsync"])?;
    both.ours.write(ino, 8192, &[0xcd; 4096])?;
    both.ours.write(ino, 20480, &[0xcd; 10000])?;
    both.ours.allocate(ino, AllocateMode::Allocate { keep_size: false }, 32768, 16384)?;
    both.ours.truncate(ino, 100_000)?;
    for offset in
        [0, 1, 8191, 8192, 10000, 12288, 20480, 30479, 30480, 40000, 99999, 100_000, 200_000]
    {
        for (letter, wanted) in [('d', Seek::Data), ('h', Seek::Hole)] {
            let (printed, _) = both.linux("file", &[&format!("seek -{letter} {offset}")])?;
            let theirs = printed.lines().last().and_then(|line| line.split_whitespace().last());
            let ours = match both.ours.seek(ino, offset, wanted) {
                Ok(at) => at.to_string(),
                Err(error) if error.errno() == libfs::Errno::ENXIO => "EOF".to_string(),
                Err(error) => return Err(error).context("seek"),
            };
            ensure!(theirs == Some(ours.as_str()), "seek -{letter} {offset}: {printed}, we {ours}");
        }
    }
    Ok(())
}
