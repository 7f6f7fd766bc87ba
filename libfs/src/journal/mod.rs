//! The log: where it begins and ends, what it holds, and how it is replayed.
//!
//! The log is a ring of 512-byte blocks. Each pass over the ring is a cycle; the blocks
//! of a record carry the cycle they were written in, so the place where the cycle drops
//! by one is the *head*, where the next record goes. The last record before it names the
//! *tail*, the first record that recovery needs.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`area`] | blocks of the ring, wherever it lies |
//! | [`record`] | one record, checked and unstamped; walking from record to record |
//! | [`head`] | finds head and tail, torn records at the head included |
//! | [`reader`] | puts transactions together out of the records' operations |
//! //! | [`recovery`] | replays them |
//! | [`writer`] | writes checkpoints |
//! | [`format`] | makes a log anew |
//! | [`clear`] | empties the log, or closes it with an unmount record |

pub mod area;
pub mod clear;
pub mod format;
pub mod head;
pub mod reader;
pub mod record;
pub mod recovery;
pub mod writer;

pub use area::{LogArea, LogPlace};
pub use clear::{clear_stale_blocks, write_unmount_record, zero_log};
pub use format::{NewLog, format_log};
pub use head::{LogEnds, LogState, find_ends};
pub use reader::{RecoveredTransaction, TransactionReader};
pub use record::{Record, RecordReader};
