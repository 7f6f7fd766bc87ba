//! The data path and the namespace: what programs do with files.

pub mod exchange;
