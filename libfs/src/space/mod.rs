//! Allocation groups: free space, reverse mapping, reference counts.

pub mod extent_free;
pub mod refcount;
pub mod rmap;

/// State of one allocation group in memory.
#[derive(Debug)]
pub struct PerAg {
    /// Its number.
    pub agno: u32,
}

impl PerAg {
    /// The state before anything was read.
    pub fn new(agno: u32) -> Self {
        Self { agno }
    }

    /// A checkpoint is durable: what was freed before it may be used again.
    pub(crate) fn checkpoint_done(&mut self) {}
}
