//! The same commands run by xfs_db 7.2 and by ours, many of them in one process each.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::gallery::Exhibit;
use crate::ours;
use crate::peers::Peers;

/// Bytes of commands given to one process: its arguments must fit what Linux takes.
const BATCH: usize = 400_000;

/// Both programs on one image.
#[derive(Debug)]
pub struct Pair<'a> {
    peers: &'a Peers,
    image: PathBuf,
    options: Vec<String>,
}

/// What both programs printed for one request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// xfs_db 7.2.
    pub theirs: String,
    /// Ours.
    pub own: String,
}

impl<'a> Pair<'a> {
    /// Both programs on `image`, started with further options.
    pub fn new(peers: &'a Peers, image: &Path, options: &[&str]) -> Self {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Pair { peers, image: image.to_owned(), options }
    }

    /// Both programs on an image of the gallery, with its other devices.
    pub fn of(peers: &'a Peers, exhibit: &Exhibit) -> Self {
        let options = exhibit.device_options("-R", "-l");
        Pair { peers, image: exhibit.image.clone(), options }
    }

    /// Runs requests, each of which is a few commands, in both programs: in one process as long
    /// as its arguments fit. What a request prints goes to standard output; where that of one
    /// request ends is marked by a command that neither program knows.
    ///
    /// # Errors
    ///
    /// When a program cannot be started, or ends before the last request.
    pub fn ask(&self, requests: &[Vec<String>]) -> Result<Vec<Answer>> {
        let mut answers = Vec::new();
        for batch in batches(requests) {
            let theirs = self.run(self.peers.command("xfs_db"), batch).context("xfs_db 7.2")?;
            let own = self.run(ours::command("xfs_db"), batch).context("our xfs_db")?;
            let both = theirs.into_iter().zip(own);
            answers.extend(both.map(|(theirs, own)| Answer { theirs, own }));
        }
        Ok(answers)
    }

    /// What one program printed for each request.
    fn run(&self, mut command: Command, requests: &[Vec<String>]) -> Result<Vec<String>> {
        command.arg("-r").args(&self.options).env("TZ", "UTC");
        for request in requests {
            for line in request {
                command.args(["-c", line]);
            }
            command.args(["-c", MARK]);
        }
        let output = command.arg(&self.image).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let end = format!("command {MARK} not found\n");
        let mut parts: Vec<String> = text.split(&end).map(str::to_owned).collect();
        if parts.len() != requests.len() + 1 {
            let complaint = String::from_utf8_lossy(&output.stderr);
            anyhow::bail!(
                "answered {} of {} requests, then ended with {}; the next was {:?}: {complaint}",
                parts.len() - 1,
                requests.len(),
                output.status,
                requests.get(parts.len() - 1)
            );
        }
        parts.pop();
        Ok(parts)
    }
}

/// A command that does not exist.
const MARK: &str = "@@";

/// The requests in pieces that fit one process.
fn batches(requests: &[Vec<String>]) -> Vec<&[Vec<String>]> {
    let mut batches = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (index, request) in requests.iter().enumerate() {
        size += request.iter().map(|line| line.len() + 16).sum::<usize>() + 20;
        if size > BATCH {
            batches.push(&requests[start..=index]);
            (start, size) = (index + 1, 0);
        }
    }
    batches.push(&requests[start..]);
    batches.retain(|batch| !batch.is_empty());
    batches
}
