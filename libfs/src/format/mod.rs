//! Every on-disk structure, as data: layout, constants, checksums, verifiers and
//! geometry arithmetic. Nothing here does I/O, and nothing here panics on any input.

pub mod log;
pub mod log_reservation;
