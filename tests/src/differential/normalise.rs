//! The parts of the output that say the same wherever the same was done.
//!
//! The line that says how a command is called keeps the command's name: 7.2 prints it twice for
//! some mistakes, which is one.
//! Times, rates, inode numbers and device numbers go; the directory becomes `@`. A table of
//! extents keeps the file's ranges and the flags: where on the disk an extent lies, and in
//! how many pieces, is the allocator's business, so neighbours with the same flags are one.

use super::script::{Answer, Script, Transcript};

/// Lines of `stat` and `statx` whose value says when or where, not what.
const OWN: [&str; 13] = [
    "stat.ino",
    "stat.atime",
    "stat.mtime",
    "stat.ctime",
    "stat.btime",
    "stat.dev_major",
    "stat.dev_minor",
    "stat.rdev_major",
    "stat.rdev_minor",
    "stat.mnt_id",
    "fsxattr.nextents",
    // The unit of direct I/O tells whether the file may share blocks. When Linux notices that
    // it does not any more depends on what it has in memory.
    "dioattr.miniosz",
    "dioattr.maxiosz",
];

/// The transcript of a run of `script` whose directory was `base`.
///
/// Linux frees a temporary file after it was closed, some time later. Until then its blocks
/// count as shared; so from the first end of an update on, tables do not say what is shared.
pub fn transcript(script: &Script, transcript: &Transcript, base: &str) -> Transcript {
    let mut sharing = !script.sharing_unknown;
    let blocks = |text: String| match script.sharing_unknown {
        true => text
            .lines()
            .filter(|line| !line.starts_with("stat.blocks"))
            .map(|line| line.to_owned() + "\n")
            .collect(),
        false => text,
    };
    let mut answers = Vec::new();
    for (index, answer) in transcript.answers.iter().enumerate() {
        let text = |text: &str| self::text(&place(text, base), sharing);
        answers.push(Answer { output: blocks(text(&answer.output)), errors: text(&answer.errors) });
        let command = script.commands.get(index).map_or("", String::as_str);
        sharing &=
            !["commitupdate", "cancelupdate", "close"].iter().any(|end| command.starts_with(end));
    }
    Transcript { answers, exit: transcript.exit }
}

/// `text` with `@` for the directory `base`, and `@/..` for the one above it.
fn place(text: &str, base: &str) -> String {
    let text = text.replace(base, "@");
    let Some((above, _)) = base.rsplit_once('/') else { return text };
    if above.is_empty() {
        return text.strip_prefix("/: ").map_or(text.clone(), |rest| format!("@/..: {rest}"));
    }
    text.replace(above, "@/..")
}

/// What one command printed; `sharing` says whether tables tell what is shared.
pub fn text(text: &str, sharing: bool) -> String {
    let mut lines = Vec::new();
    let mut table: Option<Table> = None;
    for line in text.lines() {
        if let Some(open) = &mut table {
            if open.take(line, sharing) {
                continue;
            }
            lines.extend(table.take().into_iter().flat_map(Table::lines));
        }
        if line.ends_with(':') && line.starts_with('@') {
            table = Some(Table::default());
        }
        let line = self::line(line);
        if !(line.starts_with("usage of ") && lines.last() == Some(&line)) {
            lines.push(line);
        }
    }
    lines.extend(table.into_iter().flat_map(Table::lines));
    lines.into_iter().map(|line| line + "\n").collect()
}

/// One line outside of tables.
fn line(line: &str) -> String {
    if let Some((usage, _)) = line.split_once(" -- ")
        && usage.starts_with(|first: char| first.is_ascii_lowercase())
    {
        return format!("usage of {}", usage.split(' ').next().unwrap_or_default());
    }
    if let Some((amount, _)) = line.split_once(" ops; ") {
        return format!("{amount} ops");
    }
    // The table of open files: the path is padded.
    if line.ends_with(')') && line.trim_start_matches([' ', '[']).starts_with("0") {
        let mark = if line.starts_with('[') { "" } else { " " };
        return mark.to_owned() + &line.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    if let [bytes, operations, _, _, _] = line.split(',').collect::<Vec<_>>()[..]
        && [bytes, operations].iter().all(|number| number.parse::<u64>().is_ok())
    {
        return format!("{bytes},{operations},...");
    }
    match line.split_once('=') {
        Some((name, _)) if OWN.iter().any(|own| name.starts_with(own)) => format!("{name}= ..."),
        _ => line.to_owned(),
    }
}

/// A table of `bmap` or `fiemap`.
#[derive(Debug, Default)]
struct Table {
    header: Option<String>,
    rows: Vec<Row>,
}

#[derive(Debug, PartialEq, Eq)]
struct Row {
    first: u64,
    last: u64,
    /// `hole`, `delalloc`, or `mapped` and the flags.
    kind: String,
}

impl Table {
    /// Takes a line of the table; false when the table is over.
    fn take(&mut self, line: &str, sharing: bool) -> bool {
        if line.trim_start().starts_with("EXT:") {
            self.header = Some(line.split_whitespace().collect::<Vec<_>>().join(" "));
            return true;
        }
        let Some(row) = Row::parse(line, sharing) else { return false };
        match self.rows.last_mut() {
            Some(before) if before.kind == row.kind && before.reaches(row.first) => {
                before.last = row.last;
            }
            _ => self.rows.push(row),
        }
        true
    }

    fn lines(self) -> impl Iterator<Item = String> {
        let rows = self
            .rows
            .into_iter()
            .map(|row| format!("  [{}..{}] {}", row.first, row.last, row.kind));
        self.header.into_iter().chain(rows)
    }
}

/// The most digits of a range that `bmap -v` has room for.
const LONGEST: usize = 26;

impl Row {
    /// True when a row that begins at `first` continues this one. Of a row whose end is cut off
    /// that is not known.
    fn reaches(&self, first: u64) -> bool {
        self.last.checked_add(1).is_none_or(|next| next == first)
    }

    /// Parses `  0: [0..39]: 192..231 0 (192..231) 40 100000` in all its forms. `bmap -v` cuts
    /// off the end of a range that is too long for its column.
    fn parse(line: &str, sharing: bool) -> Option<Row> {
        let (number, rest) = line.trim_start().split_once(": [")?;
        number.parse::<u64>().ok()?;
        let (first, rest) = rest.split_once("..")?;
        let (last, rest) = match rest.split_once("]:") {
            Some((last, rest)) if first.len() + last.len() < LONGEST => {
                (last.parse().ok()?, rest.trim_start())
            }
            Some((_, rest)) => (u64::MAX, rest.trim_start()),
            None => (u64::MAX, rest.split_once(' ')?.1.trim_start()),
        };
        let place = rest.split_whitespace().next()?;
        let kind = if place.contains("..") {
            format!("mapped {}", flags(rest, sharing)).trim_end().to_owned()
        } else {
            place.to_owned()
        };
        Some(Row { first: first.parse().ok()?, last, kind })
    }
}

/// The flags at the end of a row: the last word when it is more than a count. The mark of the
/// last extent (0x1) goes.
fn flags(row: &str, sharing: bool) -> String {
    let Some(word) = row.split_whitespace().next_back() else { return String::new() };
    if let Some(number) = word.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok())
    {
        return format!("{:#x}", number & if sharing { !1 } else { !0x2001 });
    }
    let octal = word.len() >= 6 && word.bytes().all(|digit| matches!(digit, b'0' | b'1'));
    match octal {
        true if !sharing && word.ends_with("00000") => String::new(),
        true if !sharing => format!("0{}", &word[1..]),
        true => word.to_owned(),
        false => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_places_go() {
        assert_eq!(
            text(
                "wrote 5/5 bytes at offset 0\n5.000000 bytes, 1 ops; 0.0000 sec (287 KiB/sec)\n",
                true
            ),
            "wrote 5/5 bytes at offset 0\n5.000000 bytes, 1 ops\n"
        );
        assert_eq!(
            text("stat.ino = 131\nstat.size = 5\n", true),
            "stat.ino = ...\nstat.size = 5\n"
        );
    }

    #[test]
    fn extents_next_to_each_other_are_one() {
        let one = "@/a:\n EXT: FILE-OFFSET BLOCK-RANGE TOTAL FLAGS\n\
                   \x20  0: [0..39]:         192..231            40 0x2000\n\
                   \x20  1: [40..47]:        292..299             8 0x2000\n\
                   \x20  2: [48..2047]:      hole              2000\n\
                   \x20  3: [2048..2063]:    192..207            16 0x2001\n";
        let two = "@/a:\n EXT:  FILE-OFFSET BLOCK-RANGE  TOTAL FLAGS\n\
                   \x20  0: [0..47]:         492..539            48 0x2000\n\
                   \x20  1: [48..2047]:      hole              2000\n\
                   \x20  2: [2048..2063]:    492..507            16 0x2001\n";
        assert_eq!(text(one, true), text(two, true));
        assert!(text(one, true).contains("[0..47] mapped 0x2000\n"), "{}", text(one, true));
        assert_ne!(text(one, true), text(&two.replace("0x2000", "0x800"), true));
        assert_ne!(text(one, true), text(&two.replace("[0..47]", "[0..46]"), true));
        assert_eq!(text(one, false), text(&two.replace("0x2000", "0x0"), false));
        let short = "@/a:\n\t0: [0..39]: 192..231 40 blocks\n\t1: [40..2047]: hole 2008 blocks\n";
        assert_eq!(text(short, true), "@/a:\n  [0..39] mapped\n  [40..2047] hole\n");
        let cut = "@/a:\n 4: [9007199254740992..900719925474 264616..264639    1 (2472..2495)  24 010000\n";
        assert!(text(cut, true).contains("mapped 010000\n"), "{}", text(cut, true));
        let bits = "@/a:\n   0: [0..39]:  192..231  0 (192..231)  40 010000\n";
        assert_eq!(text(bits, true), "@/a:\n  [0..39] mapped 010000\n");
    }
}
