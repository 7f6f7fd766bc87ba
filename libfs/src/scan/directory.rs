//! The entries of directories.

use super::{Inode, Scanner};
use crate::format::dir::data::{self, DataBlock, Item};
use crate::format::dir::shortform::ShortForm;
use crate::format::extent::Extent;
use crate::format::geometry::{Fork, FsBlock, Ino};
use crate::format::inode::ForkFormat;
use crate::format::{checksum, dir};
use crate::{At, Result};

/// A name in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'b> {
    /// The name.
    pub name: &'b [u8],
    /// The inode that it stands for.
    pub ino: Ino,
    /// Number of a [`dir::FileType`].
    pub ftype: u8,
}

impl Scanner<'_> {
    /// Visits the entries of a directory, `.` and `..` included where they are on disk: not
    /// in a directory that fits in its inode, whose `..` is given all the same.
    ///
    /// # Errors
    ///
    /// An error is returned if the device fails, `visit` returns one, or something is damaged
    /// (see the [module](super)).
    pub fn entries(
        &self,
        inode: &Inode<'_>,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        if inode.fork_format(Fork::Data) == Some(ForkFormat::Local) {
            let space = inode.core.data_fork(inode.bytes);
            let ftype = self.geo.features.ftype;
            let found = ShortForm::decode(space, inode.core.size.get(), ftype, inode.ino);
            let Some(found) = self.or_report(found)? else { return Ok(()) };
            let directory = dir::FileType::Directory.to_disk();
            visit(Entry { name: b"..", ino: found.parent, ftype: directory })?;
            for entry in &found.entries {
                visit(Entry { name: &entry.name, ino: entry.ino, ftype: entry.ftype })?;
            }
            return Ok(());
        }
        let mut block = Gather { bytes: Vec::new(), next: 0, daddr: 0 };
        self.fork_extents(inode, Fork::Data, &mut |extent| self.gather(extent, &mut block, visit))
    }

    /// Reads the blocks of entries that an extent holds. A directory block may be in pieces.
    fn gather(
        &self,
        extent: Extent,
        block: &mut Gather,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        let end = extent.end().min(self.geo.dir.leaf_block);
        let size = self.geo.block_size as usize;
        let whole = self.geo.dir.block_size as usize;
        let per_block = u64::from(self.geo.dir.fs_blocks);
        for offset in extent.offset..end {
            let place = FsBlock(extent.start.0.wrapping_add(offset.wrapping_sub(extent.offset)));
            let daddr = self.geo.fsblock_daddr(place);
            if offset % per_block == 0 {
                block.bytes.clear();
                block.daddr = daddr;
            } else if block.next != offset {
                continue;
            }
            block.next = offset.wrapping_add(1);
            let start = block.bytes.len();
            block.bytes.resize(start.saturating_add(size).min(whole), 0);
            let part = block.bytes.get_mut(start..).unwrap_or_default();
            if self.or_report(self.read(daddr, part))?.is_none() {
                block.next = 0;
                continue;
            }
            if block.bytes.len() == whole {
                self.block_entries(block, visit)?;
            }
        }
        Ok(())
    }

    fn block_entries(
        &self,
        block: &Gather,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        let at = At::Daddr(block.daddr);
        let summed = checksum::check(&block.bytes, dir::CRC_OFFSET, "directory data block", at);
        self.or_report(summed)?;
        let view = DataBlock::view(&block.bytes, self.geo.features.ftype, at).and_then(|view| {
            let magic = view.header.hdr.magic.get();
            if [data::BLOCK_MAGIC, data::DATA_MAGIC].contains(&magic) {
                return Ok(view);
            }
            let why = format!("magic {magic:#x}");
            Err(crate::Error::corrupt("directory data block", at, why))
        });
        let Some(view) = self.or_report(view)? else { return Ok(()) };
        for item in view.items() {
            if let Some(Item::Entry(entry)) = self.or_report(item)? {
                visit(Entry { name: entry.name, ino: entry.ino, ftype: entry.ftype })?;
            }
        }
        Ok(())
    }
}

/// A directory block that is being put together.
struct Gather {
    bytes: Vec<u8>,
    /// File block that must come next.
    next: u64,
    /// Disk address of the first piece.
    daddr: u64,
}
