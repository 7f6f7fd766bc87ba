//! What the process's environment says: the reproducible build variables, and the machine.

use libfs::format::inode::Timestamp;

use crate::usage::PROGRAM;

/// Generation number of inodes when DETERMINISTIC_SEED is 1: "SEED".
const DETERMINISTIC_GENERATION: u32 = 0x5345_4544;

/// What a new filesystem takes from around it.
#[derive(Debug, Clone, Copy)]
pub struct Environment {
    /// Time for every timestamp: SOURCE_DATE_EPOCH or now.
    pub time: Timestamp,
    /// Generation number of new inodes: random unless DETERMINISTIC_SEED is 1.
    pub generation: u32,
    /// The Linux filesystem test suite runs, which makes filesystems too small for others.
    pub under_fstests: bool,
}

impl Environment {
    /// Reads the environment.
    pub fn read() -> Self {
        let time = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|words| epoch(&words));
        let seeded = std::env::var_os("DETERMINISTIC_SEED").is_some_and(|value| value == "1");
        let set = |name| std::env::var_os(name).is_some();
        Self {
            time: time.unwrap_or_else(now),
            generation: if seeded { DETERMINISTIC_GENERATION } else { random() },
            under_fstests: set("TEST_DIR") && set("TEST_DEV") && set("QA_CHECK_FS"),
        }
    }
}

/// Seconds since 1970 in decimal; an empty variable is as good as none.
fn epoch(words: &str) -> Option<Timestamp> {
    if words.is_empty() {
        return None;
    }
    match words.trim_start().parse() {
        Ok(seconds) => Some(Timestamp { seconds, nanos: 0 }),
        Err(_) => {
            eprintln!("{PROGRAM}: SOURCE_DATE_EPOCH '{words}' invalid timestamp, ignoring.");
            None
        }
    }
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let since = since.unwrap_or_default();
    Timestamp { seconds: since.as_secs() as i64, nanos: since.subsec_nanos() }
}

fn random() -> u32 {
    let [a, b, c, d, ..] = uuid::Uuid::new_v4().into_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// CPUs that are online.
pub fn cpus() -> u32 {
    std::thread::available_parallelism().map_or(0, |count| count.get() as u32)
}
