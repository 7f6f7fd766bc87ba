//! The commands: one table, one file for each.

mod allocate;
mod bmap;
mod chattr;
mod close;
mod copy_range;
mod exchangerange;
mod extsize;
mod fiemap;
mod file;
mod flags;
mod flink;
mod fsync;
mod get;
mod help;
mod inject;
mod ls;
mod mkdir;
mod mmap;
mod open;
mod pread;
mod project;
mod put;
mod pwrite;
mod quit;
mod rm;
mod seek;
mod sendfile;
mod share;
mod shutdown;
mod stat;
mod statx;
mod swapext;
mod sync_range;
mod times;
mod truncate;
mod update;
mod walk;
mod whole;

use libfs::Error;

pub use flags::Flags;
pub use open::{open_file, permissions};

use crate::session::{Complaint, Session};

/// One command: how it is called, what `help` says, and what it does.
#[derive(Debug)]
pub struct Command {
    /// First word of the line.
    pub name: &'static str,
    /// Another name for it.
    pub alias: Option<&'static str>,
    /// Fewest and most arguments; `None` for no upper bound.
    pub arguments: (usize, Option<usize>),
    /// Which files it works on.
    pub scope: Scope,
    /// Only for files on XFS.
    pub xfs_only: bool,
    /// Only with -x.
    pub expert: bool,
    /// Arguments as `help` shows them.
    pub usage: &'static str,
    /// One line for `help`.
    pub summary: &'static str,
    /// The rest of `help NAME`.
    pub help: &'static str,
    /// Runs it; `arguments[0]` is the command's name.
    pub run: fn(&mut Session, &[String]) -> anyhow::Result<()>,
}

/// Which files a command works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// None: it works without open files.
    Session,
    /// The current file, once.
    Current,
    /// With -c, each open file in turn.
    Each,
}

/// All commands, in the order `help` lists them.
pub const TABLE: &[Command] = &[
    allocate::ALLOCSP,
    bmap::COMMAND,
    update::CANCEL,
    chattr::CHATTR,
    times::CHMOD,
    project::CHPROJ,
    close::COMMAND,
    update::COMMIT,
    copy_range::COMMAND,
    extsize::COWEXTSIZE,
    share::DEDUPE,
    exchangerange::COMMAND,
    extsize::EXTSIZE,
    sendfile::FADVISE,
    allocate::FALLOC,
    allocate::FCOLLAPSE,
    fsync::FDATASYNC,
    fiemap::COMMAND,
    file::FILE,
    allocate::FINSERT,
    flink::COMMAND,
    allocate::FPUNCH,
    allocate::FREESP,
    whole::FREEZE,
    whole::FSUUID,
    fsync::FSYNC,
    allocate::FUNSHARE,
    allocate::FWZERO,
    allocate::FZERO,
    get::COMMAND,
    help::COMMAND,
    inject::COMMAND,
    whole::LABEL,
    ls::COMMAND,
    chattr::LSATTR,
    project::LSPROJ,
    mkdir::COMMAND,
    mmap::MMAP,
    mmap::MREAD,
    mmap::MREMAP,
    mmap::MSYNC,
    mmap::MUNMAP,
    mmap::MWRITE,
    open::COMMAND,
    pread::COMMAND,
    file::PRINT,
    put::COMMAND,
    pwrite::COMMAND,
    quit::COMMAND,
    share::REFLINK,
    whole::RESBLKS,
    allocate::RESVSP,
    rm::COMMAND,
    seek::COMMAND,
    sendfile::SENDFILE,
    shutdown::COMMAND,
    update::START,
    stat::COMMAND,
    statx::COMMAND,
    swapext::COMMAND,
    fsync::SYNC,
    sync_range::COMMAND,
    fsync::SYNCFS,
    whole::THAW,
    truncate::COMMAND,
    allocate::UNRESVSP,
    times::UTIMES,
    allocate::ZERO,
];

/// The command called `name`.
pub fn find(name: &str) -> Option<&'static Command> {
    TABLE.iter().find(|c| c.name == name || c.alias == Some(name))
}

/// The command was called wrongly; its usage line is the whole message.
#[derive(Debug)]
pub struct UsageError(pub &'static Command);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&one_line(self.0))
    }
}

impl std::error::Error for UsageError {}

/// Commands that show their help where others show the usage line.
const HELPED: &[&str] = &["commitupdate", "exchangerange", "startupdate"];

/// Commands whose wrong use is no failure of the program, in xfsprogs.
const FORGIVEN: &[&str] = &[
    "bmap",
    "chmod",
    "commitupdate",
    "cowextsize",
    "exchangerange",
    "fzero",
    "label",
    "parent",
    "startupdate",
];

/// "name arguments -- summary".
pub fn one_line(command: &Command) -> String {
    let space = if command.usage.is_empty() { "" } else { " " };
    format!("{}{space}{} -- {}", command.name, command.usage, command.summary)
}

/// The system's words for an error, or all of ours where it is not about the request.
pub fn reason(error: &Error) -> String {
    match error {
        Error::Os { errno, .. } => {
            let words = std::io::Error::from_raw_os_error(*errno as i32).to_string();
            words.split(" (os error").next().unwrap_or_default().to_string()
        }
        other => other.to_string(),
    }
}

/// A failed call of the host as the request that failed.
pub fn os(error: Error) -> Error {
    Error::os(error.errno(), "host file")
}

/// A request that failed, under the name that xfsprogs gives it.
#[derive(Debug)]
pub struct Failed {
    name: String,
    error: Error,
}

impl Failed {
    /// The request called `name` failed.
    pub fn new(name: &str, error: Error) -> Self {
        Self { name: name.to_string(), error }
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, reason(&self.error))
    }
}

impl std::error::Error for Failed {}

/// Names what failed.
pub trait Named<T> {
    /// The error is printed as "name: reason".
    fn named(self, name: &str) -> anyhow::Result<T>;
}

impl<T> Named<T> for libfs::Result<T> {
    fn named(self, name: &str) -> anyhow::Result<T> {
        self.map_err(|error| Failed::new(name, error).into())
    }
}

/// Runs one line for the current file, or, if `each`, for every open file where the command
/// is of that kind. Errors are printed and remembered for the exit status.
pub fn run_line(session: &mut Session, line: &str, each: bool) {
    let words = match split(line) {
        Ok(words) => words,
        Err(error) => {
            eprintln!("{error}");
            session.exit_code = 1;
            return;
        }
    };
    let Some(name) = words.first() else { return };
    let Some(command) = find(name).filter(|c| !c.expert || session.expert) else {
        eprintln!("command \"{name}\" not found");
        return;
    };
    if !each || command.scope != Scope::Each {
        run_once(session, command, &words);
        return;
    }
    for index in 0..session.files.len() {
        session.current = index;
        run_once(session, command, &words);
        if session.quit {
            break;
        }
    }
}

fn run_once(session: &mut Session, command: &'static Command, words: &[String]) {
    if command.scope != Scope::Session && session.files.is_empty() {
        eprintln!("no files are open, try 'help open'");
        return;
    }
    if command.xfs_only && session.file().is_ok_and(|file| file.foreign) {
        let name = command.name;
        eprintln!("foreign file active, {name} command is for XFS filesystems only");
        return;
    }
    if !count_fits(command, words.len() - 1) {
        return;
    }
    if let Err(error) = (command.run)(session, words) {
        report(command, &error);
        if !(error.is::<UsageError>() && FORGIVEN.contains(&command.name)) {
            session.exit_code = 1;
        }
    }
}

fn report(command: &Command, error: &anyhow::Error) {
    if error.is::<UsageError>() && HELPED.contains(&command.name) {
        println!("{}\n", command.help);
        return;
    }
    if error.is::<UsageError>() || error.is::<Complaint>() {
        println!("{error}");
        return;
    }
    match error.downcast_ref::<Error>() {
        Some(error) => eprintln!("{}: {}", command.name, reason(error)),
        None => eprintln!("{error:#}"),
    }
}

fn count_fits(command: &Command, count: usize) -> bool {
    let (least, most) = command.arguments;
    let expected = match most {
        Some(most) if most == least && count != least => format!("{least}"),
        None if count < least => format!("at least {least}"),
        Some(most) if count < least || count > most => format!("between {least} and {most}"),
        _ => return true,
    };
    eprintln!("bad argument count {count} to {}, expected {expected} arguments", command.name);
    false
}

/// Splits a line into words; double quotes keep spaces.
fn split(line: &str) -> anyhow::Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.trim_end_matches('\n').chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' | '\t' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    anyhow::ensure!(!quoted, "missing closing quote in: {line}");
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_spaces_and_empty_words() {
        assert_eq!(split("a \"b c\" \"\" d\n").unwrap(), ["a", "b c", "", "d"]);
        assert!(split("a \"b").is_err());
    }

    #[test]
    fn options_bundle_and_take_values() {
        let words: Vec<String> =
            ["pwrite", "-qS", "0x61", "0", "-b8k", "--", "-5"].map(String::from).to_vec();
        let flags = Flags::parse(&pwrite::COMMAND, &words, "qS:b:").unwrap();
        assert!(flags.has('q'));
        assert_eq!(flags.value('S'), Some("0x61"));
        assert_eq!(flags.value('b'), Some("8k"));
        assert_eq!(flags.rest, ["0", "-5"]);
        assert!(Flags::parse(&pwrite::COMMAND, &words, "q").is_err());
    }

    #[test]
    fn every_name_is_there_once() {
        let mut names: Vec<_> =
            TABLE.iter().flat_map(|c| [Some(c.name), c.alias]).flatten().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
