//! Commands: one table drives running, help and completion.

mod ablock;
mod addr;
mod agf;
mod agfl;
mod agi;
mod agresv;
mod attr_get;
mod attr_list;
mod attr_remove;
mod attr_set;
mod back;
mod blockfree;
mod blockget;
mod blocktrash;
mod blockuse;
mod bmap;
mod btdump;
mod btheight;
mod check;
mod convert;
mod crc;
mod daddr;
mod dblock;
mod debug;
mod dquot;
mod dump_iunlinked;
mod echo;
mod forward;
mod frag;
mod freesp;
mod fsblock;
mod fsmap;
mod fuzz;
mod hash;
mod hashcoll;
mod help;
mod info;
mod inode;
mod iunlink;
mod label;
mod link;
mod log;
mod logblock;
mod logformat;
mod logres;
mod ls;
mod makecfg;
mod map;
pub mod metadump;
mod ncheck;
mod parent;
mod path;
mod pop;
mod print;
mod push;
mod quit;
mod rdump;
mod rgresv;
mod ring;
mod rtblock;
mod rtconvert;
mod rtextent;
mod rtsb;
mod sb;
mod source;
mod stack;
mod timelimit;
mod type_;
mod unlink;
mod untorn_write_max;
mod uuid;
mod version;
mod write;

use crate::session::Session;
use crate::types::Type;
use anyhow::{Result, anyhow};

/// A command.
pub struct Command {
    /// Name.
    pub name: &'static str,
    /// Another name.
    pub alias: Option<&'static str>,
    /// Least number of arguments.
    pub min_args: usize,
    /// Greatest number of arguments, `None` for any.
    pub max_args: Option<usize>,
    /// Known in expert mode only.
    pub expert: bool,
    /// Arguments, for help.
    pub args: &'static str,
    /// One line of help.
    pub summary: &'static str,
    /// More help.
    pub help: &'static str,
    /// What it does; returns what it prints.
    pub run: fn(&mut Session, &[&str]) -> Result<String>,
}

/// Every command, by name.
pub static COMMANDS: &[Command] = &[
    ablock::COMMAND,
    addr::COMMAND,
    agf::COMMAND,
    agfl::COMMAND,
    agi::COMMAND,
    agresv::COMMAND,
    attr_get::COMMAND,
    attr_list::COMMAND,
    attr_remove::COMMAND,
    attr_set::COMMAND,
    back::COMMAND,
    blockfree::COMMAND,
    blockget::COMMAND,
    blocktrash::COMMAND,
    blockuse::COMMAND,
    bmap::COMMAND,
    btdump::COMMAND,
    btheight::COMMAND,
    check::COMMAND,
    convert::COMMAND,
    crc::COMMAND,
    daddr::COMMAND,
    dblock::COMMAND,
    debug::COMMAND,
    dquot::COMMAND,
    dump_iunlinked::COMMAND,
    echo::COMMAND,
    forward::COMMAND,
    frag::COMMAND,
    freesp::COMMAND,
    fsblock::COMMAND,
    fsmap::COMMAND,
    fuzz::COMMAND,
    hash::COMMAND,
    hashcoll::COMMAND,
    help::COMMAND,
    info::COMMAND,
    inode::COMMAND,
    iunlink::COMMAND,
    label::COMMAND,
    link::COMMAND,
    log::COMMAND,
    logblock::COMMAND,
    logformat::COMMAND,
    logres::COMMAND,
    ls::COMMAND,
    makecfg::COMMAND,
    map::COMMAND,
    metadump::COMMAND,
    ncheck::COMMAND,
    parent::COMMAND,
    path::COMMAND,
    pop::COMMAND,
    print::COMMAND,
    push::COMMAND,
    quit::COMMAND,
    rdump::COMMAND,
    rgresv::COMMAND,
    ring::COMMAND,
    rtblock::COMMAND,
    rtconvert::COMMAND,
    rtextent::COMMAND,
    rtsb::COMMAND,
    sb::COMMAND,
    source::COMMAND,
    stack::COMMAND,
    timelimit::COMMAND,
    type_::COMMAND,
    unlink::COMMAND,
    untorn_write_max::COMMAND,
    uuid::COMMAND,
    version::COMMAND,
    write::COMMAND,
];

/// The commands that this session knows.
pub fn known(session: &Session) -> impl Iterator<Item = &'static Command> {
    let expert = session.expert;
    COMMANDS.iter().filter(move |command| expert || !command.expert)
}

/// The command with this name.
///
/// # Errors
///
/// An error is returned if this session knows none.
pub fn find(session: &Session, name: &str) -> Result<&'static Command> {
    let named = |command: &&Command| command.name == name || command.alias == Some(name);
    known(session).find(named).ok_or_else(|| anyhow!("command {name} not found"))
}

/// Runs one line of input; returns what it prints. An empty line does nothing.
///
/// # Errors
///
/// An error is returned if there is no such command, or it fails.
pub fn run(session: &mut Session, line: &str) -> Result<String> {
    run_words(session, &split(line))
}

/// Runs a command with its arguments; returns what it prints.
///
/// # Errors
///
/// As [`run`].
pub fn run_words(session: &mut Session, words: &[&str]) -> Result<String> {
    let Some((name, args)) = words.split_first() else { return Ok(String::new()) };
    let command = find(session, name)?;
    check_count(command, args.len())?;
    (command.run)(session, args)
}

fn check_count(command: &Command, count: usize) -> Result<()> {
    let (min, name) = (command.min_args, command.name);
    let fits = count >= min && command.max_args.is_none_or(|max| count <= max);
    if fits {
        return Ok(());
    }
    let expected = match command.max_args {
        None => format!("at least {min}"),
        Some(max) if max == min => format!("{min}"),
        Some(max) => format!("between {min} and {max}"),
    };
    Err(anyhow!("bad argument count {count} to {name}, expected {expected} arguments"))
}

/// The words of a line, as xfs_db 7.2 has them: double quotes keep spaces together and stay
/// part of the word; a backslash before a quote takes its meaning away and stays, too.
fn split(line: &str) -> Vec<&str> {
    let mut quoted = false;
    let mut before = ' ';
    let between = |c: char| {
        quoted ^= c == '"' && before != '\\';
        before = c;
        c.is_ascii_whitespace() && !quoted
    };
    line.split(between).filter(|word| !word.is_empty()).collect()
}

/// A number as C's strtoull reads it: decimal, octal with leading 0, hexadecimal with 0x;
/// a minus sign counts back from 2^64.
pub fn number(text: &str) -> Option<u64> {
    if let Some(negative) = text.strip_prefix('-') {
        let starts = negative.starts_with(|c: char| c.is_ascii_digit());
        return number(negative).filter(|_| starts).map(u64::wrapping_neg);
    }
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(hex, 16).ok();
    }
    if text.len() > 1 && text.starts_with('0') {
        return u64::from_str_radix(text, 8).ok();
    }
    text.parse().ok()
}

/// A number as C's atoi reads it: decimal digits at the start, a sign before them; 0 if
/// there are none.
pub fn decimal(text: &str) -> i64 {
    let unsigned = text.trim_start().trim_start_matches(['+', '-']);
    let end = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
    let value = unsigned.get(..end).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    if text.trim_start().starts_with('-') { -value } else { value }
}

/// Moves the cursor to a header of the allocation group in `args`, or of the current one.
fn go_header(session: &mut Session, args: &[&str], kind: Type, sector: u64) -> Result<String> {
    if let Some(text) = args.first() {
        let agno = number(text).and_then(|n| u32::try_from(n).ok());
        let agno = agno.filter(|&agno| agno < session.geo.ag_count);
        session.agno = agno.ok_or_else(|| anyhow!("bad allocation group number {text}"))?;
    }
    let daddr = session.geo.ag_daddr(session.agno, sector * session.geo.daddrs_per_sector());
    session.go(kind, daddr, session.geo.sector_size as usize)?;
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_unique() {
        assert!(COMMANDS.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn words() {
        assert_eq!(split(r#"  p "a  b" c\ d "" "#), ["p", r#""a  b""#, r"c\", "d", r#""""#]);
        assert_eq!(split(r#"\"x y  x"y z"w "e  f"#), [r#"\"x"#, "y", r#"x"y z"w"#, r#""e  f"#]);
        assert!(split(" \t").is_empty());
    }

    #[test]
    fn decimals() {
        assert_eq!(decimal(" 12x"), 12);
        assert_eq!(decimal("-3"), -3);
        assert_eq!(decimal("0x10"), 0);
        assert_eq!(decimal("x"), 0);
    }

    #[test]
    fn numbers() {
        assert_eq!(number("010"), Some(8));
        assert_eq!(number("0x1F"), Some(31));
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("-1"), Some(u64::MAX));
        assert_eq!(number("--1"), None);
        assert_eq!(number(""), None);
    }
}
