//! `timelimit`: the range of timestamps.

use super::Command;
use crate::fields::print::local_time;
use crate::session::Session;
use anyhow::{Result, bail};
use libfs::format::inode::Timestamp;

/// The command.
pub const COMMAND: Command = Command {
    name: "timelimit",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "[--classic|--bigtime] [--pretty]",
    summary: "display timestamp limits",
    help: "\
Prints the earliest and latest times that inodes can have, and the limits of quota timers
and grace periods, in seconds since 1970.
Options:
  --classic -- Limits of filesystems without the bigtime feature.
  --bigtime -- Limits of filesystems with it.
  --pretty  -- As dates.
  --compact -- All in one line.
",
    run,
};

/// Limits in seconds.
struct Limits {
    time: (i64, i64),
    quota_timer: (i64, i64),
    quota_grace: (i64, i64),
}

/// Without the bigtime feature: signed 32 bits for inodes, unsigned ones for quota.
const CLASSIC: Limits = Limits {
    time: (i32::MIN as i64, i32::MAX as i64),
    quota_timer: (1, u32::MAX as i64),
    quota_grace: (0, u32::MAX as i64),
};

/// With the bigtime feature: 64 bits of nanoseconds for inodes; for quota, 32 bits in units
/// of four seconds.
const BIGTIME: Limits = Limits {
    time: (i32::MIN as i64, Timestamp::BIGTIME_MAX),
    quota_timer: (4, Timestamp::BIGTIME_MAX),
    quota_grace: (0, u32::MAX as i64),
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let (mut bigtime, mut pretty, mut compact) = (session.geo.features.bigtime, false, false);
    for arg in args {
        match *arg {
            "--classic" => bigtime = false,
            "--bigtime" => bigtime = true,
            "--pretty" => pretty = true,
            "--compact" => compact = true,
            _ => bail!("{arg}: bad option for timelimit command"),
        }
    }
    let Limits { time, quota_timer, quota_grace } = if bigtime { BIGTIME } else { CLASSIC };
    if compact {
        let all = [time.0, time.1, quota_timer.0, quota_timer.1, quota_grace.0, quota_grace.1];
        return Ok(all.map(|limit| format!("{limit} ")).concat() + "\n");
    }
    let date = |time: i64| if pretty { local_time(time) } else { time.to_string() };
    Ok(format!(
        "time.min = {}\ntime.max = {}\ndqtimer.min = {}\ndqtimer.max = {}\n\
         dqgrace.min = {}\ndqgrace.min = {}\n",
        date(time.0),
        date(time.1),
        date(quota_timer.0),
        date(quota_timer.1),
        quota_grace.0,
        quota_grace.1
    ))
}
