//! Random scripts.
//!
//! A script opens three or four files and then does anything to them. Offsets and lengths are
//! aligned, unaligned, 0, past the end or huge; huge ones only where that costs nothing.

use super::script::Script;
use crate::workload::Random;

/// Commands that are drawn but left out of the scripts. `swapext` depends on which file has more
/// extents, and so on how the allocator placed them; the cases written by hand have it.
const LEFT_OUT: &[&str] = &["swapext"];

/// True when the command of this line is left out.
fn is_left_out(line: &str) -> bool {
    LEFT_OUT.contains(&line.split(' ').next().unwrap_or_default())
}

const BLOCK: u64 = 4096;
const NAMES: [&str; 4] = ["@/a", "@/b", "@/c", "@/d"];

/// Commands that let files share blocks.
///
/// Linux 6.18 shuts the filesystem down when `swapext` is asked to swap a file that shares blocks
/// with one that never did: its reverse mappings are then made as if nothing were shared. So a
/// script has either these or `swapext`.
const SHARING: [&str; 5] = ["reflink", "dedupe", "copy_range", "startupdate", "commitupdate"];

/// A command and how often it is drawn.
type Choice = (&'static str, u64);

const CHOICES: [Choice; 28] = [
    ("pwrite", 22),
    ("pread", 6),
    ("truncate", 6),
    ("fsync", 4),
    ("fdatasync", 1),
    ("stat", 2),
    ("fiemap", 3),
    ("bmap", 2),
    ("falloc", 4),
    ("fpunch", 5),
    ("fzero", 4),
    ("fcollapse", 3),
    ("finsert", 3),
    ("funshare", 4),
    ("reflink", 14),
    ("dedupe", 6),
    ("copy_range", 6),
    ("exchangerange", 9),
    ("startupdate", 3),
    ("commitupdate", 4),
    ("cancelupdate", 1),
    ("swapext", 8),
    ("extsize", 1),
    ("cowextsize", 2),
    ("untorn", 4),
    ("file", 12),
    ("open", 3),
    ("close", 1),
];

/// What is known of the table of open files.
struct Generator {
    random: Random,
    /// How many files are open.
    open: u64,
    /// The current one.
    current: u64,
    /// True between startupdate and its end.
    updating: bool,
    /// True when files may share blocks, and `swapext` is left out.
    sharing: bool,
    /// True when files may be opened for direct I/O. `copy_range` is left out then: whether
    /// Linux copies to such a file depends on how the data lies in its pages.
    direct: bool,
    /// True when blocks may be allocated behind the end of files. Exchanges to the end are left
    /// out then: Linux frees such blocks, we exchange them.
    behind: bool,
}

/// The script of `commands` commands that follows from `seed`.
pub fn script(seed: u64, commands: usize) -> Script {
    let mut random = Random::new(seed);
    let sharing = random.below(8) != 0;
    let direct = random.below(3) == 0;
    let behind = random.below(2) == 0;
    let mut generator =
        Generator { random, open: 0, current: 0, updating: false, sharing, direct, behind };
    let mut lines = Vec::new();
    let files = 3 + generator.random.below(2);
    for name in NAMES.iter().take(usize::try_from(files).unwrap_or(3)) {
        let flags = if direct && generator.one_in(2) { "-fd" } else { "-f" };
        lines.push(generator.open(name, flags));
        // Most files begin with something in them.
        if generator.random.below(4) != 0 {
            let length = generator.pick(&["128k", "128k", "128k", "65000", "20000", "4k"]);
            let seed = generator.seed();
            lines.push(format!("pwrite -S {seed} -b 64k 0 {length}"));
        }
    }
    while lines.len() < commands {
        let command = generator.command();
        if !is_left_out(&command) {
            lines.extend(command.lines().map(str::to_owned));
        }
        lines.truncate(commands);
    }
    Script { sharing_unknown: true, ..Script::of(lines) }
}

impl Generator {
    fn open(&mut self, name: &str, flags: &str) -> String {
        self.current = self.open;
        self.open += 1;
        format!("open {flags} {name}")
    }

    fn one_in(&mut self, chance: u64) -> bool {
        self.random.below(chance) == 0
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        let count = of.len() as u64;
        usize::try_from(self.random.below(count))
            .ok()
            .and_then(|at| of.get(at))
            .copied()
            .unwrap_or("")
    }

    /// What is written: few kinds, so that there is something to deduplicate.
    fn seed(&mut self) -> u64 {
        1 + self.random.below(3)
    }

    fn name(&mut self) -> &'static str {
        self.pick(&NAMES[..3])
    }

    /// A block's offset near the beginning of the file.
    fn aligned(&mut self) -> u64 {
        self.random.below(24) * BLOCK
    }

    fn offset(&mut self) -> u64 {
        match self.random.below(100) {
            0..20 => 0,
            20..65 => self.aligned(),
            65..90 => self.random.below(100_000),
            90..95 => (1 << 20) + self.random.below(64) * BLOCK,
            95..98 => (1 << 20) + self.random.below(1 << 21),
            _ => self.huge(),
        }
    }

    /// Offsets and lengths at which something ends: sums overflow, files cannot be larger.
    fn huge(&mut self) -> u64 {
        const HUGE: [u64; 6] = [
            1 << 40,
            7 << 60,
            i64::MAX as u64,
            (i64::MAX as u64) - 4095,
            1 << 62,
            (1 << 32) - 4096,
        ];
        let at = self.random.below(HUGE.len() as u64);
        usize::try_from(at).ok().and_then(|at| HUGE.get(at)).copied().unwrap_or_default()
    }

    /// A length that is safe for anything.
    fn length(&mut self) -> u64 {
        match self.random.below(100) {
            0..3 => 0,
            3..55 => (1 + self.random.below(16)) * BLOCK,
            _ => 1 + self.random.below(50_000),
        }
    }

    /// A length for what does not touch every block of it.
    fn any_length(&mut self) -> u64 {
        if self.one_in(25) { self.huge() } else { self.length() }
    }

    fn command(&mut self) -> String {
        let (sharing, direct) = (self.sharing, self.direct);
        let allowed = |name: &str| match name {
            "swapext" => !sharing,
            "copy_range" => sharing && !direct,
            name => sharing || !SHARING.contains(&name),
        };
        let choices: Vec<Choice> = CHOICES.into_iter().filter(|choice| allowed(choice.0)).collect();
        let mut at = self.random.below(choices.iter().map(|choice| choice.1).sum());
        for (name, weight) in choices {
            if at < weight {
                return self.arguments(name);
            }
            at -= weight;
        }
        "fsync".to_owned()
    }

    fn arguments(&mut self, name: &str) -> String {
        match name {
            "pwrite" => self.pwrite(),
            "pread" => self.pread(),
            "truncate" => format!("truncate {}", self.offset()),
            "stat" => "fsync\nstat".to_owned(),
            "fiemap" => "fiemap -v".to_owned(),
            "bmap" => self.pick(&["fsync\nbmap -vp", "fsync\nbmap", "fsync\nbmap -v"]).to_owned(),
            "falloc" | "fzero" => {
                let keep = if self.behind && self.one_in(2) { " -k" } else { "" };
                format!("{name}{keep} {} {}", self.offset(), self.length())
            }
            "fpunch" | "funshare" => format!("{name} {} {}", self.offset(), self.any_length()),
            "fcollapse" | "finsert" if self.one_in(4) => {
                format!("{name} {} {}", self.offset(), self.any_length())
            }
            "fcollapse" | "finsert" => {
                format!("{name} {} {}", self.aligned(), (1 + self.random.below(8)) * BLOCK)
            }
            "reflink" if self.one_in(5) => format!("reflink {}", self.name()),
            "reflink" => self.remap("reflink", true),
            "dedupe" => self.remap("dedupe", false),
            "copy_range" => self.copy_range(),
            "exchangerange" => self.exchangerange(),
            "startupdate" => self.startupdate(),
            "commitupdate" | "cancelupdate" => self.endupdate(name),
            "swapext" => format!("swapext {}", self.name()),
            "extsize" | "cowextsize" => {
                format!("{name} {}", self.pick(&["0", "4k", "16k", "64k", "128k", "5000", "1"]))
            }
            "untorn" => self.untorn(),
            "file" => self.switch(),
            "open" => self.reopen(),
            "close" => self.close(),
            other => other.to_owned(),
        }
    }

    fn pwrite(&mut self) -> String {
        let flags = match self.random.below(12) {
            0 => " -b 1000",
            1 => " -b 64k",
            2 => " -w",
            3 => " -W",
            4 => " -B -b 4k",
            5 => " -R -Z 7 -b 2k",
            6 => " -O -b 64k",
            _ => "",
        };
        let seed = self.seed();
        format!("pwrite -S {seed}{flags} {} {}", self.offset(), self.length())
    }

    fn pread(&mut self) -> String {
        if self.one_in(2) {
            return format!("pread -v {} {}", self.offset(), 1 + self.random.below(64));
        }
        format!("pread {} {}", self.offset(), self.length())
    }

    /// `reflink` and `dedupe` of a range. Two in three are of whole blocks.
    fn remap(&mut self, name: &str, any: bool) -> String {
        let file = self.name();
        if !self.one_in(4) {
            let length = (1 + self.random.below(6)) * BLOCK;
            let source = self.random.below(8) * BLOCK;
            return format!("{name} {file} {source} {} {length}", self.aligned());
        }
        let length = if any { self.any_length() } else { self.length() };
        format!("{name} {file} {} {} {length}", self.offset(), self.offset())
    }

    fn copy_range(&mut self) -> String {
        // Not -f: 7.2 takes the first open file whatever number is given, and closes it.
        let file = self.name();
        format!("copy_range -s {} -d {} -l {} {file}", self.offset(), self.offset(), self.length())
    }

    fn exchangerange(&mut self) -> String {
        let flags = self.pick(&["", "", " -w", " -f", " -n", " -c", " -w -f"]);
        let file = self.name();
        let to_end = self.random.below(6).max(if self.behind { 3 } else { 0 });
        // To the end, the sizes are exchanged as well. With -w, written blocks stay behind the end
        // of a file then, and Linux shows what they hold when the file grows by a clone.
        let flags =
            if matches!(to_end, 0 | 2) { flags.replace(" -w", "") } else { flags.to_owned() };
        match to_end {
            0 => format!("exchangerange{flags} {file}"),
            1 => format!(
                "exchangerange{flags} -s {} -d {} -l {} {file}",
                self.offset(),
                self.offset(),
                self.any_length()
            ),
            2 => {
                let at = self.aligned();
                format!("exchangerange{flags} -s {at} -d {at} {file}")
            }
            _ => {
                let length = (1 + self.random.below(8)) * BLOCK;
                let (source, target) = (self.random.below(8) * BLOCK, self.random.below(8) * BLOCK);
                format!("exchangerange{flags} -s {source} -d {target} -l {length} {file}")
            }
        }
    }

    fn startupdate(&mut self) -> String {
        if self.updating || self.open == 0 || !self.sharing || self.behind {
            return "fsync".to_owned();
        }
        self.updating = true;
        self.pick(&["startupdate", "startupdate", "startupdate -e"]).to_owned()
    }

    /// Misuse ends the program, so it is not drawn.
    fn endupdate(&mut self, name: &str) -> String {
        if !self.updating {
            return self.startupdate();
        }
        self.updating = false;
        if name == "cancelupdate" {
            return name.to_owned();
        }
        self.pick(&["commitupdate", "commitupdate -q", "commitupdate -h", "commitupdate -k"])
            .to_owned()
    }

    /// An untorn write: mostly of a size and at a place that are allowed.
    fn untorn(&mut self) -> String {
        let length = BLOCK << self.random.below(5);
        let offset = if self.one_in(4) { self.offset() } else { self.random.below(6) * length };
        let seed = self.seed();
        // Mostly refused on files that are not open for direct I/O.
        format!("pwrite -S {seed} -V 1 -A -b {length} {offset} {length}")
    }

    fn switch(&mut self) -> String {
        if self.updating || self.open == 0 {
            return "file".to_owned();
        }
        self.current = self.random.below(self.open);
        format!("file {}", self.current)
    }

    fn reopen(&mut self) -> String {
        if self.updating || self.open > 8 {
            return "fsync".to_owned();
        }
        let flags = match self.direct {
            true => self.pick(&["", "-r", "-d", "-d", "-a", "-s", "-t", "-ds"]),
            false => self.pick(&["", "-f", "-r", "-a", "-s", "-t"]),
        };
        let name = self.pick(&NAMES);
        // A file that does not exist is not opened; what the table then holds is not known.
        let flags = if name == "@/d" && !flags.contains('f') { "-f" } else { flags };
        self.open(name, flags)
    }

    fn close(&mut self) -> String {
        if self.updating || self.open <= 2 {
            return "fsync".to_owned();
        }
        self.open -= 1;
        self.current = self.current.saturating_sub(1);
        "close".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_follow_from_their_seed() {
        assert_eq!(script(5, 50), script(5, 50));
        assert_ne!(script(5, 50), script(6, 50));
        assert_eq!(script(5, 50).commands.len(), 50);
        let all: Vec<String> = (0..200).flat_map(|seed| script(seed, 50).commands).collect();
        for (name, _) in
            CHOICES.iter().filter(|choice| choice.0 != "untorn" && !is_left_out(choice.0))
        {
            assert!(all.iter().any(|line| line.starts_with(name)), "{name} is never drawn");
        }
    }
}
