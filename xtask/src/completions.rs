//! Completions for shells: options from clap's definitions, and behind options that take
//! them, names of commands and suboptions.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::Command;
use clap::builder::PossibleValuesParser;
use clap_complete::{Shell, generate_to};

use crate::man::commands;
use crate::programs::{PROGRAMS, Program};

/// Each shell, and where below `share` it looks for completions.
const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions"),
    (Shell::Zsh, "zsh/site-functions"),
    (Shell::Fish, "fish/vendor_completions.d"),
];

/// Writes completions of every program for every shell below `share`.
///
/// # Errors
///
/// When a file cannot be written.
pub fn install(share: &Path) -> Result<()> {
    for (shell, place) in SHELLS {
        let directory = share.join(place);
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        for program in PROGRAMS {
            let path = generate_to(shell, &mut completed(program), program.name, &directory)?;
            // bash looks for a file of the program's own name.
            if shell == Shell::Bash {
                fs::rename(&path, directory.join(program.name))?;
            }
        }
    }
    Ok(())
}

/// A program's options with the words that can follow them.
fn completed(program: &Program) -> Command {
    let names: Vec<&str> = commands::of(program.name).iter().map(|entry| entry.name).collect();
    // The help of some programs is not clap's, and completions do not need it.
    (program.options)().override_help("").mut_args(|arg| {
        let words = match arg.get_id().as_str() {
            "commands" | "each" | "current" => names.clone(),
            letter if program.name == "mkfs.xfs" => suboptions(letter),
            _ => Vec::new(),
        };
        if words.is_empty() { arg } else { arg.value_parser(PossibleValuesParser::new(words)) }
    })
}

/// The suboptions of one of mkfs.xfs's options.
fn suboptions(letter: &str) -> Vec<&'static str> {
    let of_letter = mkfs::suboptions::TABLE.iter().filter(|o| o.letter.to_string() == letter);
    of_letter.map(|option| option.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_commands_and_suboptions() {
        let share = tempfile::tempdir().unwrap();
        install(share.path()).unwrap();
        for (shell, place) in SHELLS {
            let directory = share.path().join(place);
            let all = fs::read_dir(&directory).unwrap();
            let text: String =
                all.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
            for word in ["exchangerange", "freesp", "agcount", "rmapbt"] {
                assert!(text.contains(word), "{shell} does not know {word}");
            }
        }
        let bash = share.path().join("bash-completion/completions/xfs_db");
        let parsed = std::process::Command::new("bash").arg("-n").arg(bash).status().unwrap();
        assert!(parsed.success());
    }
}
