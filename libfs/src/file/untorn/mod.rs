//! Untorn writes: after an error or a power cut all of the data is there or none of it
//! (RWF_ATOMIC of `pwritev2(2)`).

mod limits;

pub use limits::{AtomicLimits, limits};
