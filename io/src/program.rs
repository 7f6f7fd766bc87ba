//! xfs_io: work on files, those of mounted filesystems or those inside an unmounted XFS
//! filesystem, atomically.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};

use crate::session::Session;
use crate::target::{self, Host, Image, OpenFlags, Target};
use crate::{commands, prompt};

/// Work on files: of mounted filesystems, or inside an unmounted XFS filesystem (-D).
#[derive(Parser)]
#[command(name = "xfs_io", version, disable_version_flag = true)]
struct Options {
    /// Work on the files inside the filesystem on this device or image, not on those of
    /// this machine
    #[arg(short = 'D', value_name = "DEVICE")]
    device: Option<PathBuf>,
    /// The log of that filesystem is on this device or image
    #[arg(short = 'l', value_name = "LOGDEV", requires = "device")]
    log_device: Option<PathBuf>,
    /// Run this command, on every open file where that makes sense, instead of prompting
    /// (may be repeated)
    #[arg(short = 'c', value_name = "COMMAND")]
    each: Vec<String>,
    /// Run this command on the current file alone (may be repeated)
    #[arg(short = 'C', value_name = "COMMAND")]
    current: Vec<String>,
    /// Create the file if it does not exist
    #[arg(short = 'f')]
    create: bool,
    /// Truncate the file on opening it
    #[arg(short = 't')]
    truncate: bool,
    /// Open the file, and the device, for reading only
    #[arg(short = 'r')]
    read_only: bool,
    /// Open with O_APPEND: writes go to the end of the file
    #[arg(short = 'a')]
    append: bool,
    /// Open with O_SYNC: every write is durable when it returns
    #[arg(short = 's')]
    sync: bool,
    /// Open with O_DIRECT: past the page cache
    #[arg(short = 'd')]
    direct: bool,
    /// Open with O_NONBLOCK
    #[arg(short = 'n')]
    nonblocking: bool,
    /// Open with O_TMPFILE: a new file without a name, in the directory PATH
    #[arg(short = 'T')]
    temporary: bool,
    /// Open with O_PATH: a reference to the file, not open for reading or writing
    #[arg(short = 'P')]
    path_only: bool,
    /// Open with O_NOFOLLOW: not through a symbolic link
    #[arg(short = 'L')]
    no_follow: bool,
    /// Mark the file as one of the realtime volume
    #[arg(short = 'R')]
    realtime: bool,
    /// Have an idle thread, so that the table of files is shared
    #[arg(short = 'i')]
    idle: bool,
    /// Accepted and ignored: files of other filesystems are always allowed
    #[arg(short = 'F', hide = true)]
    foreign: bool,
    /// Expert mode: allow commands that can damage or stop a filesystem
    #[arg(short = 'x')]
    expert: bool,
    /// Permissions of a file that is created, octal with a leading 0
    #[arg(short = 'm', value_name = "MODE", default_value = "0600")]
    mode: String,
    /// Name to show in the prompt
    #[arg(short = 'p', value_name = "PROGRAM", default_value = "xfs_io")]
    program: String,
    /// Print the version
    #[arg(short = 'V')]
    version: bool,
    /// Files to open
    paths: Vec<String>,
}

/// The options as clap knows them, for the manual page and completions too.
pub fn command() -> clap::Command {
    Options::command()
}

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    target::end_on_broken_pipe();
    let parsed = Options::command().try_get_matches();
    let parsed = parsed.and_then(|matches| {
        Options::from_arg_matches(&matches).map(|options| (options, lines(&matches)))
    });
    let (options, lines) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    if options.version {
        println!("xfs_io version {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    match run(&options, &lines) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("xfs_io: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A command given with -c (for each open file) or -C.
struct Line {
    text: String,
    each: bool,
}

/// The commands in the order they were given.
fn lines(matches: &ArgMatches) -> Vec<Line> {
    let mut lines = Vec::new();
    for (name, each) in [("each", true), ("current", false)] {
        let texts = matches.get_many::<String>(name).into_iter().flatten();
        let places = matches.indices_of(name).into_iter().flatten();
        lines.extend(places.zip(texts).map(|(at, text)| (at, Line { text: text.clone(), each })));
    }
    lines.sort_by_key(|(at, _)| *at);
    lines.into_iter().map(|(_, line)| line).collect()
}

fn run(options: &Options, lines: &[Line]) -> anyhow::Result<u8> {
    let target: Box<dyn Target> = match &options.device {
        Some(device) => {
            Box::new(Image::open(device, options.log_device.as_deref(), options.read_only)?)
        }
        None => Box::new(Host::default()),
    };
    if options.idle {
        std::thread::spawn(|| {
            loop {
                std::thread::park();
            }
        });
    }
    let Some(mode) = commands::permissions(&options.mode) else { return Ok(1) };
    let mut session = Session::new(target, options.expert);
    let flags = OpenFlags {
        create: options.create,
        truncate: options.truncate,
        read_only: options.read_only,
        append: options.append,
        sync: options.sync,
        direct: options.direct,
        nonblocking: options.nonblocking,
        temporary: options.temporary,
        path_only: options.path_only,
        no_follow: options.no_follow,
        realtime: options.realtime,
        staged: false,
        mode,
    };
    for path in &options.paths {
        if let Err(error) = commands::open_file(&mut session, path, flags) {
            eprintln!("{error}");
            session.close()?;
            return Ok(1);
        }
    }
    if lines.is_empty() {
        prompt::run(&mut session, &options.program)?;
    }
    for line in lines {
        commands::run_line(&mut session, &line.text, line.each);
        if session.quit {
            break;
        }
    }
    session.close()?;
    Ok(session.exit_code)
}
