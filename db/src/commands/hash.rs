//! `hash`: the hash of a name.

use super::Command;
use libfs::format::dir::hash_name;

/// The command.
pub const COMMAND: Command = Command {
    name: "hash",
    alias: None,
    min_args: 1,
    max_args: Some(1),
    args: "string",
    summary: "calculate hash value",
    help: "\
Prints the hash by which directories and attributes index a name.
",
    run: |_, args| {
        let name = args.first().copied().unwrap_or_default();
        Ok(format!("{:#x}\n", hash_name(name.as_bytes())))
    },
};
