//! The log: records, head and tail, reading, recovery, and writing.

pub mod writer;
