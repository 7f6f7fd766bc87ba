//! Worlds that begin with the same bytes, cases that run in all of them, and the comparison.
//!
//! Every case has a directory of its own, so that many share the filesystems. The first world
//! is right; the others are compared with it: each command's output when the case runs, and
//! when all have run, what Linux finds in the files after mounting anew, what the programs
//! say about them, and whether `xfs_repair -n` finds the filesystems sound.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use anyhow::Result;

use super::script::{Answer, Script, Transcript};
use super::state;
use super::world::{Kind, World};
use crate::linux;
use crate::peers::Peers;
use crate::scratch::Scratch;
use crate::sparse;

/// Questions about each file when all cases have run, after `open -r` and before `close`.
const QUESTIONS: [&str; 4] = ["stat", "fiemap -v", "bmap -vp", "lsattr"];

/// A filesystem with empty directories, to copy for arenas.
#[derive(Debug)]
pub struct Template {
    scratch: Scratch,
    peers: Peers,
}

impl Template {
    /// A filesystem of `size` bytes made with the mkfs.xfs options `options`, with this many
    /// directories.
    ///
    /// # Errors
    ///
    /// When it cannot be made or mounted.
    pub fn new(peers: &Peers, size: u64, options: &[&str], directories: usize) -> Result<Self> {
        let scratch = Scratch::in_memory()?;
        let image = scratch.path("template");
        peers.mkfs(&image, size, options)?;
        linux::mount(&image, |root| {
            (0..directories).try_for_each(|index| std::fs::create_dir(root.join(name(index))))?;
            Ok(())
        })?;
        Ok(Template { scratch, peers: peers.clone() })
    }

    fn image(&self) -> PathBuf {
        self.scratch.path("template")
    }
}

/// The name of a case's directory.
fn name(index: usize) -> String {
    format!("case-{index:04}")
}

/// A case that did not go the same way everywhere.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The number of the case's directory; none for what is wrong with a filesystem as a whole.
    pub case: Option<usize>,
    /// The world that differs from the first one.
    pub world: Kind,
    /// What differs.
    pub what: String,
}

impl Failure {
    /// What kind of failure it is: the world, and where the difference shows. Two failures of
    /// one kind may well have one cause.
    pub fn kind(&self) -> String {
        let line = self.what.lines().next().unwrap_or_default();
        let place = line.split('`').nth(1).and_then(|command| command.split(' ').next());
        let afterwards = line.starts_with("afterwards");
        format!("{:?} {} {}", self.world, afterwards, place.unwrap_or(line))
    }
}

/// How many commands were run, and how many of them printed an error, by name.
#[derive(Debug, Clone, Default)]
pub struct Tally(BTreeMap<String, (usize, usize)>);

impl Tally {
    fn add(&mut self, script: &Script, transcript: &Transcript) {
        let completed = transcript.answers.iter().take(transcript.completed());
        for (command, answer) in script.commands.iter().zip(completed) {
            let name = command.split(' ').next().unwrap_or_default().to_owned();
            let counts = self.0.entry(name).or_default();
            counts.0 += 1;
            counts.1 += usize::from(!answer.errors.is_empty());
        }
    }

    /// Adds the numbers of `other`.
    pub fn merge(&mut self, other: &Tally) {
        for (name, counts) in &other.0 {
            let sum = self.0.entry(name.clone()).or_default();
            *sum = (sum.0 + counts.0, sum.1 + counts.1);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: usize = self.0.values().map(|counts| counts.0).sum();
        let errors: usize = self.0.values().map(|counts| counts.1).sum();
        write!(f, "{all} commands, {errors} of them refused (")?;
        for (index, (name, (count, errors))) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{name} {count}/{errors}")?;
        }
        write!(f, ")")
    }
}

/// The worlds.
#[derive(Debug)]
pub struct Arena {
    peers: Peers,
    worlds: Vec<World>,
    ran: Vec<usize>,
    tally: Tally,
    _scratch: Scratch,
}

impl Arena {
    /// Worlds of these kinds, each on a copy of `template`.
    ///
    /// # Errors
    ///
    /// When copying or mounting fails.
    pub fn new(template: &Template, kinds: &[Kind]) -> Result<Self> {
        let scratch = Scratch::in_memory()?;
        let mut worlds = Vec::new();
        for (index, kind) in kinds.iter().enumerate() {
            let image = scratch.path(&format!("world{index}"));
            sparse::copy(&template.image(), &image)?;
            worlds.push(World::new(&template.peers, *kind, image)?);
        }
        Ok(Arena {
            peers: template.peers.clone(),
            worlds,
            ran: Vec::new(),
            tally: Tally::default(),
            _scratch: scratch,
        })
    }

    /// The directory of case `index` in the mounted world `world`.
    pub fn directory(&self, world: usize, index: usize) -> Option<PathBuf> {
        Some(self.worlds.get(world)?.root()?.join(name(index)))
    }

    /// Runs `script` as case `index` in all worlds, and compares what is printed; returns what the
    /// first world printed, and the failures.
    ///
    /// # Errors
    ///
    /// When a program cannot be started.
    pub fn run(&mut self, index: usize, script: &Script) -> Result<(Transcript, Vec<Failure>)> {
        if !self.ran.contains(&index) {
            self.ran.push(index);
        }
        let mut transcripts = Vec::new();
        for world in &self.worlds {
            transcripts.push(world.run(&name(index), script)?);
        }
        self.tally.add(script, &transcripts[0]);
        let mut failures = Vec::new();
        for (world, transcript) in self.worlds.iter().zip(&transcripts).skip(1) {
            if let Some(what) = compare(&script.commands, &transcripts[0], transcript) {
                failures.push(Failure { case: Some(index), world: world.kind, what });
            }
        }
        Ok((transcripts.swap_remove(0), failures))
    }

    /// Runs `script` as case `index` in all worlds; what is printed and what it leaves there is not
    /// compared.
    ///
    /// # Errors
    ///
    /// When a program cannot be started.
    pub fn prepare(&self, index: usize, script: &Script) -> Result<()> {
        self.worlds.iter().try_for_each(|world| world.run(&name(index), script).map(drop))
    }

    /// True when a world's Linux has shut its filesystem down: nothing works there any more.
    pub fn is_shut_down(&self) -> bool {
        self.worlds.iter().filter_map(World::root).any(|root| std::fs::metadata(root).is_err())
    }

    /// What the commands of all cases so far came to in the first world.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Compares what the cases left, and checks the filesystems.
    ///
    /// # Errors
    ///
    /// When mounting, unmounting or reading fails.
    pub fn finish(mut self) -> Result<Vec<Failure>> {
        for world in &mut self.worlds {
            world.rest()?;
        }
        let mut failures = self.ask_the_image()?;
        let mut states = Vec::new();
        for world in &mut self.worlds {
            let root = world.inspect()?.to_owned();
            let directories: Vec<PathBuf> =
                self.ran.iter().map(|index| root.join(name(*index))).collect();
            states.push(state::of(&self.peers, &directories)?);
            world.rest()?;
        }
        for (world, state) in self.worlds.iter().zip(&states).skip(1) {
            for ((case, expected), got) in self.ran.iter().zip(&states[0]).zip(state) {
                let lines = state::differences(expected, got, 12);
                if !lines.is_empty() {
                    let what = format!("files differ:\n    {}\n", lines.join("\n    "));
                    failures.push(Failure { case: Some(*case), world: world.kind, what });
                }
            }
        }
        for world in &self.worlds {
            let verdict = self.peers.check(&world.image)?;
            if !verdict.is_clean() {
                let what = format!("xfs_repair -n: {}", verdict.findings().join("\n"));
                failures.push(Failure { case: None, world: world.kind, what });
            }
        }
        Ok(failures)
    }

    /// Asks our program about the files of the image, before Linux has touched it, and 7.2
    /// about those of the first world, mounted anew.
    fn ask_the_image(&mut self) -> Result<Vec<Failure>> {
        let Some(image) = self.worlds.iter().position(|world| world.kind == Kind::OursImage) else {
            return Ok(Vec::new());
        };
        let root = self.worlds[0].inspect()?.to_owned();
        let mut files = Vec::new();
        for case in &self.ran {
            let names = state::names(&root.join(name(*case)))?;
            files.extend(names.into_iter().map(|file| (*case, file)));
        }
        let mut script = Script::default();
        for (case, file) in &files {
            script.commands.push(format!("open -r @/{}/{file}", name(*case)));
            script.commands.extend(QUESTIONS.map(str::to_owned));
            script.commands.push("close".to_owned());
        }
        let expected = without_blocks(self.worlds[0].run(".", &script)?);
        let got = without_blocks(self.worlds[image].run(".", &script)?);
        self.worlds[0].rest()?;
        let mut failures = Vec::new();
        let per_file = QUESTIONS.len() + 2;
        for (index, (case, file)) in files.iter().enumerate() {
            let range = index * per_file..(index + 1) * per_file;
            let (commands, answers) =
                (&script.commands[range.clone()], &expected.answers[range.clone()]);
            let given = got.answers.get(range).unwrap_or_default();
            if let Some(difference) = first_difference(commands, answers, given) {
                let what = format!("afterwards, about {file}: {difference}");
                failures.push(Failure { case: Some(*case), world: Kind::OursImage, what });
            }
        }
        Ok(failures)
    }
}

/// Leaves out how many blocks files have: blocks of their extent trees are counted, too, and so
/// depend on how many extents the allocator made.
fn without_blocks(mut transcript: Transcript) -> Transcript {
    for answer in &mut transcript.answers {
        let lines = answer.output.lines().filter(|line| !line.starts_with("stat.blocks"));
        answer.output = lines.map(|line| format!("{line}\n")).collect();
    }
    transcript
}

/// How the transcript `got` differs from `expected`, if it does.
fn compare(commands: &[String], expected: &Transcript, got: &Transcript) -> Option<String> {
    if let Some(difference) = first_difference(commands, &expected.answers, &got.answers) {
        return Some(difference);
    }
    let exits = (expected.exit, got.exit);
    (exits.0 != exits.1).then(|| format!("exit status {:?}, expected {:?}\n", exits.1, exits.0))
}

/// The first command with another answer.
fn first_difference(commands: &[String], expected: &[Answer], got: &[Answer]) -> Option<String> {
    let none = Answer { output: "(did not get here)".to_owned(), errors: String::new() };
    for index in 0..expected.len().max(got.len()) {
        let (left, right) = (expected.get(index).unwrap_or(&none), got.get(index).unwrap_or(&none));
        if left != right {
            let command = commands.get(index).map_or("(end)", String::as_str);
            let lines =
                |answer: &Answer| answer.to_string().lines().map(str::to_owned).collect::<Vec<_>>();
            let lines = state::differences(&lines(left), &lines(right), 20).join("\n    ");
            return Some(format!("command {index} `{command}`\n    {lines}\n"));
        }
    }
    None
}
