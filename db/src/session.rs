//! The open filesystem and the cursor that commands move over it.

use crate::fields::Place;
use crate::mounted;
use crate::options::Options;
use crate::positions::{Positions, Visit};
use crate::types::Type;
use crate::usage::Usage;
use anyhow::{Context, Result, bail};
use libfs::device::{Device, FileDevice};
use libfs::format::dir::FileType;
use libfs::format::extent::{self, Extent};
use libfs::format::geometry::{Fork, FsBlock, Geometry, Ino};
use libfs::format::inode::{DiFlags2, Dinode, ForkFormat, MetafileType, mode};
use libfs::format::superblock::{self, Dsb};
use libfs::format::{btree_block, checksum, inode};
use libfs::scan::Scanner;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// Bytes of a basic block, the unit of disk addresses.
pub const BASIC_BLOCK: usize = 512;

/// A device that the cursor can be on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// The data device, which may have the log and a realtime section as well.
    #[default]
    Data,
    /// The device of the realtime section.
    Realtime,
    /// The device of the log.
    Log,
}

impl Source {
    /// What xfs_db calls the device.
    pub fn device_name(self) -> &'static str {
        match self {
            Source::Data => "datadev",
            Source::Realtime => "rtdev",
            Source::Log => "logdev",
        }
    }

    /// What xfs_db calls a block of it.
    pub fn block_name(self) -> &'static str {
        match self {
            Source::Data => "fsbno",
            Source::Realtime => "rtbno",
            Source::Log => "logbno",
        }
    }
}

/// Where the cursor is and what is there.
#[derive(Clone)]
pub struct Cursor {
    /// What the bytes are taken for.
    pub kind: Type,
    /// The device.
    pub source: Source,
    /// Disk address of the buffer.
    pub daddr: u64,
    /// The buffer's bytes.
    pub buffer: Vec<u8>,
    /// Byte of the buffer where the object starts.
    pub offset: usize,
    /// Bytes of the object.
    pub len: usize,
    /// What the object's checksum says, if the type has one.
    pub crc_ok: Option<bool>,
    /// Disk addresses of the buffer's equal parts, if they lie apart.
    pub scattered: Vec<u64>,
}

impl Cursor {
    /// A buffer on the data device that is all one object.
    fn new(kind: Type, daddr: u64, buffer: Vec<u8>) -> Self {
        let (source, len) = (Source::Data, buffer.len());
        let scattered = Vec::new();
        Cursor { kind, source, daddr, buffer, offset: 0, len, crc_ok: None, scattered }
    }

    /// Disk address of the object, which may be inside the buffer.
    pub fn object_daddr(&self) -> u64 {
        self.daddr.saturating_add((self.offset / BASIC_BLOCK) as u64)
    }

    /// The object's bytes; those that the buffer ends before are missing.
    pub fn data(&self) -> &[u8] {
        let end = self.offset.saturating_add(self.len).min(self.buffer.len());
        self.buffer.get(self.offset..end).unwrap_or(&[])
    }

    /// The object's bytes, to be changed.
    pub fn data_mut(&mut self) -> &mut [u8] {
        let end = self.offset.saturating_add(self.len).min(self.buffer.len());
        self.buffer.get_mut(self.offset..end).unwrap_or(&mut [])
    }

    /// The bytes of the object that its checksum covers.
    pub fn summed(&self) -> &[u8] {
        let data = self.data();
        if self.kind == Type::Dqblk { data.get(..136).unwrap_or(data) } else { data }
    }

    /// Notes what the object's checksum says.
    pub fn check_crc(&mut self) {
        let offset = self.kind.crc_offset(self.data());
        self.crc_ok = offset.map(|offset| checksum::verify(self.summed(), offset));
    }
}

/// What commands work on.
pub struct Session {
    /// Where the filesystem is.
    pub device: Arc<FileDevice>,
    /// The realtime device, if it is another.
    pub realtime: Option<FileDevice>,
    /// The device of the log, if it is another.
    pub log_device: Option<Arc<FileDevice>>,
    /// Name of the program in messages and the prompt.
    pub program: String,
    /// Expert mode: commands that change things are known.
    pub expert: bool,
    /// Nothing may be written.
    pub read_only: bool,
    /// Commands print JSON where they can.
    pub json: bool,
    /// Its geometry.
    pub geo: Geometry,
    /// The cursor; nowhere at first.
    pub cursor: Option<Cursor>,
    /// The current allocation group.
    pub agno: u32,
    /// The current inode.
    pub ino: Option<Ino>,
    /// The last directory that was the current inode.
    pub dir_ino: Option<Ino>,
    /// The cursor is nowhere because what it was to show could not be read.
    pub lost: bool,
    /// Where the cursor was.
    pub positions: Positions,
    /// What the program is to exit with: 1 after a command that scripts can tell failed.
    pub exit_status: u8,
    /// The number that `debug` keeps.
    pub debug: i64,
    /// Files that `source` is reading, one within the other.
    pub sources: usize,
    /// File that output is copied to.
    pub log_file: Option<(String, std::fs::File)>,
    /// What `blockget` found.
    pub usage: Option<Usage>,
    /// Set by `quit`.
    pub done: bool,
}

/// A run of blocks of a fork, and the blocks that they are.
pub struct Mapping {
    /// The extents of the fork, in order.
    pub extents: Vec<Extent>,
}

impl Session {
    /// Opens the filesystem and the other devices that `options` names: for writing only in
    /// expert mode without -r.
    ///
    /// # Errors
    ///
    /// An error is returned if a device cannot be opened or read, or no superblock on the
    /// first says where its parts are.
    pub fn open(options: &Options) -> Result<Self> {
        let path = options.device.as_deref().context("no device is named")?;
        if !options.read_only {
            mounted::refuse(path, options.mounted)?;
        }
        let read_only = options.read_only || !options.expert;
        let open = if read_only { FileDevice::open_read_only } else { FileDevice::open };
        let device = Arc::new(open(path)?);
        let geo = find_geometry(&device, path, options.force)?;
        Ok(Session {
            device,
            realtime: options.realtime_device.as_deref().map(open).transpose()?,
            log_device: options.log_device.as_deref().map(open).transpose()?.map(Arc::new),
            program: options.program.clone(),
            expert: options.expert,
            read_only,
            json: options.json,
            geo,
            cursor: None,
            agno: 0,
            ino: None,
            dir_ino: None,
            lost: false,
            positions: Positions::default(),
            exit_status: 0,
            debug: 0,
            sources: 0,
            log_file: None,
            usage: None,
            done: false,
        })
    }

    /// The name of the device that has the filesystem.
    pub fn device_name(&self) -> String {
        self.device.name().to_owned()
    }

    /// Goes through the filesystem; damage on the way is told on standard error.
    pub fn scanner(&self) -> Scanner<'_> {
        Scanner::new(&*self.device, &self.geo).on_damage(&|error| eprintln!("{error}"))
    }

    /// Prints text at once, to standard output and to the file that `log start` named.
    pub fn show(&mut self, text: &str) {
        self.show_bytes(text.as_bytes());
    }

    /// The same for what need not be text, such as names of files.
    pub fn show_bytes(&mut self, bytes: &[u8]) {
        say_bytes(bytes);
        if let Some((name, file)) = &mut self.log_file
            && let Err(error) = file.write_all(bytes)
        {
            eprintln!("{name}: {error}");
        }
    }

    /// Fails unless commands may change the filesystem.
    ///
    /// # Errors
    ///
    /// An error with xfs_db 7.2's message is returned without expert mode and when the
    /// filesystem is open for reading only.
    pub fn check_expert(&self) -> Result<()> {
        if self.read_only || !self.expert {
            bail!("{}: not in expert mode, writing disabled", self.program);
        }
        Ok(())
    }

    /// The first superblock, unchecked.
    ///
    /// # Errors
    ///
    /// An error is returned if it cannot be read.
    pub fn superblock(&self) -> Result<Dsb> {
        let sector = self.read(0, BASIC_BLOCK)?;
        Ok(*Dsb::view(&sector)?)
    }

    /// The superblock of a group, if it is one at all.
    ///
    /// # Errors
    ///
    /// An error with xfs_db 7.2's message is returned if it has the wrong magic number or
    /// version, or mkfs has not finished.
    pub fn sound_superblock(&self, agno: u32) -> Result<Dsb> {
        let sector = self.read(self.geo.sb_daddr(agno), BASIC_BLOCK)?;
        let dsb = *Dsb::view(&sector)?;
        let (magic, version) = (dsb.magicnum.get(), dsb.versionnum.get());
        if magic != superblock::MAGIC {
            bail!("bad sb magic # {magic:#x} in AG {agno}");
        }
        if version & 0xf != 5 {
            bail!("bad sb version # {version:#x} in AG {agno}");
        }
        if agno == 0 && dsb.inprogress != 0 {
            bail!("mkfs not completed successfully");
        }
        Ok(dsb)
    }

    /// Writes bytes at a disk address of a device.
    ///
    /// # Errors
    ///
    /// An error is returned if the filesystem is open for reading only, or the device fails.
    pub fn write_to(&self, source: Source, daddr: u64, bytes: &[u8]) -> Result<()> {
        if self.read_only {
            bail!("{} started in read only mode, writing disabled", self.program);
        }
        let offset = daddr.checked_mul(BASIC_BLOCK as u64).context("address is too large")?;
        Ok(self.device_of(source)?.write_at(bytes, offset)?)
    }

    /// The device that is meant.
    ///
    /// # Errors
    ///
    /// An error is returned if the program was not told of it.
    pub fn device_of(&self, source: Source) -> Result<&FileDevice> {
        match source {
            Source::Data => Ok(&self.device),
            Source::Realtime => self.realtime.as_ref().context("no realtime device specified"),
            Source::Log => self.log_device.as_deref().context("no external log specified"),
        }
    }

    /// Reads `len` bytes at a disk address.
    ///
    /// # Errors
    ///
    /// An error is returned if the device fails or ends before.
    pub fn read(&self, daddr: u64, len: usize) -> Result<Vec<u8>> {
        self.read_from(Source::Data, daddr, len)
    }

    /// Reads `len` bytes at a disk address of a device.
    ///
    /// # Errors
    ///
    /// As [`Session::read`].
    pub fn read_from(&self, source: Source, daddr: u64, len: usize) -> Result<Vec<u8>> {
        let device = self.device_of(source)?;
        let offset = daddr.checked_mul(BASIC_BLOCK as u64).context("address is too large")?;
        let there = device.size().saturating_sub(offset);
        if there < len as u64 {
            bail!("error - read only {there} of {len} bytes");
        }
        let mut bytes = vec![0; len];
        device.read_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// Moves the cursor to `len` bytes at a disk address, taken for `kind`.
    ///
    /// # Errors
    ///
    /// As [`Session::read`].
    pub fn go(&mut self, kind: Type, daddr: u64, len: usize) -> Result<()> {
        self.go_on(Source::Data, kind, daddr, len)
    }

    /// The same on another device.
    ///
    /// # Errors
    ///
    /// As [`Session::read`].
    pub fn go_on(&mut self, source: Source, kind: Type, daddr: u64, len: usize) -> Result<()> {
        self.revisit(source, kind, daddr, len)?;
        self.note_visit();
        Ok(())
    }

    /// The same, unnoticed by the ring. If it cannot be read, the cursor is nowhere, as if the
    /// program had just started.
    ///
    /// # Errors
    ///
    /// An error is returned if the program was not told of the device.
    pub fn revisit(&mut self, source: Source, kind: Type, daddr: u64, len: usize) -> Result<()> {
        self.device_of(source)?;
        match self.read_from(source, daddr, len) {
            Ok(buffer) => self.set(Cursor { source, ..Cursor::new(kind, daddr, buffer) }),
            Err(error) => self.lose(&error),
        }
        Ok(())
    }

    /// Says on standard error why the cursor is nowhere now.
    fn lose(&mut self, error: &anyhow::Error) {
        eprintln!("{}: {error:#}", self.program);
        (self.cursor, self.ino, self.dir_ino, self.lost) = (None, None, None, true);
    }

    /// Puts where the cursor is into the ring.
    pub fn note_visit(&mut self) {
        if let Some(cursor) = &self.cursor {
            let (kind, source, daddr) = (cursor.kind, cursor.source, cursor.daddr);
            let len = cursor.buffer.len();
            self.positions.visit(Visit { kind, source, daddr, len, ino: self.ino });
        }
    }

    /// Moves the cursor to a block.
    ///
    /// # Errors
    ///
    /// As [`Session::read`].
    pub fn go_block(&mut self, kind: Type, block: FsBlock) -> Result<()> {
        let len = if kind == Type::Dir3 { self.geo.dir.block_size } else { self.geo.block_size };
        self.go(kind, self.geo.fsblock_daddr(block), len as usize)
    }

    /// Says that the current inode has a wrong checksum, if it has, as often as xfs_db 7.2 reads
    /// it again on its way.
    pub fn complain_of_inode(&mut self) {
        let Ok((_, bytes)) = self.current_inode() else { return };
        if let (Some(ino), false) = (self.ino, checksum::verify(&bytes, inode::CRC_OFFSET)) {
            self.show(&format!("Metadata CRC error detected for ino {ino}\n"));
        }
    }

    /// Puts the current inode into the ring, as often as xfs_db 7.2 passes it on its way to a
    /// block of the file.
    pub fn note_inode(&mut self, times: usize) {
        let Some(ino) = self.ino else { return };
        let (daddr, len, _) = self.geo.inode_buffer(ino, None);
        for _ in 0..times {
            self.complain_of_inode();
            let (kind, source) = (Type::Inode, Source::Data);
            self.positions.visit(Visit { kind, source, daddr, len, ino: self.ino });
        }
    }

    /// Takes what is at the cursor for another type, whose objects may be larger or smaller.
    ///
    /// # Errors
    ///
    /// An error is returned if the cursor is nowhere, or more bytes cannot be read.
    pub fn set_type(&mut self, kind: Type) -> Result<()> {
        let mut cursor = self.cursor.clone().context("no current object")?;
        let size = kind.size(&self.geo).map(|size| size as usize);
        if kind == Type::Inode && cursor.kind != Type::Inode {
            return self.set_inode_here(cursor.daddr * BASIC_BLOCK as u64 + cursor.offset as u64);
        }
        if let Some(size) = size.filter(|&size| size != cursor.len && kind != Type::Inode) {
            let len = size.next_multiple_of(BASIC_BLOCK);
            cursor.buffer = self.read_from(cursor.source, cursor.daddr, len)?;
            cursor.len = size;
            cursor.scattered.clear();
        }
        let same = cursor.kind == kind && kind == Type::Inode;
        cursor.kind = kind;
        if same {
            return Ok(());
        }
        self.set(cursor);
        Ok(())
    }

    /// Makes the inode at a byte address the current one.
    fn set_inode_here(&mut self, byte: u64) -> Result<()> {
        let block = self.geo.daddr_fsblock(byte / BASIC_BLOCK as u64);
        let (agno, agbno) = self.geo.fsblock_parts(block);
        let inside = byte % u64::from(self.geo.block_size) / u64::from(self.geo.inode.size);
        let first = u64::from(agbno) * u64::from(self.geo.inode.per_block);
        let agino = u32::try_from(first + inside).context("no inode can be here")?;
        self.go_inode(self.geo.ino(agno, agino))
    }

    /// Puts the cursor there, after looking at the checksum; a wrong one is only reported.
    pub fn set(&mut self, mut cursor: Cursor) {
        let data = cursor.data();
        let checked = cursor.kind.crc_offset(data);
        let inode_size = self.geo.inode.size as usize;
        let summed = match cursor.kind {
            Type::Dqblk => data.get(..136).unwrap_or(data),
            Type::Inode => data.get(..inode_size).unwrap_or(data),
            _ => data,
        };
        cursor.crc_ok = checked.map(|offset| checksum::verify(summed, offset));
        cursor.check_crc();
        match (cursor.crc_ok, self.ino) {
            // Coming back to inodes by the ring means all of their buffer.
            (_, Some(_)) if cursor.kind == Type::Inode && cursor.len > inode_size => {}
            (Some(false), Some(ino)) if cursor.kind == Type::Inode => {
                self.show(&format!("Metadata CRC error detected for ino {ino}\n"));
            }
            (Some(false), _) => complain(&cursor),
            (None, _) if cursor.kind == Type::Dir3 => {
                self.show("Unknown directory buffer type!\n");
            }
            _ => {}
        }
        self.cursor = Some(cursor);
        self.lost = false;
        self.positions.place();
    }

    /// Makes `ino` the current inode and moves the cursor there.
    ///
    /// # Errors
    ///
    /// An error is returned if there can be no such inode, or it cannot be read.
    pub fn go_inode(&mut self, ino: Ino) -> Result<()> {
        let (agno, agino) = self.geo.ino_parts(ino);
        let inside = agno < self.geo.ag_count && self.geo.agino_agbno(agino) < self.geo.ag_blocks;
        if !inside || self.geo.ino(agno, agino) != ino {
            bail!("bad inode number {}", ino.0 as i64);
        }
        let (daddr, len, offset) = self.geo.inode_buffer(ino, None);
        let buffer = self.read(daddr, len)?;
        self.agno = agno;
        self.ino = Some(ino);
        let len = self.geo.inode.size as usize;
        self.set(Cursor { offset, len, ..Cursor::new(Type::Inode, daddr, buffer) });
        self.note_visit();
        let is_dir = self.current_inode().is_ok_and(|(core, _)| core.file_type() == mode::DIR);
        if is_dir {
            self.dir_ino = Some(ino);
        }
        Ok(())
    }

    /// The current inode's core and all its bytes, read anew: the cursor may be elsewhere.
    ///
    /// # Errors
    ///
    /// An error is returned if there is no current inode, or it cannot be read.
    pub fn current_inode(&self) -> Result<(Dinode, Vec<u8>)> {
        self.inode_bytes(self.ino.context("no current inode")?)
    }

    /// An inode's core, read anew.
    ///
    /// # Errors
    ///
    /// An error is returned if it cannot be read.
    pub fn inode_core(&self, ino: Ino) -> Result<Dinode> {
        Ok(self.inode_bytes(ino)?.0)
    }

    fn inode_bytes(&self, ino: Ino) -> Result<(Dinode, Vec<u8>)> {
        let (daddr, len, offset) = self.geo.inode_buffer(ino, None);
        let buffer = self.read(daddr, len)?;
        let size = self.geo.inode.size as usize;
        let bytes = buffer.get(offset..offset + size).context("inode is not in its buffer")?;
        Ok((*Dinode::view(bytes, ino)?, bytes.to_vec()))
    }

    /// What the blocks of the current inode's data fork hold.
    ///
    /// # Errors
    ///
    /// An error is returned if there is no current inode, or it has no blocks.
    pub fn file_type(&self) -> Result<Type> {
        let (core, _) = self.current_inode()?;
        let ino = self.ino.unwrap_or(Ino::NULL);
        match FileType::from_mode(core.mode.get()) {
            FileType::Directory => Ok(Type::Dir3),
            FileType::Symlink => Ok(Type::Symlink),
            FileType::Regular if core.di_flags2().contains(DiFlags2::METADATA) => {
                Ok(metafile_type(core.metatype.get()))
            }
            FileType::Regular => Ok(match self.geo.internal_inodes {
                [bitmap, ..] if bitmap == ino => Type::Rtbitmap,
                [_, summary, ..] if summary == ino => Type::Rtsummary,
                [_, _, quotas @ ..] if quotas.contains(&ino) => Type::Dqblk,
                _ => Type::Data,
            }),
            _ => bail!("no type for file data"),
        }
    }

    /// The extents of a fork of the current inode. Damaged parts of its btree are left out
    /// with a message.
    ///
    /// # Errors
    ///
    /// An error is returned if there is no current inode.
    pub fn mapping(&self, fork: Fork) -> Result<Mapping> {
        self.mapping_of(self.ino.context("no current inode")?, fork)
    }

    /// The same for any inode.
    ///
    /// # Errors
    ///
    /// An error is returned if it cannot be read.
    pub fn mapping_of(&self, ino: Ino, fork: Fork) -> Result<Mapping> {
        let (core, bytes) = self.inode_bytes(ino)?;
        let space = core.fork(fork, &bytes);
        let format =
            if fork == Fork::Attr && core.forkoff == 0 { None } else { core.fork_format(fork) };
        let mut extents = Vec::new();
        match format {
            Some(ForkFormat::Extents) => {
                let count = usize::try_from(core.extent_count(fork)).unwrap_or(usize::MAX);
                extents.extend(extent::records(space).iter().take(count).map(Extent::decode));
            }
            Some(ForkFormat::Btree) => {
                let root = extent::Root::decode(space, &self.geo, ino, fork)?;
                for (_, child) in &root.children {
                    self.walk(*child, root.level.saturating_sub(1), &mut extents);
                }
            }
            _ => {}
        }
        Ok(Mapping { extents })
    }

    /// Adds the extents below a block of a fork's btree. Levels only go down, so this ends.
    fn walk(&self, block: FsBlock, level: u16, extents: &mut Vec<Extent>) {
        let kind = btree_block::BtreeKind::Bmap;
        let daddr = self.geo.fsblock_daddr(block);
        let checked = self.read(daddr, self.geo.block_size as usize).and_then(|bytes| {
            let header = btree_block::verify(&bytes, &self.geo, kind, daddr)?;
            if header.level != level {
                bail!("block {block} of the extent btree is on level {}", header.level);
            }
            Ok((header, bytes))
        });
        let (header, bytes) = match checked {
            Ok(found) => found,
            Err(error) => return eprintln!("{error:#}"),
        };
        let count = usize::from(header.numrecs);
        if level == 0 {
            let records = extent::records(bytes.get(kind.header_len()..).unwrap_or(&[]));
            extents.extend(records.iter().take(count).map(Extent::decode));
            return;
        }
        let most = self.geo.max_records(kind, false) as usize;
        for index in 0..count {
            let at = kind.ptr_offset(index, most);
            let child = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
            if let Some(child) = child {
                self.walk(FsBlock(u64::from_be_bytes(*child)), level - 1, extents);
            }
        }
    }

    /// Moves the cursor to file block `block` of a fork of the current inode.
    ///
    /// # Errors
    ///
    /// An error with the text `unmapped` is returned if no block is there.
    pub fn go_file_block(
        &mut self,
        fork: Fork,
        kind: Type,
        block: u64,
        unmapped: &str,
    ) -> Result<()> {
        let cursor = self.file_block(fork, kind, block, unmapped)?;
        self.set(cursor);
        self.note_visit();
        Ok(())
    }

    /// Reads file block `block` of a fork of the current inode.
    ///
    /// # Errors
    ///
    /// An error with the text `unmapped` is returned if no block is there.
    pub fn file_block(
        &mut self,
        fork: Fork,
        kind: Type,
        block: u64,
        unmapped: &str,
    ) -> Result<Cursor> {
        let extents = self.mapping(fork)?.extents;
        self.note_inode(2);
        let within = |block: u64| extents.iter().find(|e| e.offset <= block && block < e.end());
        let found = |block: u64| {
            within(block).map(|extent| FsBlock(extent.start.0 + (block - extent.offset)))
        };
        let Some(first) = found(block) else { bail!("{unmapped}") };
        let blocks = if kind == Type::Dir3 { u64::from(self.geo.dir.fs_blocks) } else { 1 };
        // What follows the only mapping there is taken for its continuation.
        let single = (1..blocks).all(|step| match within(block + step) {
            Some(next) => within(block) == Some(next),
            None => true,
        });
        let (mut buffer, mut scattered) = (Vec::new(), Vec::new());
        for step in 0..blocks {
            let next = if single { Some(FsBlock(first.0 + step)) } else { found(block + step) };
            let Some(part) = next else { bail!("{unmapped}") };
            let daddr = self.geo.fsblock_daddr(part);
            scattered.push(daddr);
            buffer.extend(self.read(daddr, self.geo.block_size as usize)?);
        }
        let daddr = self.geo.fsblock_daddr(first);
        Ok(Cursor { scattered, ..Cursor::new(kind, daddr, buffer) })
    }

    /// Moves the cursor to a block of the current inode, a file in the realtime section.
    ///
    /// # Errors
    ///
    /// An error with the text `unmapped` is returned if no block is there.
    pub fn go_realtime_file_block(&mut self, block: u64, unmapped: &str) -> Result<()> {
        let extents = self.mapping(Fork::Data)?.extents;
        self.note_inode(2);
        let within = extents.iter().find(|e| e.offset <= block && block < e.end());
        let Some(extent) = within else { bail!("{unmapped}") };
        self.go_realtime_block(Type::Data, extent.start.0 + (block - extent.offset))
    }

    /// Where the realtime section is. Without a device of its own it is taken to be on the data
    /// device, as xfs_db does.
    pub fn realtime_source(&self) -> Source {
        if self.realtime.is_some() { Source::Realtime } else { Source::Data }
    }

    /// Moves the cursor to a realtime block.
    ///
    /// # Errors
    ///
    /// As [`Session::read`].
    pub fn go_realtime_block(&mut self, kind: Type, block: u64) -> Result<()> {
        let daddr = self.geo.rt_block_daddr(block);
        self.go_on(self.realtime_source(), kind, daddr, self.geo.block_size as usize)
    }

    /// The object at the cursor, for fields to look at.
    pub fn place(&self) -> Option<Place<'_>> {
        let cursor = self.cursor.as_ref()?;
        Some(Place { data: cursor.data(), geo: &self.geo, crc_ok: cursor.crc_ok, start: 0 })
    }
}

/// What the blocks of a metadata file of this kind hold.
fn metafile_type(number: u16) -> Type {
    match MetafileType::from_disk(number) {
        Some(MetafileType::UserQuota | MetafileType::GroupQuota | MetafileType::ProjectQuota) => {
            Type::Dqblk
        }
        Some(MetafileType::RtBitmap) => Type::Rgbitmap,
        Some(MetafileType::RtSummary) => Type::Rgsummary,
        _ => Type::Data,
    }
}

/// Says that the object at the cursor has a wrong checksum, as xfs_db does.
fn complain(cursor: &Cursor) {
    let name = cursor.kind.complaint_name();
    let (daddr, len) = (cursor.daddr, cursor.buffer.len());
    eprintln!("Metadata CRC error detected at {name} block {daddr:#x}/{len:#x}");
}

/// The geometry by the first superblock, or if that one is damaged, by another.
fn find_geometry(device: &FileDevice, path: &Path, force: bool) -> Result<Geometry> {
    let mut sector = [0; BASIC_BLOCK];
    let short = || format!("{} is invalid (cannot read first 512 bytes)", path.display());
    device.read_at(&mut sector, 0).with_context(short)?;
    let first = Dsb::view(&sector)?;
    let magic = first.magicnum.get();
    if magic != superblock::MAGIC && !force {
        bail!(
            "{} is not a valid XFS filesystem (unexpected SB magic number {magic:#010x})\n\
             Use -F to force a read attempt.",
            path.display()
        );
    }
    let why = match Geometry::new(first) {
        Ok(geo) => return Ok(geo),
        Err(why) => why,
    };
    match find_backup(device) {
        Some((daddr, geo)) => {
            eprintln!("{why}; using the backup at daddr {daddr}");
            Ok(geo)
        }
        None => Err(why.into()),
    }
}

/// Looks for a sound backup superblock in the first 16 GiB.
fn find_backup(device: &FileDevice) -> Option<(u64, Geometry)> {
    const STEP: usize = 1 << 20;
    const LIMIT: u64 = 16 << 30;
    let mut chunk = vec![0; STEP];
    for start in (0..device.size().min(LIMIT)).step_by(STEP) {
        let len = usize::try_from(device.size() - start).unwrap_or(STEP).min(STEP);
        let bytes = chunk.get_mut(..len)?;
        device.read_at(bytes, start).ok()?;
        for offset in (0..len).step_by(BASIC_BLOCK) {
            let Some(sector) = bytes.get(offset..) else { continue };
            let daddr = (start + offset as u64) / BASIC_BLOCK as u64;
            if daddr == 0 || !sector.starts_with(&superblock::MAGIC.to_be_bytes()) {
                continue;
            }
            if let Ok(found) = superblock::Superblock::decode_at(sector, daddr)
                && let Ok(geo) = Geometry::new(&found.dsb)
            {
                return Some((daddr, geo));
            }
        }
    }
    None
}

/// Writes text to standard output; nobody may be reading any more.
pub fn say(text: &str) {
    say_bytes(text.as_bytes());
}

fn say_bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}
