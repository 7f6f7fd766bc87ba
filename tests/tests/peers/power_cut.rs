//! Our operations cut off in the middle: Linux and our `xfs_repair` recover the same, and each
//! file is wholly old or wholly new.
//!
//! Linux prepares an image with files of 1, 100 and 10,000 extents. Our `xfs_io` works on a copy
//! of it and stops: at an injected error inside a deferred operation, or by `shutdown`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use tests::linux::Linux;
use tests::manifest::Manifest;
use tests::ours;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse::copy;

const SIZE: u64 = 1 << 30;

/// Extents of each file.
const EXTENTS: [u64; 3] = [1, 100, 10_000];

/// How our xfs_io is stopped, and what it does: the commands given with `-c`, the file opened,
/// and the intent that must be left open in the log.
struct Stop {
    name: &'static str,
    commands: &'static [&'static str],
    file: &'static str,
    open: Option<&'static str>,
}

const STOPS: &[Stop] = &[
    Stop {
        name: "free_extent in truncate",
        commands: &["inject free_extent", "truncate 0", "fsync"],
        file: "/plain",
        open: Some("EFI"),
    },
    Stop {
        name: "free_extent in rm",
        commands: &["inject free_extent", "rm /plain", "fsync"],
        file: "/",
        open: Some("EFI"),
    },
    Stop {
        name: "rmap_finish_one in truncate",
        commands: &["inject rmap_finish_one", "truncate 0", "fsync"],
        file: "/plain",
        open: Some("RUI"),
    },
    Stop {
        name: "rmap_finish_one in exchangerange",
        commands: &["inject rmap_finish_one", "exchangerange -f /other"],
        file: "/plain",
        open: Some("RUI"),
    },
    Stop {
        name: "bmap_finish_one in exchangerange",
        commands: &["inject bmap_finish_one", "exchangerange -f /other"],
        file: "/plain",
        open: Some("BUI"),
    },
    Stop {
        name: "refcount_finish_one in truncate",
        commands: &["inject refcount_finish_one", "truncate 0", "fsync"],
        file: "/shared",
        open: Some("CUI"),
    },
    Stop {
        name: "refcount_finish_one in rm",
        commands: &["inject refcount_finish_one", "rm /shared", "fsync"],
        file: "/",
        open: Some("CUI"),
    },
    Stop {
        name: "exchmaps_finish_one in exchangerange",
        commands: &["inject exchmaps_finish_one", "exchangerange -f /other"],
        file: "/plain",
        open: Some("XMI"),
    },
    Stop {
        name: "shutdown after exchangerange",
        commands: &["exchangerange /other", "shutdown"],
        file: "/plain",
        open: None,
    },
    Stop {
        name: "shutdown -f after exchangerange",
        commands: &["exchangerange /other", "shutdown -f"],
        file: "/plain",
        open: None,
    },
    Stop {
        name: "shutdown -f after truncate",
        commands: &["truncate 0", "shutdown -f"],
        file: "/shared",
        open: None,
    },
    Stop {
        name: "shutdown after truncate",
        commands: &["truncate 0", "shutdown"],
        file: "/plain",
        open: None,
    },
];

#[test]
fn one_extent() {
    cut_all(EXTENTS[0]);
}

#[test]
fn a_hundred_extents() {
    cut_all(EXTENTS[1]);
}

#[test]
fn ten_thousand_extents() {
    cut_all(EXTENTS[2]);
}

/// Cuts all operations on files of `extents` extents.
fn cut_all(extents: u64) {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(linux) = Linux::or_skip(&peers) else { return };
    let scratch = Scratch::new().unwrap();
    let base = scratch.path("base");
    peers.mkfs(&base, SIZE, &[]).unwrap();
    let old = prepare(&linux, &base, extents).unwrap();
    let mut wrong = Vec::new();
    for stop in STOPS {
        if let Err(error) = stop.judge(&peers, &linux, &scratch, &old) {
            wrong.push(format!("{}: {error:#}", stop.name));
        }
    }
    let right = STOPS.len() - wrong.len();
    say(&format!("power cuts on {extents} extents: {right} of {} recovered", STOPS.len()));
    assert!(wrong.is_empty(), "{extents} extents:\n{}", wrong.join("\n"));
}

/// Writes the files: `plain` and `other`, and `shared`, a clone of `source`.
fn prepare(linux: &Linux, image: &Path, extents: u64) -> Result<Manifest> {
    let helper = ours::path("workload")?;
    let helper = helper.display();
    linux.script(
        image,
        &format!(
            "'{helper}' fragment $MNT/plain {extents} 17\n\
             '{helper}' fragment $MNT/other {extents} 34\n\
             '{helper}' fragment $MNT/source {extents} 51\n\
             cp --reflink=always $MNT/source $MNT/shared\n"
        ),
    )?;
    linux.manifest(image)
}

impl Stop {
    fn judge(&self, peers: &Peers, linux: &Linux, scratch: &Scratch, old: &Manifest) -> Result<()> {
        let [ours, theirs] = ["ours", "theirs"].map(|name| scratch.path(name));
        copy(&scratch.path("base"), &ours)?;
        let said = self.run_ours(&ours)?;
        copy(&ours, &theirs)?;
        if let Some(kind) = self.open {
            let open = peers.open_intents(&ours)?;
            ensure!(open.contains(kind), "open intents {open:?}, not {kind}; {}", text(&said));
        }
        let expected = linux.manifest(&theirs).context("Linux recovers what we cut")?;
        clean(peers, &theirs).context("after Linux's recovery")?;
        let output = ours::command("xfs_repair").arg(&ours).output()?;
        ensure!(output.status.success(), "our xfs_repair: {}", text(&output));
        clean(peers, &ours).context("after our recovery")?;
        let found = linux.manifest(&ours).context("Linux mounts what we recovered")?;
        let differences = expected.differences(&found, 10);
        ensure!(differences.is_empty(), "Linux (-) and we (+):\n{}", differences.join("\n"));
        self.all_or_nothing(old, &found)
    }

    fn run_ours(&self, image: &Path) -> Result<Output> {
        let mut command = ours::command("xfs_io");
        command.args(["-x", "-D"]).arg(image);
        for words in self.commands {
            command.args(["-c", words]);
        }
        command.arg(self.file).output().context("our xfs_io")
    }

    /// Every file has its old content, that of its partner, or none.
    fn all_or_nothing(&self, old: &Manifest, new: &Manifest) -> Result<()> {
        let contents = |manifest: &Manifest| -> BTreeMap<String, (u64, u32)> {
            let files = manifest.files.iter().filter(|(_, entry)| entry.kind == "file");
            files.map(|(name, entry)| (name.clone(), (entry.size, entry.content))).collect()
        };
        let (old, new) = (contents(old), contents(new));
        let mut allowed = vec![old.clone()];
        let mut changed = old.clone();
        if self.commands.iter().any(|words| words.starts_with("exchangerange")) {
            changed.insert("plain".to_owned(), old["other"]);
            changed.insert("other".to_owned(), old["plain"]);
        } else if self.file == "/" {
            let name = if self.name.starts_with("refcount") { "shared" } else { "plain" };
            changed.remove(name);
        } else {
            changed.insert(self.file.trim_start_matches('/').to_owned(), (0, 0));
        }
        // Once intents are open, or the log was written, the change has begun and must be whole.
        if self.open.is_some() || self.commands.last() == Some(&"shutdown -f") {
            allowed = vec![changed];
        } else {
            allowed.push(changed);
        }
        ensure!(allowed.contains(&new), "neither old nor new:\n{new:?}\nallowed {allowed:?}");
        Ok(())
    }
}

fn clean(peers: &Peers, image: &Path) -> Result<()> {
    let verdict = peers.check(image)?;
    ensure!(verdict.is_clean(), "7.2 finds {}", verdict.findings().join("\n"));
    Ok(())
}

/// All that a program printed.
fn text(output: &Output) -> String {
    let bytes = [&output.stdout[..], &output.stderr[..]].concat();
    format!("{} {}", output.status, String::from_utf8_lossy(&bytes))
}
