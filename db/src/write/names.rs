//! Giving the filesystem another label or UUID, in the superblocks of all groups. A log that is
//! dirty is replayed first: its records are of the old UUID.

use super::structure::change_in_place;
use crate::session::Session;
use anyhow::{Result, bail};
use libfs::filesystem::identity;
use libfs::format::superblock::LABEL_MAX;
use uuid::Uuid;

/// Sets the label; `--` stands for none.
///
/// # Errors
///
/// An error is returned if nothing may be written, or a superblock or the log is damaged.
pub fn set_label(session: &mut Session, text: &str) -> Result<String> {
    let text = if text == "--" { "" } else { text };
    let mut label = text.as_bytes();
    let mut warning = String::new();
    if let Some(cut) = label.get(..LABEL_MAX).filter(|_| label.len() > LABEL_MAX) {
        let (program, len) = (&session.program, label.len());
        warning = format!("{program}: truncating label length from {len} to {LABEL_MAX}\n");
        label = cut;
    }
    change_in_place(session, |devices| identity::set_label(devices, label))?;
    session.show(&format!("writing all SBs\n{warning}new label = \""));
    session.show_bytes(label);
    Ok("\"\n".into())
}

/// Sets the UUID to one that is given, a random one (`generate`), that of zeros (`nil`), the one it
/// has (`rewrite`), or the one that metadata carries (`restore`).
///
/// # Errors
///
/// As [`set_label`], or if the text is no UUID.
pub fn set_uuid(session: &mut Session, text: &str) -> Result<String> {
    let dsb = session.superblock()?;
    let (current, metadata) = (Uuid::from_bytes(dsb.uuid), Uuid::from_bytes(dsb.metadata_uuid()));
    let uuid = match text {
        "generate" => Uuid::new_v4(),
        "nil" => Uuid::nil(),
        "rewrite" => current,
        "restore" if current == metadata => return Ok(String::new()),
        "restore" => metadata,
        _ => match Uuid::try_parse(text) {
            Ok(uuid) if text.len() == uuid::fmt::Hyphenated::LENGTH => uuid,
            _ => bail!("invalid UUID"),
        },
    };
    if text == "rewrite" {
        session.show(&format!("old UUID = {current}\n"));
    }
    change_in_place(session, |devices| identity::set_uuid(devices, uuid.into_bytes()))?;
    Ok(format!("Clearing log and setting UUID\nwriting all SBs\nnew UUID = {uuid}\n"))
}
