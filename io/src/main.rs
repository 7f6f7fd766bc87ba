//! xfs_io: work on the files of an unmounted XFS filesystem, atomically.

mod commands;
mod numbers;
mod prompt;
mod session;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use session::{OpenFlags, Session};

/// Work on files of an unmounted XFS filesystem.
#[derive(Parser)]
#[command(name = "xfs_io", version, disable_version_flag = true)]
struct Options {
    /// Device or image file that holds the filesystem
    #[arg(short = 'D', value_name = "DEVICE")]
    device: Option<PathBuf>,
    /// Run this command instead of prompting (may be repeated)
    #[arg(short = 'c', value_name = "COMMAND")]
    commands: Vec<String>,
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
    /// Open with O_DIRECT (shown by `file`; writes to a device are never cached)
    #[arg(short = 'd')]
    direct: bool,
    /// Expert mode: allow commands that can damage or stop a filesystem
    #[arg(short = 'x')]
    expert: bool,
    /// Permissions of a file that is created, in octal
    #[arg(short = 'm', value_name = "MODE", default_value = "0600")]
    mode: String,
    /// Name to show in the prompt
    #[arg(short = 'p', value_name = "PROGRAM", default_value = "xfs_io")]
    program: String,
    /// Print the version
    #[arg(short = 'V')]
    version: bool,
    /// Files inside the filesystem to open
    paths: Vec<String>,
}

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    if options.version {
        println!("xfs_io version {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    match run(&options) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("xfs_io: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<u8> {
    let Some(device) = &options.device else {
        anyhow::bail!("name the device or image file with -D DEVICE; PATH is a file inside it");
    };
    let Ok(mode) = u16::from_str_radix(&options.mode, 8) else {
        anyhow::bail!("non-octal mode -- {}", options.mode);
    };
    let mut session = Session::open(device, options.read_only, options.expert)?;
    let flags = OpenFlags {
        create: options.create,
        truncate: options.truncate,
        read_only: options.read_only,
        append: options.append,
        sync: options.sync,
        direct: options.direct,
        mode,
    };
    for path in &options.paths {
        if let Err(error) = session.open_file(path, flags) {
            eprintln!("{path}: {}", commands::reason(&error));
            session.close()?;
            return Ok(1);
        }
    }
    if options.commands.is_empty() {
        prompt::run(&mut session, &options.program)?;
    } else {
        for line in &options.commands {
            commands::run_line(&mut session, line);
            if session.quit {
                break;
            }
        }
    }
    session.close()?;
    Ok(session.exit_code)
}
