//! An inode: its core, the extents of its forks, and what its file holds.

use super::Count;
use super::blocks::Kind;
use super::claim::Space;
use super::groups::alternate_hex;
use libfs::At;
use libfs::format::btree_block::{BtreeKind, Header};
use libfs::format::btree_record::InodeChunk;
use libfs::format::extent::{self, DiskExtent, Extent, RootHeader};
use libfs::format::geometry::{Fork, FsBlock, INODES_PER_CHUNK, Ino};
use libfs::format::inode::{DiFlags, DiFlags2, Dinode, ForkFormat, MAGIC, mode};
use libfs::format::overlay;
use libfs::scan::Inode;
use std::collections::HashSet;

/// A fork whose extents are counted.
pub struct ForkCount {
    /// The inode.
    pub ino: Ino,
    fork: Fork,
    /// What its blocks are used for.
    kind: Kind,
    /// Blocks, those of the btree included.
    blocks: u64,
    extents: u64,
    /// End of the extent before, in the file.
    end: u64,
    /// Extents to look into afterwards: of directories and of the realtime bitmap.
    kept: Option<Vec<Extent>>,
    /// The root of the btree could be walked.
    has_root: bool,
    seen: HashSet<FsBlock>,
}

fn fork_name(fork: Fork) -> &'static str {
    if fork == Fork::Data { "data" } else { "attr" }
}

/// Flags that are told of an inode, in order.
const FLAGS: [(DiFlags, &str); 8] = [
    (DiFlags::REALTIME, "rt"),
    (DiFlags::PREALLOC, "pre"),
    (DiFlags::IMMUTABLE, "imm"),
    (DiFlags::APPEND, "app"),
    (DiFlags::SYNC, "syn"),
    (DiFlags::NOATIME, "noa"),
    (DiFlags::NODUMP, "nod"),
    (DiFlags::empty(), ""),
];

impl Count<'_> {
    /// Counts `count` inodes of a chunk from its inode `start` on.
    pub(super) fn inode_buffer(&mut self, agno: u32, chunk: &InodeChunk, start: u32, count: u32) {
        let first = chunk.startino.wrapping_add(start);
        let size = self.geo.inode.size as usize;
        let count = count.min(INODES_PER_CHUNK - start.min(INODES_PER_CHUNK));
        let mut bytes = vec![0; count as usize * size];
        let offset = u64::from(self.geo.agino_offset(first)) << self.geo.inode.size_log;
        let daddr = self.geo.agblock_daddr(agno, self.geo.agino_agbno(first)) + (offset >> 9);
        if self.scanner.read(daddr, &mut bytes).is_err() {
            let block = self.geo.agino_agbno(first);
            let line = format_args!("can't read inode block {agno}/{block}");
            return self.report.complain_seriously(line);
        }
        for (index, bytes) in bytes.chunks_exact(size).enumerate() {
            let place = start + index as u32;
            let ino = self.geo.ino(agno, chunk.startino.wrapping_add(place));
            let free = chunk.free >> place & 1 != 0;
            if let Ok(inode) = Inode::view(ino, bytes) {
                self.inode(&inode, free);
            }
        }
    }

    fn inode(&mut self, inode: &Inode<'_>, free: bool) {
        let (ino, core) = (inode.ino, inode.core);
        if core.magic.get() != MAGIC {
            let magic = alternate_hex(core.magic.get().into());
            self.report.complain(format_args!("bad magic number {magic} for inode {ino}"));
            return;
        }
        if core.version != 3 {
            let version = alternate_hex(core.version.into());
            self.report.complain(format_args!("bad version number {version} for inode {ino}"));
            return;
        }
        if free {
            return self.free_inode(ino, core);
        }
        if !self.has_possible_format(inode) {
            let (format, kind) = (core.format, core.file_type());
            let kind = if kind == 0 { "0".into() } else { format!("0{kind:o}") };
            self.report.complain(format_args!("bad format {format} for inode {ino} type {kind}"));
            return;
        }
        let room = self.geo.inode.size as usize - libfs::format::inode::CORE_SIZE;
        if usize::from(core.forkoff) * 8 >= room {
            let line = format_args!("bad fork offset {} for inode {ino}", core.forkoff);
            return self.report.complain(line);
        }
        if core.aformat == 0 || core.aformat > 3 {
            let line = format_args!("bad attribute format {} for inode {ino}", core.aformat);
            return self.report.complain(line);
        }
        self.tell_inode(inode);
        // No directory names the filesystem's own files.
        if self.geo.internal_inodes.contains(&ino) {
            self.link(ino);
        }
        self.tell_links(inode);
        let is_dir = core.file_type() == mode::DIR;
        if self.tracks_inodes {
            let info = self.usage.inodes.get(ino);
            info.expected = Some(core.nlink.get());
            info.is_dir = is_dir;
            info.is_special = core.mode.get() & 0o6000 != 0
                || ![mode::DIR, mode::REGULAR, mode::SYMLINK].contains(&core.file_type());
        }
        self.shares_blocks = core.di_flags2().contains(DiFlags2::REFLINK);
        let kind = self.kind_of(inode);
        let keeps = is_dir || kind == Kind::Rtbitmap;
        let data = self.fork(inode, Fork::Data, kind, keeps);
        let attr = self.fork(inode, Fork::Attr, Kind::Attr, false);
        self.check_counts(inode, &data, &attr);
        let extents = data.kept.unwrap_or_default();
        match kind {
            Kind::Dir => self.directory(inode, &extents),
            Kind::Rtbitmap => self.realtime_bitmap(&extents),
            _ => {}
        }
    }

    fn free_inode(&mut self, ino: Ino, core: &Dinode) {
        let (blocks, links, mode) = (core.nblocks.get(), core.nlink.get(), core.mode.get());
        if blocks != 0 {
            self.report.complain(format_args!("bad nblocks {blocks} for free inode {ino}"));
        }
        if links != 0 {
            self.report.complain(format_args!("bad nlink {links} for free inode {ino}"));
        }
        if mode != 0 {
            self.report.complain(format_args!("bad mode 0{mode:o} for free inode {ino}"));
        }
    }

    /// Whether files of this type can have the data fork's format.
    fn has_possible_format(&self, inode: &Inode<'_>) -> bool {
        use ForkFormat::{Btree, Dev, Extents, Local, MetaBtree};
        let Some(format) = inode.core.fork_format(Fork::Data) else { return false };
        match inode.core.file_type() {
            mode::FIFO | mode::CHAR | mode::BLOCK | mode::SOCKET => format == Dev,
            mode::DIR | mode::SYMLINK => [Local, Extents, Btree].contains(&format),
            mode::REGULAR if format == MetaBtree => {
                inode.core.di_flags2().contains(DiFlags2::METADATA)
            }
            mode::REGULAR => [Extents, Btree].contains(&format),
            _ => false,
        }
    }

    fn tell_inode(&mut self, inode: &Inode<'_>) {
        if !self.report.tells_inode(inode.ino) {
            return;
        }
        const FORMATS: [&str; 6] = ["dev", "local", "extents", "btree", "uuid", "meta-btree"];
        let (ino, core) = (inode.ino, inode.core);
        let format = |number: u8| FORMATS.get(usize::from(number)).copied().unwrap_or("unknown");
        let flags =
            FLAGS.iter().filter(|(flag, name)| !name.is_empty() && core.di_flags().contains(*flag));
        let flags: String = flags.map(|(_, name)| format!(" {name}")).collect();
        self.report.say(format_args!(
            "inode {ino} mode 0{:o} fmt {} afmt {} nex {} anex {} nblk {} sz {}{flags}",
            core.mode.get(),
            format(core.format),
            format(core.aformat),
            core.extent_count(Fork::Data),
            core.extent_count(Fork::Attr),
            core.nblocks.get(),
            core.size.get(),
        ));
    }

    fn tell_links(&mut self, inode: &Inode<'_>) {
        if self.report.tells_inode(inode.ino) {
            let (ino, core) = (inode.ino, inode.core);
            let what = if core.file_type() == mode::DIR { "is dir" } else { "not dir" };
            self.report.say(format_args!("inode {ino} nlink {} {what}", core.nlink.get()));
        }
    }

    /// What the blocks of the data fork are used for.
    fn kind_of(&self, inode: &Inode<'_>) -> Kind {
        let own = self.geo.internal_inodes.iter().position(|&ino| ino == inode.ino);
        match (inode.core.file_type(), own) {
            (mode::DIR, _) => Kind::Dir,
            (mode::SYMLINK, _) => Kind::Symlink,
            (_, Some(0)) => Kind::Rtbitmap,
            (_, Some(1)) => Kind::Rtsum,
            (_, Some(_)) => Kind::Quota,
            _ if inode.is_realtime() => Kind::Rtdata,
            _ => Kind::Data,
        }
    }

    fn check_counts(&mut self, inode: &Inode<'_>, data: &ForkCount, attr: &ForkCount) {
        let (ino, core) = (inode.ino, inode.core);
        // Blocks of realtime metadata trees are not in the extents of a fork.
        if inode.fork_format(Fork::Data) == Some(ForkFormat::MetaBtree) {
            return;
        }
        let (claimed, counted) = (core.nblocks.get(), data.blocks + attr.blocks);
        if claimed != counted {
            self.report
                .complain(format_args!("bad nblocks {claimed} for inode {ino}, counted {counted}"));
        }
        for (name, count, fork) in [("nextents", data, Fork::Data), ("anextents", attr, Fork::Attr)]
        {
            let is_tree = inode.fork_format(fork) == Some(ForkFormat::Btree);
            let (claimed, counted) = (core.extent_count(fork), count.extents);
            if is_tree && claimed != counted {
                self.report.complain(format_args!(
                    "bad {name} {claimed} for inode {ino}, counted {counted}"
                ));
            }
        }
    }

    fn fork(&mut self, inode: &Inode<'_>, fork: Fork, kind: Kind, keeps: bool) -> ForkCount {
        let mut count = ForkCount {
            ino: inode.ino,
            fork,
            kind,
            blocks: 0,
            extents: 0,
            end: 0,
            kept: keeps.then(Vec::new),
            has_root: false,
            seen: HashSet::new(),
        };
        let space = inode.core.fork(fork, inode.bytes);
        match inode.fork_format(fork) {
            Some(ForkFormat::Extents) => {
                let number = inode.core.extent_count(fork);
                let records = extent::records(space);
                match usize::try_from(number).ok().and_then(|number| records.get(..number)) {
                    Some(records) => self.extents(&mut count, records),
                    None => {
                        let ino = inode.ino;
                        let line = format_args!("bad number of extents {number} for inode {ino}");
                        self.report.complain(line);
                    }
                }
            }
            Some(ForkFormat::Btree) => {
                self.fork_root(&mut count, space);
                let (ino, found) = (inode.ino, count.extents);
                if count.has_root && found <= extent::records(space).len() as u64 {
                    let name = fork_name(fork);
                    self.report.complain(format_args!(
                        "extent count for ino {ino} {name} fork too low ({found}) for file format"
                    ));
                }
            }
            Some(ForkFormat::MetaBtree) => self.metadata_tree(inode),
            _ => {}
        }
        count
    }

    /// The root of an extent btree. Keys and pointers as they lie there; what they point to
    /// is looked at.
    fn fork_root(&mut self, count: &mut ForkCount, space: &[u8]) {
        let Ok(root) = overlay::<RootHeader>(space, "root", At::Inode(count.ino.0)) else { return };
        let (level, records) = (root.level.get(), usize::from(root.numrecs.get()));
        let most = extent::root_max_records(space.len());
        let ino = count.ino;
        let fork = fork_name(count.fork);
        // A tree has at least a level below its root; xfs_db 7.2 says nothing of less.
        if level == 0 {
            return;
        }
        if level > 15 {
            return self.report.complain(format_args!(
                "level for ino {ino} {fork} fork bmap root too large ({level})"
            ));
        }
        if records > most {
            return self.report.complain(format_args!(
                "numrecs for ino {ino} {fork} fork bmap root too large ({records})"
            ));
        }
        count.has_root = true;
        for index in 0..records {
            let at = size_of::<RootHeader>() + most * 8 + index * 8;
            let child = space.get(at..).and_then(|rest| rest.first_chunk());
            if let Some(child) = child {
                self.fork_block(count, FsBlock(u64::from_be_bytes(*child)), level - 1);
            }
        }
    }

    fn fork_block(&mut self, count: &mut ForkCount, block: FsBlock, level: u16) {
        let kind = BtreeKind::Bmap;
        let (agno, agbno) = self.geo.fsblock_parts(block);
        let mut bytes = vec![0; self.geo.block_size as usize];
        let daddr = self.geo.fsblock_daddr(block);
        let inside = agno < self.geo.ag_count && agbno < self.geo.ag_blocks;
        if !inside || self.scanner.read(daddr, &mut bytes).is_err() {
            let agno = (block.0 >> self.geo.ag_block_log) as u32;
            let line = format_args!("can't read btree block {agno}/{agbno}");
            return self.report.complain(line);
        }
        let Ok(header) = Header::read(&bytes, kind, At::Daddr(daddr)) else { return };
        let ino = count.ino;
        if header.magic != kind.magic() {
            let magic = alternate_hex(header.magic);
            self.report.complain(format_args!(
                "bad magic # {magic} in inode {ino} bmbt block {agno}/{agbno}"
            ));
        }
        if header.level != level {
            let found = header.level;
            self.report.complain(format_args!(
                "expected level {level} got {found} in inode {ino} bmbt block {agno}/{agbno}"
            ));
        }
        let uses = (Kind::Unknown, count.kind);
        self.claim(Space::Group(agno), agbno.into(), 1, uses, Some(ino));
        count.blocks += 1;
        if !count.seen.insert(block) {
            return;
        }
        let max = self.geo.max_records(kind, level == 0) as usize;
        let records = usize::from(header.numrecs);
        if records > max {
            let min = self.geo.min_records(kind, level == 0);
            return self.report.complain(format_args!(
                "bad btree nrecs ({records}, min={min}, max={max}) in inode {ino} bmap block {block}"
            ));
        }
        let Some(below) = level.checked_sub(1) else {
            let found = extent::records(bytes.get(kind.header_len()..).unwrap_or(&[]));
            return self.extents(count, found.get(..records).unwrap_or(found));
        };
        for index in 0..records {
            let rest = bytes.get(kind.ptr_offset(index, max)..);
            if let Some(child) = rest.and_then(|rest| rest.first_chunk()) {
                self.fork_block(count, FsBlock(u64::from_be_bytes(*child)), below);
            }
        }
    }

    /// The blocks of a btree of realtime metadata.
    fn metadata_tree(&mut self, inode: &Inode<'_>) {
        let kind = match inode.core.metatype.get() {
            7 => BtreeKind::RtRmap,
            _ => BtreeKind::RtRefcount,
        };
        let mut blocks = Vec::new();
        let walked = self.scanner.metadata_tree_blocks(inode, kind, &mut |block| {
            blocks.push(block.block);
            Ok(())
        });
        if let Err(error) = walked {
            self.report.complain(format_args!("{error}"));
        }
        for block in blocks {
            let (agno, agbno) = self.geo.fsblock_parts(block);
            let uses = (Kind::Unknown, Kind::Data);
            self.claim(Space::Group(agno), agbno.into(), 1, uses, Some(inode.ino));
        }
    }

    fn extents(&mut self, count: &mut ForkCount, records: &[DiskExtent]) {
        count.extents += records.len() as u64;
        for (index, extent) in records.iter().map(Extent::decode).enumerate() {
            let ino = count.ino;
            if extent.offset < count.end {
                let line = format_args!("bmap rec out of order, inode {ino} entry {index}");
                self.report.complain(line);
            }
            count.end = extent.end();
            if self.report.tells_inode(ino) {
                self.report.say(format_args!(
                    "inode {ino} extent [{},{},{},{}]",
                    extent.offset,
                    extent.start,
                    extent.len,
                    u8::from(extent.unwritten)
                ));
            }
            if count.kind == Kind::Rtdata {
                self.realtime_extent(count, &extent);
            } else {
                self.extent(count, &extent);
            }
        }
    }

    fn extent(&mut self, count: &mut ForkCount, extent: &Extent) {
        let ino = count.ino;
        let (agno, agbno) = self.geo.fsblock_parts(extent.start);
        let ends = u64::from(agbno) + extent.len;
        let valid = |agbno: u64| agno < self.geo.ag_count && agbno < u64::from(self.geo.ag_blocks);
        let last = (extent.start.0 as i64).wrapping_add(extent.len as i64).wrapping_sub(1);
        for (block, at) in
            [(extent.start.0 as i64, i64::from(agbno)), (last, (ends as i64).wrapping_sub(1))]
        {
            if !u64::try_from(at).is_ok_and(valid) {
                let offset = extent.offset;
                return self.report.complain(format_args!(
                    "inode {ino} bad block number {block} [{agno},{at}], offset {offset}"
                ));
            }
        }
        if let Some(kept) = &mut count.kept {
            kept.push(*extent);
        }
        let uses = (Kind::Unknown, count.kind);
        self.claim(Space::Group(agno), agbno.into(), extent.len, uses, Some(ino));
        count.blocks += extent.len;
    }

    /// Blocks of the realtime section. Those of groups may be shared, and what is free is
    /// not known from one bitmap: they are counted, but not claimed.
    fn realtime_extent(&mut self, count: &mut ForkCount, extent: &Extent) {
        let (ino, realtime) = (count.ino, &self.geo.realtime);
        if !realtime.valid_extent(extent.start.0, extent.len) {
            let (start, offset) = (extent.start, extent.offset);
            return self.report.complain(format_args!(
                "inode {ino} bad rt block number {start}, offset {offset}"
            ));
        }
        count.blocks += extent.len;
        if !realtime.has_groups {
            let uses = (Kind::Unknown, Kind::Rtdata);
            self.claim(Space::Realtime, extent.start.0, extent.len, uses, Some(ino));
        }
    }

    /// The free extents that the bitmap of a realtime section without groups tells.
    fn realtime_bitmap(&mut self, extents: &[Extent]) {
        let size = u64::from(self.geo.block_size);
        let per_block = size * 8;
        let (each, all) = (self.geo.realtime.extent_size, self.geo.realtime.extents);
        let mut bytes = vec![0; size as usize];
        let blocks = extents.iter().flat_map(|extent| {
            (0..extent.len).map(move |step| (extent.offset + step, extent.start.0 + step))
        });
        let blocks: Vec<_> = blocks.take_while(|(offset, _)| offset * per_block < all).collect();
        for (offset, block) in blocks {
            let daddr = self.geo.fsblock_daddr(FsBlock(block));
            if self.scanner.read(daddr, &mut bytes).is_err() {
                let line = format_args!("can't read block {offset} for rtbitmap inode");
                return self.report.complain_seriously(line);
            }
            // Words are in the byte order of the machine, so bits count from the first byte
            // on a little-endian one.
            for bit in 0..per_block.min(all.saturating_sub(offset * per_block)) {
                let byte = bytes.get((bit / 8) as usize).copied().unwrap_or(0);
                if byte >> (bit % 8) & 1 != 0 {
                    let start = (offset * per_block + bit) * u64::from(each);
                    let uses = (Kind::Unknown, Kind::Rtfree);
                    self.claim(Space::Realtime, start, each.into(), uses, None);
                }
            }
        }
    }
}
