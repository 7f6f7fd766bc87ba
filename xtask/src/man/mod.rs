//! `cargo xtask man`: the manual pages, out of prose (`man/NAME.8.in`) and of what the
//! programs themselves say of their options and commands.
//!
//! A line of the prose that is one of these stands for what is generated:
//!
//! * `@OPTIONS@`: the section on options, from clap's definition;
//! * `@COMMANDS@`: all commands, from the program's table of commands;
//! * `@SUBOPTIONS x@`: the suboptions of mkfs.xfs's option `-x`, from its table.

pub mod commands;
mod help_text;
mod suboptions;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use clap::Command;
use clap_mangen::Man;

use crate::programs::PROGRAMS;
use crate::shell::{step, workspace};

/// Writes every page to `directory`.
///
/// # Errors
///
/// When a page cannot be made or written.
pub fn run(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    for program in PROGRAMS {
        let path = directory.join(format!("{}.8", program.name));
        fs::write(&path, page(program.name, &(program.options)())?)
            .with_context(|| path.display().to_string())?;
        step(&format!("wrote {}", path.display()));
    }
    Ok(())
}

/// The page of the program `name` in roff.
fn page(name: &str, options: &Command) -> Result<String> {
    let path = workspace().join("man").join(format!("{name}.8.in"));
    let prose = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut out = String::from(".\\\" Made by `cargo xtask man`; the prose is in man/.\n");
    for line in prose.lines() {
        match line.strip_prefix('@').and_then(|rest| rest.strip_suffix('@')) {
            None => out.push_str(line),
            Some(what) => out.push_str(generated(name, what, options)?.trim_end()),
        }
        out.push('\n');
    }
    Ok(out)
}

/// What a line of the prose between two `@` stands for.
fn generated(name: &str, what: &str, options: &Command) -> Result<String> {
    match (what.split_once(' '), what) {
        (None, "OPTIONS") => options_section(options),
        (None, "COMMANDS") => {
            let entries = commands::of(name);
            ensure!(!entries.is_empty(), "{name} has no table of commands");
            Ok(commands::section(&entries))
        }
        (Some(("SUBOPTIONS", letter)), _) => suboptions::section(letter),
        _ => bail!("the manual page of {name} asks for {what}, which nothing makes"),
    }
}

/// The options that are plain, as clap defines them. Those with suboptions have sections of
/// their own.
fn options_section(options: &Command) -> Result<String> {
    let plain = options.clone().mut_args(|arg| {
        let grouped = arg.get_value_names().is_some_and(|names| names == [mkfs::cli::SUBOPTIONS]);
        arg.hide(grouped)
    });
    let mut roff = Vec::new();
    Man::new(plain).render_options_section(&mut roff)?;
    Ok(String::from_utf8(roff)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command as Process, Stdio};

    #[test]
    fn every_page_can_be_made_and_names_what_is_in_the_tables() {
        for program in PROGRAMS {
            let page = page(program.name, &(program.options)()).unwrap();
            assert!(page.contains(".SH NAME"), "{}", program.name);
            for command in commands::of(program.name) {
                let name = help_text::escape(command.name);
                assert!(page.contains(&format!("\\fB{name}\\fR")), "{name}");
            }
        }
    }

    #[test]
    fn groff_has_nothing_to_complain_of() {
        let groff = || Process::new("groff");
        if groff().arg("--version").stdout(Stdio::null()).status().is_err() {
            return ::tests::skip::say("no groff: manual pages were not formatted");
        }
        for program in PROGRAMS {
            let page = page(program.name, &(program.options)()).unwrap();
            let mut child = groff()
                .args(["-man", "-Tutf8", "-ww", "-z"])
                .stdin(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
            let complaints = child.wait_with_output().unwrap().stderr;
            assert_eq!(String::from_utf8_lossy(&complaints), "", "{}", program.name);
        }
    }
}
