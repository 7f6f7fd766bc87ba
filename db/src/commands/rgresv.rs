//! `rgresv`: what realtime groups keep back for their btrees.

use super::{Command, number};
use crate::files::Tree;
use crate::session::Session;
use anyhow::Result;
use libfs::format::btree_block::BtreeKind;

/// The command.
pub const COMMAND: Command = Command {
    name: "rgresv",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "",
    summary: "print rtgroup reservation stats",
    help: "\
Prints the blocks kept back for the btrees of realtime groups, and how many of these the
btrees have now: of all groups, or of those that are named.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    if !session.geo.features.metadir {
        let not_numbers = args.iter().filter(|text| number(text).is_none());
        not_numbers.for_each(|text| eprintln!("{text}: Numerical result out of range"));
        if !args.is_empty() && args.iter().all(|text| number(text).is_none()) {
            return Ok(String::new());
        }
        // 7.2 looks for the directory of the groups, and says what it finds instead.
        return Ok("Cannot load realtime metadir, error 117\n".into());
    }
    let realtime = &session.geo.realtime;
    let count = if realtime.has_groups { realtime.group_count } else { 0 };
    if args.is_empty() {
        (0..count).for_each(|rgno| show(session, rgno));
    }
    for text in args {
        match number(text).map(|rgno| (u32::try_from(rgno), rgno as i64)) {
            None => eprintln!("{text}: Numerical result out of range"),
            Some((Ok(rgno), _)) if rgno < count => show(session, rgno),
            Some((_, rgno)) => eprintln!("{rgno}: Not a rtgroup."),
        }
    }
    Ok(String::new())
}

fn show(session: &mut Session, rgno: u32) {
    match reserved(session, rgno) {
        Ok(line) => session.show(&line),
        Err(error) => eprintln!("rtg {rgno}: {error:#}"),
    }
}

fn reserved(session: &Session, rgno: u32) -> Result<String> {
    let geo = &session.geo;
    let blocks = geo.realtime.blocks_of(rgno);
    let (mut asked, mut used) = (0, 0);
    let trees = [
        (geo.features.rmapbt, BtreeKind::RtRmap, "rmap"),
        (geo.features.reflink, BtreeKind::RtRefcount, "refcount"),
    ];
    let mut files = session.files()?;
    for (_, kind, name) in trees.into_iter().filter(|(present, ..)| *present) {
        let path = format!("/rtgroups/{rgno}.{name}");
        let ino = session.resolve(&mut files, Tree::Metadata, &path)?;
        asked += geo.btree_worst_size(kind, blocks);
        used += session.inode_core(ino)?.nblocks.get();
    }
    let (data, free) = (geo.data_blocks, session.superblock()?.fdblocks.get());
    Ok(format!("rtg {rgno}: dblocks: {data} fdblocks: {free} reserved: {asked} used: {used}\n"))
}
