//! The commands of a program that has a prompt, from its own table.

use std::fmt::Write;

use super::help_text::{escape, roff};

/// One command, as every program describes it.
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// A shorter one.
    alias: Option<&'static str>,
    usage: &'static str,
    summary: &'static str,
    help: &'static str,
    expert: bool,
}

/// The commands of the program `name`; none if it has no prompt.
pub fn of(name: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = match name {
        "xfs_db" => db::commands::COMMANDS.iter().map(of_db).collect(),
        "xfs_io" => io::commands::TABLE.iter().map(of_io).collect(),
        _ => Vec::new(),
    };
    entries.sort_by_key(|entry| entry.name);
    entries
}

fn of_db(command: &db::commands::Command) -> Entry {
    let db::commands::Command { name, alias, args, summary, help, expert, .. } = *command;
    Entry { name, alias, usage: args, summary, help, expert }
}

fn of_io(command: &io::commands::Command) -> Entry {
    let io::commands::Command { name, alias, usage, summary, help, expert, .. } = *command;
    Entry { name, alias, usage, summary, help, expert }
}

/// All of them in roff.
pub fn section(entries: &[Entry]) -> String {
    let mut out = String::new();
    for entry in entries {
        let usage = escape(entry.usage);
        let _ = writeln!(out, ".TP\n\\fB{}\\fR {usage}", escape(entry.name));
        let mut first = escape(entry.summary.trim_end_matches('.'));
        if let Some(letter) = first.get_mut(..1) {
            letter.make_ascii_uppercase();
        }
        let _ = write!(out, "{first}.");
        if let Some(alias) = entry.alias {
            let _ = write!(out, " Short: \\fB{}\\fR.", escape(alias));
        }
        if entry.expert {
            out.push_str(" Expert mode only.");
        }
        out.push('\n');
        out.push_str(&roff(entry.help));
    }
    out
}
