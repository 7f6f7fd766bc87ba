//! Files without names: how they get one, and what a power cut leaves of them.

use anyhow::{Result, ensure};
use libfs::Errno;
use libfs::file::attributes::{FileAttributes, FileFlags};
use libfs::filesystem::Filesystem;
use tests::all_or_nothing::{self, Experiment, State, contents, on_image, plain};
use tests::linux::Linux;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;

const SEED: u64 = 0x7e_3401;

/// The same on Linux: a file without a name gets one, others do not; a removed file gets
/// none. `flink FLAGS NAME` is a file made with O_TMPFILE, `FS_IOC_SETFLAGS` and linkat.
const SCRIPT: &str = r#"
    cd $MNT
    touch file lost; mkdir project still
    xfs_io -c "chproj 7" -c "chattr +P" project
    flink() {
        perl -e '
            $^F = 9;
            sysopen $file, ".", 020200002, 0600 or die;
            syswrite $file, chr(0xcd) x 9216;
            $flags = pack "q", hex $ARGV[0];
            ioctl $file, 0x40086602, $flags or die;
            system "ln", "-L", "/proc/self/fd/" . fileno $file, $ARGV[1];
        ' $1 $2 2>&1 || true
    }
    flink 0 one; ln one two
    flink 0 file
    flink 0 none/name
    flink 0 file/name
    flink 0 project/name
    flink 0x10 file
    flink 0x10 name
    flink 0x20 name
    exec 3<lost; rm lost; ln -L /proc/self/fd/3 name 2>&1 || true
    xfs_io -c "chattr +i" still
    xfs_io -T still 2>&1 || true
    xfs_io -r -c "chattr -i" still
"#;

#[test]
fn names_are_given_and_refused_as_on_linux() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let Some(linux) = Linux::or_skip(&peers) else { return Ok(()) };
    let scratch = Scratch::new()?;
    let (theirs, ours) = (scratch.path("theirs"), scratch.path("ours"));
    peers.mkfs(&theirs, Experiment::SIZE, &[])?;
    peers.mkfs(&ours, Experiment::SIZE, &[])?;
    let xfs_io = peers.prefix().with_file_name("bin").join("xfs_io");
    let script = SCRIPT.replace("xfs_io ", &format!("{} ", xfs_io.display()));
    let printed = linux.script(&theirs, &script)?;
    let mut refused = Vec::new();
    on_image(&ours, |filesystem| {
        filesystem.create("/file", 0o644)?;
        let lost = filesystem.create("/lost", 0o644)?;
        let project = filesystem.make_directory("/project", 0o755)?;
        let still = filesystem.make_directory("/still", 0o755)?;
        set(filesystem, project, FileFlags::PROJINHERIT, 7)?;
        let file = filesystem.create_temporary("/", 0o600)?;
        filesystem.write(file, 0, &[0xcd; 9 << 10])?;
        filesystem.link_ino(file, "/one")?;
        filesystem.link_ino(file, "/two")?;
        filesystem.release(file)?;
        let none = FileFlags::empty();
        let mut refuse = |filesystem: &mut Filesystem, flags, path| -> Result<()> {
            let file = filesystem.create_temporary("/", 0o600)?;
            set(filesystem, file, flags, 0)?;
            let result = filesystem.link_ino(file, path);
            refused.push(result.err().map(|error| error.errno()));
            Ok(filesystem.release(file)?)
        };
        for path in ["/file", "/none/name", "/file/name", "/project/name"] {
            refuse(filesystem, none, path)?;
        }
        refuse(filesystem, FileFlags::IMMUTABLE, "/file")?;
        refuse(filesystem, FileFlags::IMMUTABLE, "/name")?;
        refuse(filesystem, FileFlags::APPEND, "/name")?;
        // A removed file gets none even if its inode was one of a file without a name before.
        let again = filesystem.create_temporary("/", 0o600)?;
        filesystem.release(again)?;
        ensure!(filesystem.create("/again", 0o644)? == again);
        filesystem.hold(again)?;
        filesystem.unlink("/again")?;
        let refused_again = filesystem.link_ino(again, "/name").err().map(|error| error.errno());
        ensure!(refused_again == Some(Errno::ENOENT), "{refused_again:?}");
        filesystem.release(again)?;
        filesystem.hold(lost)?;
        filesystem.unlink("/lost")?;
        refused.push(filesystem.link_ino(lost, "/name").err().map(|error| error.errno()));
        filesystem.release(lost)?;
        set(filesystem, still, FileFlags::IMMUTABLE, 0)?;
        let made = filesystem.create_temporary("/still", 0o600);
        refused.push(made.err().map(|error| error.errno()));
        set(filesystem, still, none, 0)
    })?;
    let refused: Vec<String> =
        refused.iter().map(|errno| errno.map_or(String::new(), words)).collect();
    let lines: Vec<&str> = printed.lines().collect();
    let same = lines.len() == refused.len()
        && lines.iter().zip(&refused).all(|(line, words)| line.ends_with(words));
    ensure!(same, "Linux says {lines:#?}, we say {refused:#?}");
    peers.assert_clean(&ours);
    linux.manifest(&theirs)?.assert_same(&linux.manifest(&ours)?);
    say(&format!("{} names refused as Linux does", refused.len()));
    Ok(())
}

/// What the C library says about an error.
fn words(errno: Errno) -> String {
    let said = std::io::Error::from_raw_os_error(errno as i32).to_string();
    said.split(" (os error").next().unwrap_or_default().to_owned()
}

fn set(filesystem: &mut Filesystem, file: u64, flags: FileFlags, projid: u32) -> Result<()> {
    let attributes = FileAttributes { xflags: flags.bits(), projid, ..FileAttributes::default() };
    Ok(filesystem.set_attributes(file, &attributes)?)
}

/// A file is written without a name and then gets one: it is there whole or not at all, and
/// nothing of it stays behind.
#[test]
fn a_temporary_file_is_named_or_gone_at_every_power_cut() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let Some(linux) = Linux::or_skip(&peers) else { return Ok(()) };
    let data: Vec<u8> = (0..70_000).map(|i| (i / 300) as u8).collect();
    let mut said = Vec::new();
    for (every_step, samples) in [(false, 20), (true, 2)] {
        let experiment = Experiment {
            mkfs: &[],
            size: Experiment::SIZE,
            prepare: &|image| {
                on_image(image, |fs| Ok(fs.make_directory("/dir", 0o755).map(drop)?))
            },
            device: &plain,
            act: &|filesystem| {
                let file = filesystem.create_temporary("/dir", 0o644)?;
                filesystem.write(file, 0, &data)?;
                filesystem.sync()?;
                filesystem.link_ino(file, "/dir/name")?;
                Ok(filesystem.release(file)?)
            },
            look: &|filesystem| match filesystem.lookup("/dir/name") {
                Err(error) if error.errno() == Errno::ENOENT => Ok(State::Old),
                _ => {
                    ensure!(contents(filesystem, "/dir/name")? == data, "not all is there");
                    Ok(State::New)
                }
            },
            every_step,
            samples,
            judged: 10,
            seed: SEED,
        };
        said.push(all_or_nothing::run(&peers, &linux, &experiment)?.to_string());
    }
    say(&said.join("\n"));
    Ok(())
}
