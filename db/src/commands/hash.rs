//! `hash`: the hash of a name.

use super::Command;
use libfs::format::dir::hash_name;

/// The command.
pub const COMMAND: Command = Command {
    name: "hash",
    alias: None,
    min_args: 1,
    max_args: None,
    expert: false,
    args: "string",
    summary: "calculate hash value",
    help: "\
Prints the hash by which directories and attributes index a name.
",
    run: |_, args| {
        Ok(args.iter().map(|name| format!("{:#x}\n", hash_name(name.as_bytes()))).collect())
    },
};
