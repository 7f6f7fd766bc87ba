//! What attributes need of their fork beside blocks: large values.

use crate::Result;
use crate::dir::store::{Store, StoreMut};
use crate::format::attr::remote::RemoteHeader;

/// An attribute fork that can be read.
pub(crate) trait ValueRead: Store {
    /// Reads a value of `len` bytes whose blocks begin at file block `bno`.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] if a block is missing or is not part of such a value.
    fn read_value(&mut self, bno: u64, len: u32) -> Result<Vec<u8>>;
}

/// An attribute fork that can be changed.
pub(crate) trait ValueWrite: ValueRead + StoreMut {
    /// Allocates one run of at most `blocks` blocks at file block `bno`. Gives its length.
    fn allocate_value(&mut self, bno: u64, blocks: u64) -> Result<u64>;

    /// Writes `part` of a value, which begins `offset` bytes into it, to file block `bno`
    /// at once: it is not logged.
    fn write_value(&mut self, bno: u64, offset: u32, part: &[u8]) -> Result<()>;

    /// Frees blocks from `bno` on, as many as one transaction can; whether all are free.
    fn free_value(&mut self, bno: u64, blocks: u64) -> Result<bool>;

    /// The first file block from which so many are not mapped.
    fn unused_run(&mut self, blocks: u64) -> Result<u64>;

    /// Removes the fork, which must be empty.
    fn remove_fork(&mut self) -> Result<()>;
}

/// Blocks that a remote value takes.
pub(crate) fn value_blocks(len: usize, block_size: usize) -> u64 {
    RemoteHeader::blocks_for(len as u32, block_size as u32).into()
}

#[cfg(test)]
mod memory {
    use super::*;
    use crate::buffer::BufferKind;
    use crate::dir::store::memory::MemoryStore;

    const HEADER: usize = size_of::<RemoteHeader>();

    impl ValueRead for MemoryStore {
        fn read_value(&mut self, bno: u64, len: u32) -> Result<Vec<u8>> {
            let mut value = Vec::new();
            for i in 0..value_blocks(len as usize, self.params.block_size) {
                let (kind, bytes) = &self.blocks[&(bno + i)];
                assert_eq!(*kind, BufferKind::AttrRemote);
                value.extend_from_slice(&bytes[HEADER..]);
            }
            value.truncate(len as usize);
            Ok(value)
        }
    }

    impl ValueWrite for MemoryStore {
        fn allocate_value(&mut self, bno: u64, blocks: u64) -> Result<u64> {
            let count = blocks.min(3);
            for i in 0..count {
                let block = vec![0xee; self.params.block_size];
                assert!(self.blocks.insert(bno + i, (BufferKind::AttrRemote, block)).is_none());
            }
            Ok(count)
        }

        fn write_value(&mut self, bno: u64, offset: u32, part: &[u8]) -> Result<()> {
            assert_eq!(offset as usize % (self.params.block_size - HEADER), 0);
            let (_, bytes) = self.blocks.get_mut(&bno).unwrap();
            bytes[HEADER..HEADER + part.len()].copy_from_slice(part);
            Ok(())
        }

        fn free_value(&mut self, bno: u64, blocks: u64) -> Result<bool> {
            let left: Vec<u64> = self.blocks.range(bno..bno + blocks).map(|(k, _)| *k).collect();
            for bno in left.iter().rev().take(4) {
                self.blocks.remove(bno);
            }
            Ok(left.len() <= 4)
        }

        fn unused_run(&mut self, blocks: u64) -> Result<u64> {
            let mut at = 0;
            while let Some((bno, _)) = self.blocks.range(at..at + blocks).next_back() {
                at = bno + 1;
            }
            Ok(at)
        }

        fn remove_fork(&mut self) -> Result<()> {
            assert!(self.blocks.is_empty());
            self.inline = None;
            Ok(())
        }
    }
}
