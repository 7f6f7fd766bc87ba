//! `agfl`: move to the free list of an allocation group.

use super::{Command, go_header};
use crate::types::Type;

/// The command.
pub const COMMAND: Command = Command {
    name: "agfl",
    alias: None,
    min_args: 0,
    max_args: Some(1),
    expert: false,
    args: "[agno]",
    summary: "set address to agfl block",
    help: "\
Moves to the free list of allocation group agno, or of the current group
without an argument, and prints its fields with `print`. The group stays current.
",
    run: |session, args| go_header(session, args, Type::Agfl, 3),
};
