//! mkfs.xfs: make an XFS filesystem.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use libfs::device::Device;
use libfs::mkfs::{Devices, Notice, Plan, Sizes};

use crate::cli::Cli;
use crate::config;
use crate::environment::Environment;
use crate::report::{self, Names};
use crate::signatures::{self, Found};
use crate::target::Target;
use crate::usage::{PROGRAM, Refusal};

/// The version of xfsprogs that this program stands in for.
const VERSION: &str = "7.2.0";

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprint!("{refusal}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Refusal> {
    let cli = Cli::parse(std::env::args(), &mut notify)?;
    if cli.version {
        print(&format!("{PROGRAM} version {VERSION}\n"));
        return Ok(());
    }
    let target = Target::find(&cli.data())?;
    let log = cli.external_log().map(|section| Target::find(&section)).transpose()?;
    let realtime = cli.external_realtime().map(|section| Target::find(&section)).transpose()?;
    let traits = target.traits()?;
    let log_traits = log.as_ref().map(Target::traits).transpose()?;
    let realtime_traits = realtime.as_ref().map(Target::traits).transpose()?;
    let sizes = Sizes::new(cli.block_size, cli.sector_size, &traits, &mut notify)?
        .with_log(cli.log_sector_size, log_traits.as_ref())?;
    let make_config = cli.make_config.clone();
    let (force, dry_run, quiet, discard) = (cli.force, cli.dry_run, cli.quiet, cli.discard);
    let options = cli.into_options(sizes, log_traits, realtime_traits, &Environment::read())?;
    for target in [Some(&target), log.as_ref(), realtime.as_ref()].into_iter().flatten() {
        target.refuse_mounted()?;
    }
    if !force {
        refuse_overwriting(&target.name)?;
    }
    let plan = Plan::new(&options, sizes, &traits, &mut notify)?;
    if let Some(path) = make_config {
        return config::write(&path, &plan, &options);
    }
    if dry_run || !quiet {
        let name = |target: &Option<Target>| target.as_ref().map(|target| target.name.clone());
        let (log_name, realtime_name) = (name(&log), name(&realtime));
        let names = Names {
            data: &target.name,
            log: log_name.as_deref(),
            realtime: realtime_name.as_deref(),
        };
        print(&report::geometry(&plan.geometry, &names));
    }
    if dry_run {
        return Ok(());
    }
    plan.root_inode()?;
    let device = target.open(plan.bytes())?;
    let log_device = log.as_ref().map(|log| log.open(plan.log_bytes())).transpose()?;
    let realtime_device =
        realtime.as_ref().map(|realtime| realtime.open(plan.realtime_bytes())).transpose()?;
    let opened = [
        Some((&target, &device)),
        log.as_ref().zip(log_device.as_ref()),
        realtime.as_ref().zip(realtime_device.as_ref()),
    ];
    for (target, device) in opened.into_iter().flatten() {
        if discard && target.can_discard() {
            discard_all(device, quiet)?;
        }
    }
    let mut bar = None;
    let mut progress = |done, total| show_progress(&mut bar, done, total);
    let overwrite = force && !target.create;
    let log_device = log_device.as_ref().map(|device| device as &dyn Device);
    let realtime_device = realtime_device.as_ref().map(|device| device as &dyn Device);
    let devices = Devices { data: &device, log: log_device, realtime: realtime_device };
    plan.write_to(&devices, overwrite, &mut progress).map_err(failed)
}

fn failed(error: libfs::Error) -> Refusal {
    Refusal::plain(format!("{PROGRAM}: {error}"))
}

/// Writes to standard output; that nobody reads it is no reason to make no filesystem.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

fn notify(notice: Notice) {
    match notice {
        Notice::Output(text) => print(&format!("{text}\n")),
        Notice::Error(text) => eprintln!("{text}"),
    }
}

fn refuse_overwriting(name: &str) -> Result<(), Refusal> {
    let found = match signatures::find(Path::new(name)) {
        Ok(None) => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Ok(Some(Found::Content(kind))) => {
            format!("{name} appears to contain an existing filesystem ({kind}).")
        }
        Ok(Some(Found::PartitionTable(kind))) => {
            format!("{name} appears to contain a partition table ({kind}).")
        }
        Err(_) => format!("probe of {name} failed, cannot detect existing filesystem."),
    };
    Err(Refusal::plain(format!(
        "{PROGRAM}: {found}\n{PROGRAM}: Use the -f option to force overwrite."
    )))
}

/// Discards all blocks, in pieces, so that the program can be interrupted.
fn discard_all(device: &dyn Device, quiet: bool) -> Result<(), Refusal> {
    const PIECE: u64 = 2 << 30;
    if !quiet {
        print("Discarding blocks...");
    }
    let size = device.size();
    let mut offset = 0;
    while offset < size {
        let len = PIECE.min(size - offset);
        device.discard(offset, len).map_err(failed)?;
        offset += len;
    }
    if !quiet {
        print("Done.\n");
    }
    Ok(())
}

/// A bar on standard error, if that is a terminal, while zeros are written.
fn show_progress(bar: &mut Option<ProgressBar>, done: u64, total: u64) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let bar = bar.get_or_insert_with(|| {
        let template = "Zeroing the log {wide_bar} {bytes}/{total_bytes} {eta}";
        let style = ProgressStyle::with_template(template);
        ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    });
    bar.set_position(done);
    if done == total {
        bar.finish_and_clear();
    }
}
