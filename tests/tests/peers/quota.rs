//! Filesystems with quota: this project does not keep quota records, so what it changes it
//! marks as to be counted anew, and Linux does that when it mounts with quota.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tests::gallery::{Exhibit, Gallery};
use tests::ours;
use tests::peers::{Peers, run};
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse::copy;
use tests::uml::Uml;

/// Changes of what users have, the same with Linux and with us. Few extents, so that they need no
/// tree, whose blocks would count.
const COMMANDS: [&str; 3] = ["pwrite -q -b 48k 0 48k", "fpunch 16k 8k", "truncate 40k"];

/// Mounts the images with quota in user-mode Linux, after `work` on each mount point.
fn with_quota(uml: &Uml, image: &Path, work: &str) -> Result<()> {
    let script = format!(
        "mkdir /mnt/q; mount -t xfs -o nouuid,uquota,gquota,pquota /dev/ubda /mnt/q\n{work}\n\
         umount /mnt/q\n"
    );
    uml.run(&[image], &script).map(drop)
}

/// Blocks and inodes that each user, group and project is charged with.
fn charged(peers: &Peers, image: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for kind in ["-u", "-g", "-p"] {
        for id in [0, 1, 1000, 1001, 70_000] {
            let dquot = format!("dquot {kind} {id}");
            let text = peers.db(image, &[&dquot, "p diskdq.id diskdq.bcount diskdq.icount"])?;
            lines.push(format!("{kind} {id}: {}", text.trim().replace('\n', " ")));
        }
    }
    Ok(lines)
}

#[test]
fn linux_counts_anew_what_we_changed() {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(uml) = Uml::or_skip(&peers) else { return };
    let Some(gallery) = Gallery::or_skip(&peers, &["quota", "metadir"]) else { return };
    for exhibit in &gallery.exhibits {
        for end in ["sync", "shutdown -f"] {
            compare(&peers, &uml, exhibit, end)
                .with_context(|| format!("{}, {end}", exhibit.picture.name))
                .unwrap();
        }
    }
    say("4 images with quota changed, and counted anew by Linux");
}

fn compare(peers: &Peers, uml: &Uml, exhibit: &Exhibit, end: &str) -> Result<()> {
    let scratch = Scratch::new()?;
    let (theirs, ours) = (scratch.path("theirs"), scratch.path("ours"));
    copy(&exhibit.image, &theirs)?;
    copy(&exhibit.image, &ours)?;
    let commands = COMMANDS.map(|command| format!(" -c '{command}'")).concat();
    let io = format!("'{}/bin/xfs_io'", peers.directory().display());
    with_quota(uml, &theirs, &format!("{io} -f {commands} /mnt/q/made\nrm /mnt/q/far"))?;
    let expected = charged(peers, &theirs)?;
    ensure!(expected != charged(peers, &ours)?, "the changes do not count");

    let mut change = ours::command("xfs_io");
    change.args(["-x", "-D"]).arg(&ours).arg("-f");
    COMMANDS.iter().for_each(|command| _ = change.args(["-c", command]));
    run(change.args(["-c", "rm /far", "-c", end, "/made"]))?;
    if end == "sync" {
        peers.assert_clean(&ours);
    }
    with_quota(uml, &ours, "true")?;
    peers.assert_clean(&ours);
    let found = charged(peers, &ours)?;
    ensure!(expected == found, "Linux has\n{}\nwe have\n{}", expected.join("\n"), found.join("\n"));
    Ok(())
}
