//! A directory: its entries and the links that they are.

use super::Count;
use libfs::At;
use libfs::format::dir::data::{self, DataBlock, Item};
use libfs::format::dir::shortform::ShortForm;
use libfs::format::extent::Extent;
use libfs::format::geometry::{Fork, FsBlock, Ino};
use libfs::format::inode::ForkFormat;
use libfs::scan::Inode;

use super::groups::alternate_hex;

/// What is found in a directory besides its entries.
#[derive(Default)]
struct Dots {
    /// There is an entry `.`.
    dot: bool,
    /// What `..` stands for.
    parent: Option<Ino>,
}

impl Count<'_> {
    /// Counts the entries of a directory, whose blocks are in `extents`.
    pub(super) fn directory(&mut self, inode: &Inode<'_>, extents: &[Extent]) {
        let (ino, core) = (inode.ino, inode.core);
        let mut dots = Dots::default();
        let format = inode.fork_format(Fork::Data);
        let size = core.size.get();
        let whole = u64::from(self.geo.dir.block_size);
        if format == Some(ForkFormat::Local) {
            self.short_directory(inode, &mut dots);
        } else if size > whole && !size.is_multiple_of(whole) {
            let format = core.format;
            return self.report.complain(format_args!(
                "bad size ({size}) or format ({format}) for directory inode {ino}"
            ));
        } else {
            // Only a directory of one block may have no index of its own.
            let ends = extents.last().map_or(0, Extent::end);
            let is_large = ends > u64::from(self.geo.dir.fs_blocks);
            self.directory_blocks(ino, extents, is_large, &mut dots);
        }
        self.check_dots(ino, &dots);
    }

    fn check_dots(&mut self, ino: Ino, dots: &Dots) {
        if !dots.dot {
            self.report.complain(format_args!("no . entry for directory {ino}"));
        }
        let Some(parent) = dots.parent else {
            return self.report.complain(format_args!("no .. entry for directory {ino}"));
        };
        let is_root = ino == self.geo.root_ino || ino == self.geo.metadir_ino;
        if parent == ino && !is_root {
            self.report.complain(format_args!(". and .. same for non-root directory {ino}"));
        } else if parent != ino && ino == self.geo.root_ino {
            self.report.complain(format_args!("root directory {ino} has .. {parent}"));
        } else if parent != ino && self.report.tells_inode(ino) {
            self.report.say(format_args!("inode {ino} parent {parent}"));
        }
    }

    /// A directory in its inode: `.` is implied, `..` comes last.
    fn short_directory(&mut self, inode: &Inode<'_>, dots: &mut Dots) {
        let ino = inode.ino;
        let space = inode.core.data_fork(inode.bytes);
        let found = ShortForm::decode(space, inode.core.size.get(), self.geo.features.ftype, ino);
        dots.dot = true;
        self.link(ino);
        if self.report.tells_inode(ino) {
            self.report.say(format_args!("dir {ino} entry . {ino}"));
        }
        let form = match found {
            Ok(form) => form,
            Err(error) => {
                dots.parent = Some(ino);
                return self.report.complain(format_args!("dir {ino} {error}"));
            }
        };
        for entry in &form.entries {
            if !self.can_be(entry.ino) {
                let tail = format_args!(" bad inode number {}", entry.ino);
                self.report.complain_of_name(format_args!("dir {ino} entry "), &entry.name, tail);
                continue;
            }
            self.link(entry.ino);
            self.usage.inodes.add_name(entry.ino, ino, &entry.name);
            if self.report.tells_inode(ino) {
                let tail = format_args!(" offset {} {}", entry.offset, entry.ino);
                self.report.say_name(format_args!("dir {ino} entry "), &entry.name, tail);
            }
        }
        let parent = form.parent;
        if self.can_be(parent) {
            self.link(parent);
        }
        if self.report.tells_inode(ino) {
            self.report.say(format_args!("dir {ino} entry .. {parent}"));
        }
        dots.parent = Some(parent);
    }

    fn directory_blocks(&mut self, ino: Ino, extents: &[Extent], is_large: bool, dots: &mut Dots) {
        let per_block = u64::from(self.geo.dir.fs_blocks);
        let size = self.geo.block_size as usize;
        let mut bytes = vec![0; self.geo.dir.block_size as usize];
        let mut whole = 0;
        let blocks = extents.iter().flat_map(|extent| {
            (0..extent.len).map(move |step| (extent.offset + step, extent.start.0 + step))
        });
        for (offset, block) in blocks {
            let (place, part) = (FsBlock(block), offset % per_block);
            if part == 0 {
                whole = 0;
            }
            if is_large && part == 0 && self.report.tells_inode(ino) {
                self.report.say(format_args!("dir inode {ino} block {offset}={place}"));
            }
            if offset >= self.geo.dir.leaf_block {
                continue;
            }
            // Pieces of a block come one after the other.
            if part != whole {
                continue;
            }
            let at = part as usize * size;
            let piece = bytes.get_mut(at..at + size).unwrap_or_default();
            if self.scanner.read(self.geo.fsblock_daddr(place), piece).is_err() {
                let line = format_args!("can't read block {offset} for directory inode {ino}");
                self.report.complain_seriously(line);
                continue;
            }
            whole += 1;
            if whole == per_block {
                self.directory_block(ino, offset + 1 - per_block, &bytes, dots);
            }
        }
    }

    fn directory_block(&mut self, ino: Ino, block: u64, bytes: &[u8], dots: &mut Dots) {
        let view = match DataBlock::view(bytes, self.geo.features.ftype, At::Inode(ino.0)) {
            Ok(view) => view,
            Err(error) => {
                return self.report.complain(format_args!("dir {ino} block {block} {error}"));
            }
        };
        let magic = view.header.hdr.magic.get();
        if ![data::BLOCK_MAGIC, data::DATA_MAGIC].contains(&magic) {
            self.report.complain(format_args!("Unknown directory buffer type!"));
            let magic = alternate_hex(magic);
            return self.report.complain(format_args!(
                "bad directory data magic # {magic} for dir ino {ino} block {block}"
            ));
        }
        for item in view.items() {
            match item {
                Ok(Item::Entry(entry)) => self.entry(ino, block, entry.name, entry.ino, dots),
                Ok(Item::Hole(_)) => {}
                Err(error) => {
                    self.report.complain(format_args!("dir {ino} block {block} {error}"));
                }
            }
        }
    }

    fn entry(&mut self, dir: Ino, block: u64, name: &[u8], ino: Ino, dots: &mut Dots) {
        let head = format_args!("dir {dir} block {block} entry ");
        if self.report.tells_inode(dir) {
            self.report.say_name(head, name, format_args!(" {ino}"));
        }
        if !self.can_be(ino) {
            let tail = format_args!(" bad inode number {ino}");
            return self.report.complain_of_name(head, name, tail);
        }
        self.link(ino);
        match name {
            b"." => {
                dots.dot = true;
                if ino != dir {
                    self.report
                        .complain(format_args!("dir {dir} entry . inode number mismatch ({ino})"));
                }
            }
            b".." => dots.parent = Some(ino),
            _ => self.usage.inodes.add_name(ino, dir, name),
        }
    }

    /// Whether there can be an inode of this number.
    fn can_be(&self, ino: Ino) -> bool {
        let (agno, agino) = self.geo.ino_parts(ino);
        agno < self.geo.ag_count && self.geo.agino_agbno(agino) < self.geo.ag_blocks && agino != 0
    }

    /// Counts a link.
    pub(super) fn link(&mut self, ino: Ino) {
        if !self.tracks_inodes {
            return;
        }
        let info = self.usage.inodes.get(ino);
        info.links = info.links.saturating_add(1);
        let links = info.links;
        if self.report.tells_inode(ino) {
            self.report.say(format_args!("inode {ino} add link, now {links}"));
        }
    }
}
