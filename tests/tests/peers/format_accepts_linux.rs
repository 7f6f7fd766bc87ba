//! Every verifier of libfs::format accepts what Linux wrote: images of several shapes are
//! filled by the kernel, and every metadata structure in them is read, checksummed and
//! verified. Counts of what was seen show that the walk is not empty.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use libfs::At;
use libfs::format::ag::{self, Agf, Agfl, Agi};
use libfs::format::attr::leaf::{Leaf as AttrLeaf, NameValue};
use libfs::format::attr::remote::{self, RemoteHeader};
use libfs::format::attr::{self, AttrFlags, parent, shortform::ShortForm as AttrShortForm};
use libfs::format::btree_block::{self, BtreeKind, Header};
use libfs::format::btree_record::{
    DiskFreeExtent, DiskInodeChunk, DiskRefcount, DiskRmap, FreeExtent, InodeChunk, Refcount, Rmap,
};
use libfs::format::dir::data::{DataBlock, Item};
use libfs::format::dir::leaf::Leaf as DirLeaf;
use libfs::format::dir::{self, free::Free, shortform::ShortForm};
use libfs::format::dquot::{self, DiskDquot};
use libfs::format::extent::{self, Extent, Root};
use libfs::format::geometry::{Fork, FsBlock, Geometry, INODES_PER_CHUNK, Ino};
use libfs::format::inode::{self, Dinode, ForkFormat, mode};
use libfs::format::superblock::Superblock;
use libfs::format::symlink::{self as link_format, SymlinkHeader};
use libfs::format::{checksum, da, overlay};
use tests::linux;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::uml::Uml;

/// Reads and verifies everything in an image, counting structures by name.
struct Walk {
    image: File,
    geo: Geometry,
    seen: BTreeMap<&'static str, u64>,
}

/// One attribute or directory block as read: its bytes and disk address.
struct Block {
    bytes: Vec<u8>,
    daddr: u64,
}

impl Walk {
    fn new(path: &Path) -> Result<Self> {
        let image = File::open(path)?;
        let mut sector = vec![0; 32768];
        image.read_exact_at(&mut sector, 0)?;
        let superblock = Superblock::decode(&sector)?;
        assert_eq!(superblock.read_only_reason(), None);
        Ok(Walk { image, geo: Geometry::new(&superblock.dsb)?, seen: BTreeMap::new() })
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn read(&self, daddr: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.image.read_exact_at(&mut bytes, daddr * 512).with_context(|| format!("{daddr}"))?;
        Ok(bytes)
    }

    fn all(&mut self) -> Result<()> {
        for agno in 0..self.geo.ag_count {
            self.group(agno)?;
        }
        Ok(())
    }

    fn group(&mut self, agno: u32) -> Result<()> {
        let geo = self.geo.clone();
        let sector = geo.sector_size as usize;
        let daddr = geo.sb_daddr(agno);
        Superblock::decode_at(&self.read(daddr, sector)?, daddr)?;
        let agf = self.read(geo.agf_daddr(agno), sector)?;
        checksum::check(&agf, ag::AGF_CRC_OFFSET, "AGF", At::Byte(0))?;
        let agf: &Agf = overlay(&agf, "AGF", At::Byte(0))?;
        agf.verify(&geo, agno)?;
        let agi = self.read(geo.agi_daddr(agno), sector)?;
        checksum::check(&agi, ag::AGI_CRC_OFFSET, "AGI", At::Byte(0))?;
        let agi: &Agi = overlay(&agi, "AGI", At::Byte(0))?;
        agi.verify(&geo, agno)?;
        let agfl = self.read(geo.agfl_daddr(agno), sector)?;
        checksum::check(&agfl, ag::AGFL_CRC_OFFSET, "AGFL", At::Byte(0))?;
        let agfl = Agfl::view(&agfl)?;
        agfl.verify(&geo, agno)?;
        ensure!(agfl.bno.len() == geo.agfl_size() as usize, "AGFL size");

        let free = self.ag_tree(agno, BtreeKind::Bno, agf.bnoroot.get(), agf.bnolevel.get())?;
        self.ag_tree(agno, BtreeKind::Cnt, agf.cntroot.get(), agf.cntlevel.get())?;
        ensure!(free == u64::from(agf.freeblks.get()), "free blocks of group {agno}");
        if geo.features.rmapbt {
            self.ag_tree(agno, BtreeKind::Rmap, agf.rmaproot.get(), agf.rmaplevel.get())?;
        }
        if geo.features.reflink {
            let (root, level) = (agf.refcntroot.get(), agf.refcntlevel.get());
            self.ag_tree(agno, BtreeKind::Refcount, root, level)?;
        }
        let used = self.ag_tree(agno, BtreeKind::Ino, agi.root.get(), agi.level.get())?;
        ensure!(used == u64::from(agi.count.get()), "inodes of group {agno}");
        if geo.features.finobt {
            self.ag_tree(agno, BtreeKind::Fino, agi.free_root.get(), agi.free_level.get())?;
        }
        Ok(())
    }

    /// Walks a group's tree; returns the sum of free blocks or inodes of its records.
    fn ag_tree(&mut self, agno: u32, kind: BtreeKind, root: u32, height: u32) -> Result<u64> {
        let geo = self.geo.clone();
        let daddr = geo.agblock_daddr(agno, root);
        let (header, bytes) = self.btree_block(kind, daddr)?;
        ensure!(u32::from(header.level) + 1 == height, "{kind:?} level");
        let mut sum = 0;
        for index in 0..usize::from(header.numrecs) {
            if header.level > 0 {
                let max = geo.max_records(kind, false) as usize;
                let at = kind.ptr_offset(index, max);
                let child = u32::from_be_bytes(*bytes[at..].first_chunk().unwrap());
                ensure!(geo.valid_agbno(agno, child), "{kind:?} child {child}");
                sum += self.ag_tree(agno, kind, child, height - 1)?;
                continue;
            }
            let record = &bytes[kind.record_offset(index)..];
            sum += self.ag_record(agno, kind, record)?;
        }
        Ok(sum)
    }

    fn ag_record(&mut self, agno: u32, kind: BtreeKind, bytes: &[u8]) -> Result<u64> {
        let geo = self.geo.clone();
        let at = At::Byte(0);
        match kind {
            BtreeKind::Bno | BtreeKind::Cnt => {
                let free = FreeExtent::from(overlay::<DiskFreeExtent>(bytes, "record", at)?);
                free.verify(&geo, agno)?;
                Ok(free.len.into())
            }
            BtreeKind::Ino | BtreeKind::Fino => {
                let sparse = geo.features.sparse_inodes;
                let disk: &DiskInodeChunk = overlay(bytes, "record", at)?;
                let chunk = InodeChunk::decode(disk, sparse);
                ensure!(chunk.encode(sparse) == *disk, "{chunk:?} does not encode as it was");
                chunk.verify(&geo, agno)?;
                if chunk.is_sparse() {
                    self.saw("sparse inode chunk");
                }
                if kind == BtreeKind::Ino {
                    self.inodes(agno, &chunk)?;
                }
                Ok(chunk.count.into())
            }
            BtreeKind::Rmap => {
                let disk: &DiskRmap = overlay(bytes, "record", at)?;
                let rmap = Rmap::decode(disk);
                ensure!(rmap.encode() == *disk, "{rmap:?} does not encode as it was");
                rmap.verify(&geo, agno)?;
                Ok(0)
            }
            BtreeKind::Refcount => {
                let disk: &DiskRefcount = overlay(bytes, "record", at)?;
                let refcount = Refcount::decode(disk);
                ensure!(refcount.encode() == *disk, "{refcount:?} does not encode as it was");
                refcount.verify(&geo, agno)?;
                self.saw("reference count record");
                Ok(0)
            }
            _ => unreachable!("not a tree of a group"),
        }
    }

    fn btree_block(&mut self, kind: BtreeKind, daddr: u64) -> Result<(Header, Vec<u8>)> {
        let bytes = self.read(daddr, self.geo.block_size as usize)?;
        checksum::check(&bytes, kind.crc_offset(), kind.name(), At::Daddr(daddr))?;
        let header = btree_block::verify(&bytes, &self.geo, kind, daddr)?;
        let mut again = bytes.clone();
        header.write(&mut again, kind)?;
        checksum::stamp(&mut again, kind.crc_offset());
        ensure!(again == bytes, "header of {kind:?} block does not encode as it was");
        self.saw(kind.name());
        if header.level > 0 {
            self.saw(match kind {
                BtreeKind::Bmap => "extent btree node",
                _ => "btree node",
            });
        }
        Ok((header, bytes))
    }

    fn inodes(&mut self, agno: u32, chunk: &InodeChunk) -> Result<()> {
        let size = self.geo.inode.size as usize;
        for index in 0..INODES_PER_CHUNK {
            if chunk.allocated_mask() & (1 << index) == 0 {
                continue;
            }
            let ino = self.geo.ino(agno, chunk.startino + index);
            let first = self.geo.agino_agbno(chunk.startino);
            let (daddr, len, offset) = self.geo.inode_buffer(ino, Some(first));
            let cluster = self.read(daddr, len)?;
            let bytes = &cluster[offset..offset + size];
            checksum::check(bytes, inode::CRC_OFFSET, "inode", At::Inode(ino.0))?;
            let dinode = Dinode::view(bytes, ino)?;
            dinode.verify(&self.geo, ino)?;
            let free = chunk.free & (1 << index) != 0;
            ensure!(free == (dinode.mode.get() == 0), "inode {ino} free or not");
            self.saw(if free { "free inode" } else { "inode" });
            if !free {
                self.inode(ino, dinode, bytes).with_context(|| format!("inode {ino}"))?;
            }
        }
        Ok(())
    }

    fn inode(&mut self, ino: Ino, dinode: &Dinode, bytes: &[u8]) -> Result<()> {
        let data = self.extents(ino, dinode, bytes, Fork::Data)?;
        match (dinode.file_type(), dinode.fork_format(Fork::Data)) {
            (mode::DIR, Some(ForkFormat::Local)) => {
                let size = dinode.size.get();
                let fork = dinode.data_fork(bytes);
                let form = ShortForm::decode(fork, size, self.geo.features.ftype, ino)?;
                form.verify(&self.geo, ino)?;
                let again = form.encode(self.geo.features.ftype);
                ensure!(again == fork[..size as usize], "{form:?} does not encode as it was");
                self.saw("shortform directory");
            }
            (mode::DIR, _) => self.directory(ino, &data)?,
            (mode::SYMLINK, Some(ForkFormat::Extents)) => self.symlink(ino, &data)?,
            (mode::REGULAR, _) if (2..=4).contains(&dinode.metatype.get()) => self.quota(&data)?,
            _ => {}
        }
        if dinode.forkoff == 0 {
            return Ok(());
        }
        let attr = self.extents(ino, dinode, bytes, Fork::Attr)?;
        if dinode.fork_format(Fork::Attr) != Some(ForkFormat::Local) {
            return self.attributes(ino, &attr);
        }
        let fork = dinode.attr_fork(bytes);
        let form = AttrShortForm::decode(fork, ino)?;
        let again = form.encode();
        ensure!(again == fork[..again.len()], "{form:?} does not encode as it was");
        self.saw("shortform attributes");
        Ok(())
    }

    fn extents(&mut self, ino: Ino, di: &Dinode, bytes: &[u8], fork: Fork) -> Result<Vec<Extent>> {
        let space = di.fork(fork, bytes);
        let count = di.extent_count(fork) as usize;
        let list = match di.fork_format(fork) {
            Some(ForkFormat::Extents) => {
                extent::decode_list(space, count, &self.geo, ino, fork, false, 0)?
            }
            Some(ForkFormat::Btree) => {
                let root = Root::decode(space, &self.geo, ino, fork)?;
                let mut again = vec![0; space.len()];
                root.encode(&mut again)?;
                let decoded = Root::decode(&again, &self.geo, ino, fork)?;
                ensure!(decoded == root, "root does not survive");
                let mut list = Vec::new();
                for (_, child) in &root.children {
                    self.bmap_tree(ino, fork, *child, root.level - 1, &mut list)?;
                }
                list
            }
            _ => Vec::new(),
        };
        ensure!(list.len() == count, "{} extents, not {count}", list.len());
        Ok(list)
    }

    fn bmap_tree(
        &mut self,
        ino: Ino,
        fork: Fork,
        block: FsBlock,
        level: u16,
        list: &mut Vec<Extent>,
    ) -> Result<()> {
        let kind = BtreeKind::Bmap;
        let (header, bytes) = self.btree_block(kind, self.geo.fsblock_daddr(block))?;
        ensure!(header.owner == ino.0 && header.level == level, "owner or level");
        if level == 0 {
            let from = list.last().map_or(0, Extent::end);
            let (records, count) = (&bytes[kind.header_len()..], header.numrecs.into());
            let more = extent::decode_list(records, count, &self.geo, ino, fork, false, from)?;
            list.extend(more);
            return Ok(());
        }
        for index in 0..usize::from(header.numrecs) {
            let at = kind.ptr_offset(index, self.geo.max_records(kind, false) as usize);
            let child = u64::from_be_bytes(*bytes[at..].first_chunk().unwrap());
            self.bmap_tree(ino, fork, FsBlock(child), level - 1, list)?;
        }
        Ok(())
    }

    /// The file blocks of a list of extents in pieces of `step` blocks, with contents.
    fn blocks(&self, list: &[Extent], step: u32) -> Result<Vec<(u64, Block)>> {
        let mut blocks = Vec::new();
        for extent in list {
            for at in (0..extent.len).step_by(step as usize) {
                let daddr = self.geo.fsblock_daddr(FsBlock(extent.start.0 + at));
                let bytes = self.read(daddr, (step * self.geo.block_size) as usize)?;
                blocks.push((extent.offset + at, Block { bytes, daddr }));
            }
        }
        Ok(blocks)
    }

    fn directory(&mut self, ino: Ino, list: &[Extent]) -> Result<()> {
        let geo = self.geo.clone();
        let blocks = self.blocks(list, geo.dir.fs_blocks)?;
        let mut names = 0;
        let mut indexed = 0;
        for (offset, block) in &blocks {
            let (bytes, daddr) = (&block.bytes[..], block.daddr);
            let at = At::Daddr(daddr);
            if *offset < geo.dir.leaf_block {
                checksum::check(bytes, dir::CRC_OFFSET, "data", at)?;
                let data = DataBlock::view(bytes, geo.features.ftype, at)?;
                data.verify(&geo, daddr)?;
                ensure!(data.header.hdr.owner.get() == ino.0, "owner");
                self.saw(if data.tail().is_some() { "directory block" } else { "directory data" });
                names += data.items().filter(|i| matches!(i, Ok(Item::Entry(_)))).count();
                indexed += data.leaf_entries().iter().filter(|leaf| !leaf.is_stale()).count();
            } else if *offset >= geo.dir.free_block {
                checksum::check(bytes, dir::CRC_OFFSET, "free", at)?;
                Free::view(bytes, at)?.verify(&geo, daddr)?;
                self.saw("directory free");
            } else {
                indexed += self.index_block(block, geo.dir.block_size as usize)?;
            }
        }
        ensure!(names == indexed, "{names} names, {indexed} in the index");
        Ok(())
    }

    /// Verifies a block of a directory's index; returns the names it leads to.
    fn index_block(&mut self, block: &Block, size: usize) -> Result<usize> {
        let (bytes, at) = (&block.bytes[..], At::Daddr(block.daddr));
        checksum::check(bytes, da::CRC_OFFSET, "index", at)?;
        let magic = u16::from_be_bytes([bytes[8], bytes[9]]);
        if magic == da::NODE_MAGIC {
            da::Node::view(bytes, at)?.verify(&self.geo, size, block.daddr)?;
            self.saw("da node");
            return Ok(0);
        }
        let leaf = DirLeaf::view(bytes, at)?;
        leaf.verify(&self.geo, block.daddr, bytes)?;
        self.saw(if leaf.is_single() { "directory leaf1" } else { "directory leafn" });
        ensure!(leaf.is_single() != leaf.bests.is_empty(), "largest holes of a leaf");
        Ok(leaf.entries.iter().filter(|entry| !entry.is_stale()).count())
    }

    fn quota(&mut self, list: &[Extent]) -> Result<()> {
        for (_, block) in self.blocks(list, 1)? {
            for record in block.bytes.chunks_exact(size_of::<DiskDquot>()) {
                let at = At::Daddr(block.daddr);
                checksum::check(record, dquot::CRC_OFFSET, "dquot", at)?;
                DiskDquot::view(record, at)?.verify(&self.geo, block.daddr)?;
                self.saw("quota record");
            }
        }
        Ok(())
    }

    fn symlink(&mut self, ino: Ino, list: &[Extent]) -> Result<()> {
        for extent in list {
            let daddr = self.geo.fsblock_daddr(extent.start);
            let bytes = self.read(daddr, (extent.len as usize) << self.geo.block_log)?;
            checksum::check(&bytes, link_format::CRC_OFFSET, "symlink", At::Daddr(daddr))?;
            let header = SymlinkHeader::view(&bytes, At::Daddr(daddr))?;
            header.verify(&self.geo, daddr)?;
            ensure!(header.owner.get() == ino.0, "owner");
            self.saw("remote symlink");
        }
        Ok(())
    }

    fn attributes(&mut self, ino: Ino, list: &[Extent]) -> Result<()> {
        let geo = self.geo.clone();
        let blocks: BTreeMap<u64, Block> = self.blocks(list, 1)?.into_iter().collect();
        for block in blocks.values() {
            let (bytes, at) = (&block.bytes[..], At::Daddr(block.daddr));
            match u16::from_be_bytes([bytes[8], bytes[9]]) {
                da::NODE_MAGIC => {
                    checksum::check(bytes, da::CRC_OFFSET, "node", at)?;
                    let node = da::Node::view(bytes, at)?;
                    node.verify(&geo, bytes.len(), block.daddr)?;
                    self.saw("attribute node");
                }
                da::ATTR_LEAF_MAGIC => {
                    checksum::check(bytes, da::CRC_OFFSET, "leaf", at)?;
                    let leaf = AttrLeaf::view(bytes, at)?;
                    leaf.verify(&geo, block.daddr)?;
                    self.saw("attribute leaf");
                    self.names(ino, &leaf, &blocks)?;
                }
                _ => {
                    checksum::check(bytes, remote::CRC_OFFSET, "value", at)?;
                    RemoteHeader::view(bytes, at)?.verify(&geo, block.daddr)?;
                }
            }
        }
        Ok(())
    }

    fn names(&mut self, ino: Ino, leaf: &AttrLeaf, blocks: &BTreeMap<u64, Block>) -> Result<()> {
        let mut used = 0;
        for entry in leaf.entries {
            let found = leaf.name_value(entry)?;
            used += found.size();
            let hash = match found {
                NameValue::Local { name, value }
                    if entry.attr_flags().contains(AttrFlags::PARENT) =>
                {
                    let record = parent::ParentRecord::view(value)?;
                    self.saw("parent pointer in a leaf");
                    parent::hash(name, Ino(record.ino.get()), &self.geo)
                }
                _ => attr::hash(found.name()),
            };
            ensure!(hash == entry.hashval.get(), "hash of {:?}", found.name());
            if let NameValue::Remote { block, len, .. } = found {
                let count = RemoteHeader::blocks_for(len, self.geo.block_size);
                for index in 0..count {
                    let at = u64::from(block + index);
                    let part = blocks.get(&at).context("value block is missing")?;
                    let header = RemoteHeader::view(&part.bytes, At::Daddr(part.daddr))?;
                    ensure!(header.owner.get() == ino.0, "owner");
                    self.saw("remote value block");
                }
            }
        }
        ensure!(used == usize::from(leaf.header.usedbytes.get()), "used bytes");
        Ok(())
    }
}

/// Files that bring out every format: names and sizes chosen for blocks of 1 to 4 KiB.
pub(crate) fn fill(root: &Path) -> Result<()> {
    for (name, count) in [("short", 3), ("block", 30), ("leaf", 250), ("node", 4000)] {
        let dir = root.join(name);
        fs::create_dir(&dir)?;
        for index in 0..count {
            File::create(dir.join(format!("a-name-that-takes-some-room-{index}")))?;
        }
        for index in (0..count).step_by(3) {
            fs::remove_file(dir.join(format!("a-name-that-takes-some-room-{index}")))?;
        }
    }
    symlink("x".repeat(1023), root.join("long-link"))?;
    symlink("short", root.join("short-link"))?;
    let flags = rustix::fs::XattrFlags::empty();
    for (name, count, size) in [("few", 2, 10), ("some", 20, 100), ("many", 400, 200)] {
        let path = root.join(format!("{name}-attributes"));
        File::create(&path)?;
        for index in 0..count {
            let value = vec![b'v'; size + index];
            rustix::fs::setxattr(&path, format!("user.attribute{index}"), &value, flags)?;
        }
    }
    let big = root.join("some-attributes");
    rustix::fs::setxattr(&big, "user.big", &vec![b'V'; 60_000], flags)?;
    rustix::fs::setxattr(&big, "trusted.t", b"root", flags)?;
    let linked = root.join("linked");
    File::create(&linked)?;
    for index in 0..100 {
        fs::hard_link(&linked, root.join(format!("leaf/another-name-of-the-file-{index}")))?;
    }
    fragment(root)
}

/// A file of thousands of extents, a file sharing blocks with it, and an unwritten one.
fn fragment(root: &Path) -> Result<()> {
    let path = root.join("fragmented");
    let file = File::options().read(true).write(true).create_new(true).open(path)?;
    for index in 0..3000 {
        file.write_all_at(&[7; 4096], index * 3 * 4096)?;
    }
    file.sync_all()?;
    let copy = File::create(root.join("shared"))?;
    rustix::fs::ioctl_ficlone(&copy, &file)?;
    copy.write_all_at(&[9; 4096], 12 * 4096)?;
    let unwritten = File::create(root.join("unwritten"))?;
    let flags = rustix::fs::FallocateFlags::empty();
    rustix::fs::fallocate(&unwritten, flags, 0, 5 << 20)?;
    unwritten.write_all_at(&[1; 4096], 1 << 20)?;
    Ok(())
}

#[test]
fn every_verifier_accepts_what_linux_wrote() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let mut seen = BTreeMap::new();
    for options in [
        &[][..],
        &["-b", "size=1k"],
        &["-b", "size=2k", "-n", "size=8k", "-i", "size=1024", "-m", "bigtime=0"],
        &["-m", "reflink=0,rmapbt=0,finobt=0,inobtcount=0", "-i", "sparse=0,nrext64=0"],
        &["-b", "size=64k"],
        &["-s", "size=4k", "-d", "su=64k,sw=2", "-n", "parent=0"],
    ] {
        let image = scratch.path("image");
        peers.mkfs(&image, 600 << 20, options).unwrap();
        let reflink = !options.iter().any(|option| option.contains("reflink=0"));
        linux::mount(&image, |root| if reflink { fill(root) } else { fill_unshared(root) })
            .unwrap();
        let mut walk = Walk::new(&image).unwrap();
        walk.all().unwrap_or_else(|error| panic!("{options:?}: {error:#}"));
        for (what, count) in walk.seen {
            *seen.entry(what).or_default() += count;
        }
        fs::remove_file(&image).unwrap();
    }
    check_seen(&seen);
}

#[test]
fn quotas_and_the_metadata_directory_are_accepted() {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(uml) = Uml::or_skip(&peers) else { return };
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    peers.mkfs(&image, 400 << 20, &["-m", "uquota,gquota"]).unwrap();
    let script = "echo a >$MNT/f; chown 1000:1001 $MNT/f; mkdir $MNT/d; sync";
    uml.script(&image, script).unwrap();
    let mut walk = Walk::new(&image).unwrap();
    walk.all().unwrap();
    assert!(walk.geo.features.metadir);
    assert!(walk.seen.contains_key("quota record"), "{:?}", walk.seen);
}

/// As [`fill`], for filesystems that cannot share blocks.
fn fill_unshared(root: &Path) -> Result<()> {
    match fill(root) {
        Err(error) if error.downcast_ref() == Some(&rustix::io::Errno::OPNOTSUPP) => Ok(()),
        other => other,
    }
}

/// Every kind of structure must have been there.
fn check_seen(seen: &BTreeMap<&str, u64>) {
    for what in [
        "bnobt",
        "cntbt",
        "inobt",
        "finobt",
        "rmapbt",
        "refcntbt",
        "bmapbtd",
        "btree node",
        "extent btree node",
        "reference count record",
        "inode",
        "free inode",
        "shortform directory",
        "directory block",
        "directory data",
        "directory leaf1",
        "directory leafn",
        "directory free",
        "da node",
        "remote symlink",
        "shortform attributes",
        "attribute leaf",
        "attribute node",
        "remote value block",
        "parent pointer in a leaf",
    ] {
        assert!(seen.get(what).is_some_and(|&count| count > 0), "no {what} in {seen:?}");
    }
}
