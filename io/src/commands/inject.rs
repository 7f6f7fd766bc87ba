//! inject: stop in the middle of a later operation.

use libfs::transaction::InjectTag;

use super::{Command, Named, Scope};
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "inject",
    alias: None,
    arguments: (0, None),
    scope: Scope::Session,
    xfs_only: false,
    expert: true,
    usage: "[tag ...]",
    summary: "inject errors into a filesystem",
    help: "
 Of a mounted filesystem: has the kernel fail at the named points. With -D: stops the filesystem
 the next time a deferred operation of the named kind is about to be done: its intent is in the
 log, its effect is not; with a number behind the tag, that many are let pass first.
 Without arguments, lists the tags.",
    run,
};

/// Names of XFS_ERRTAG_* of Linux by number; one was given up.
const KERNEL: [&str; 48] = [
    "noerror",
    "iflush1",
    "iflush2",
    "iflush3",
    "iflush4",
    "iflush5",
    "iflush6",
    "dareadbuf",
    "btree_chk_lblk",
    "btree_chk_sblk",
    "readagf",
    "readagi",
    "itobp",
    "iunlink",
    "iunlinkrm",
    "dirinovalid",
    "bulkstat",
    "logiodone",
    "stratread",
    "stratcmpl",
    "diowrite",
    "bmapifmt",
    "free_extent",
    "rmap_finish_one",
    "refcount_continue_update",
    "refcount_finish_one",
    "bmap_finish_one",
    "ag_resv_critical",
    "",
    "log_bad_crc",
    "log_item_pin",
    "buf_lru_ref",
    "force_repair",
    "bad_summary",
    "iunlink_fallback",
    "buf_ioerror",
    "reduce_max_iextents",
    "bmap_alloc_minlen_extent",
    "ag_resv_fail",
    "larp",
    "da_leaf_split",
    "attr_leaf_to_node",
    "wb_delay_ms",
    "write_delay_ms",
    "exchmaps_finish_one",
    "metafile_resv_crit",
    "force_zero_range",
    "zone_reset",
];

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    if session.target.image().is_none() {
        return inject_into_kernel(session, &arguments[1..]);
    }
    let Some(name) = arguments.get(1) else {
        let names: Vec<_> = InjectTag::ALL.iter().map(|(_, name)| *name).collect();
        list(&names);
        return Ok(());
    };
    let Some(tag) = InjectTag::from_name(name) else {
        eprintln!("no such tag -- {name}");
        return Ok(());
    };
    let skip = match arguments.get(2) {
        Some(text) => session.number(text, "skip")?,
        None => 0,
    };
    session.image()?.filesystem.inject(tag, u32::try_from(skip)?);
    Ok(())
}

fn inject_into_kernel(session: &mut Session, names: &[String]) -> anyhow::Result<()> {
    if session.files.is_empty() {
        eprintln!("no files are open, try 'help open'");
        return Ok(());
    }
    if names.is_empty() {
        list(&KERNEL);
    }
    let file = session.handle()?;
    for name in names {
        let Some(tag) = KERNEL.iter().position(|known| known == name) else {
            eprintln!("no such tag -- {name}");
            continue;
        };
        session.host()?.inject(file, i32::try_from(tag)?).named("XFS_IOC_ERROR_INJECTION")?;
    }
    Ok(())
}

/// Prints names, five in a line.
fn list(names: &[&str]) {
    let mut text = "tags: [ ".to_string();
    let mut count = 0;
    for (i, name) in names.iter().enumerate() {
        text += name;
        count += usize::from(!name.is_empty());
        if i + 1 == names.len() {
            text += " ]";
        } else {
            text += ", ";
            text += if count % 5 == 0 && !name.is_empty() { "\n\t" } else { "" };
        }
    }
    println!("{text}");
}
