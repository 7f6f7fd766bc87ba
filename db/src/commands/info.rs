//! `info`: the geometry of the filesystem.

use super::Command;
use crate::json;
use crate::session::Session;
use anyhow::{Result, bail};
use libfs::device::{Device, FileDevice};
use mkfs::report::{self, Names};
use serde_json::{Value, json};

/// The command.
pub const COMMAND: Command = Command {
    name: "info",
    alias: None,
    min_args: 0,
    max_args: Some(1),
    expert: false,
    args: "",
    summary: "pretty-print superblock info",
    help: "\
Prints the geometry and features of the filesystem as mkfs.xfs and xfs_info print them.
With --json, as JSON.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let mut args = args.to_vec();
    let wants_json = json::wanted(session, &mut args);
    if !args.is_empty() {
        bail!("bad argument count {} to info, expected 0 arguments", args.len());
    }
    if wants_json {
        return Ok(json::document("info", &document(session)));
    }
    let name = |device: &FileDevice| device.name().to_owned();
    let log = session.log_device.as_deref().map(name);
    let realtime = session.realtime.as_ref().map(name);
    let names =
        Names { data: session.device.name(), log: log.as_deref(), realtime: realtime.as_deref() };
    Ok(report::geometry(&session.geo, &names))
}

fn document(session: &Session) -> Value {
    let geo = &session.geo;
    let (features, realtime) = (&geo.features, &geo.realtime);
    json!({
        "device": session.device.name(),
        "block_size": geo.block_size,
        "sector_size": geo.sector_size,
        "inode_size": geo.inode.size,
        "data": {
            "blocks": geo.data_blocks,
            "ag_count": geo.ag_count,
            "ag_blocks": geo.ag_blocks,
            "stripe_unit": geo.stripe_unit,
            "stripe_width": geo.stripe_width,
            "imax_pct": geo.imax_pct,
        },
        "naming": { "directory_block_size": geo.dir.block_size, "ascii_ci": features.ascii_ci },
        "log": {
            "internal": geo.log.start.is_some(),
            "blocks": geo.log.blocks,
            "sector_size": geo.log.sector_size,
            "stripe_unit": geo.log.stripe_unit,
        },
        "realtime": {
            "blocks": realtime.blocks,
            "extents": realtime.extents,
            "extent_size": realtime.extent_size,
            "group_count": if realtime.has_groups { realtime.group_count } else { 0 },
            "group_extents": if realtime.has_groups { realtime.group_extents } else { 0 },
            "start": realtime.start,
            "reserved": realtime.reserved,
        },
        "features": {
            "finobt": features.finobt,
            "sparse": features.sparse_inodes,
            "rmapbt": features.rmapbt,
            "reflink": features.reflink,
            "bigtime": features.bigtime,
            "inobtcount": features.inobtcount,
            "nrext64": features.nrext64,
            "exchange": features.exchange,
            "parent": features.parent,
            "metadir": features.metadir,
            "zoned": features.zoned,
        },
    })
}
