//! What commands print for programs rather than people: one document to a command, all in
//! the same envelope. `db/schema/` has a JSON Schema of each.

use crate::session::Session;
use serde_json::{Value, json};

/// Version of all documents; a change that a reader could notice raises it.
pub const VERSION: u32 = 1;

/// Whether JSON is asked for, by `xfs_db --json` or by `--json` among the command's own
/// arguments, from which it is taken away.
pub fn wanted(session: &Session, args: &mut Vec<&str>) -> bool {
    let count = args.len();
    args.retain(|arg| *arg != "--json");
    session.json || args.len() < count
}

/// The document that `command` prints `data` as, on a line of its own.
pub fn document(command: &str, data: &Value) -> String {
    let document =
        json!({ "schema": "xfs_db", "version": VERSION, "command": command, "data": data });
    format!("{document}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_names_command_and_version() {
        let text = document("info", &json!({ "blocks": 1 }));
        let back: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back["command"], "info");
        assert_eq!(back["version"], VERSION);
        assert_eq!(back["data"]["blocks"], 1);
    }
}
