//! Reading a dump from a stream.

use super::format::{
    ExtentHeader, HeaderV2, IndexHeader, Info, MAGIC_V1, MAGIC_V2, SECTOR, SECTOR_LOG, Section,
    V2_DADDR_BITS, V2_REALTIME, index_capacity,
};
use crate::{Error, Result};
use std::io::{ErrorKind, Read};
use std::ops::Range;
use zerocopy::{FromZeros, IntoBytes};

/// Most bytes of an extent that are handed out at once.
const PIECE: usize = 1 << 20;
/// Largest sector of version 1 that is believed, as log2: no sector of XFS is larger.
const SECTOR_LOG_MAX: u8 = 15;

/// A piece of a dump: where its bytes belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The device.
    pub section: Section,
    /// Byte offset on it.
    pub offset: u64,
}

/// Reads a dump of either version, in order and in little memory.
pub struct Reader<R> {
    input: R,
    info: Info,
    /// The bytes of the piece, or of all pieces of a group.
    bytes: Vec<u8>,
    pieces: Pieces,
    /// Whether the first piece was handed out.
    started: bool,
}

/// What is left to be read.
enum Pieces {
    Groups {
        header: IndexHeader,
        /// The addresses of the group in memory.
        index: Vec<u8>,
        /// Its next sector.
        next: usize,
    },
    Extents {
        place: Place,
        /// Bytes left of the extent.
        left: u64,
    },
    End,
}

impl<R: Read> Reader<R> {
    /// Begins to read the dump in `input`, which should be buffered.
    ///
    /// # Errors
    ///
    /// An error is returned if `input` fails or ends, or is no dump of a known format.
    pub fn new(mut input: R) -> Result<Self> {
        let mut magic = [0; 4];
        let unreadable = |e| Error::io("Unable to read metadump magic from metadump file", e);
        input.read_exact(&mut magic).map_err(unreadable)?;
        let (info, pieces) = match u32::from_be_bytes(magic) {
            MAGIC_V1 => {
                let mut header = IndexHeader::new_zeroed();
                fill(&mut input, header.as_mut_bytes().get_mut(4..).unwrap_or_default())?;
                (Info::from_v1(header.info), Pieces::Groups { header, index: Vec::new(), next: 0 })
            }
            MAGIC_V2 => {
                let mut header = HeaderV2::new_zeroed();
                fill(&mut input, header.as_mut_bytes().get_mut(4..).unwrap_or_default())?;
                if header.incompat.get() & !V2_REALTIME != 0 {
                    return Err(refuse("Metadump header has unknown incompat flags set"));
                }
                if header.reserved.get() != 0 {
                    return Err(refuse("Metadump header's reserved field has a non-zero value"));
                }
                let place = Place { section: Section::Data, offset: 0 };
                (Info::from_v2(&header), Pieces::Extents { place, left: 0 })
            }
            _ => return Err(refuse("specified file is not a metadata dump")),
        };
        Ok(Reader { input, info, bytes: Vec::new(), pieces, started: false })
    }

    /// What the dump says about itself.
    pub fn info(&self) -> Info {
        self.info
    }

    /// The next piece, in the order of the dump; `None` at the end. The first is the
    /// superblock or starts with it.
    ///
    /// # Errors
    ///
    /// An error is returned if the input fails or ends in the middle, or an index block or
    /// the address of an extent is impossible.
    pub fn next_piece(&mut self) -> Result<Option<(Place, &[u8])>> {
        let place = match self.pieces {
            Pieces::Groups { .. } => self.next_sector()?,
            Pieces::Extents { .. } => self.next_part()?,
            Pieces::End => None,
        };
        let Some((place, range)) = place else {
            self.pieces = Pieces::End;
            return Ok(None);
        };
        self.started = true;
        Ok(self.bytes.get(range).map(|bytes| (place, bytes)))
    }

    fn next_sector(&mut self) -> Result<Option<(Place, Range<usize>)>> {
        let Pieces::Groups { header, index, next } = &mut self.pieces else { return Ok(None) };
        if *next >= index.len() / size_of::<u64>() {
            if self.started {
                if usize::from(header.count.get()) < index_capacity(1 << header.blocklog) {
                    return Ok(None);
                }
                let blocklog = header.blocklog;
                fill(&mut self.input, header.as_mut_bytes())?;
                if header.magic.get() != MAGIC_V1 || header.blocklog != blocklog {
                    return Err(refuse("bad magic number for metablock"));
                }
            }
            read_group(&mut self.input, header, self.started, index, &mut self.bytes)?;
            *next = 0;
        }
        let Some(address) = index.as_chunks::<8>().0.get(*next) else { return Ok(None) };
        let sector = 1usize << header.blocklog;
        let start = *next * sector;
        *next += 1;
        let offset = u64::from_be_bytes(*address).saturating_mul(sector as u64);
        Ok(Some((Place { section: Section::Data, offset }, start..start + sector)))
    }

    fn next_part(&mut self) -> Result<Option<(Place, Range<usize>)>> {
        let Pieces::Extents { mut place, mut left } = self.pieces else { return Ok(None) };
        while left == 0 {
            let Some(extent) = self.next_extent()? else {
                return if self.started {
                    Ok(None)
                } else {
                    Err(cut_short(ErrorKind::UnexpectedEof.into()))
                };
            };
            let (address, len) = (extent.address.get(), extent.len.get());
            if !self.started && address != 0 {
                return Err(refuse(format!("Invalid superblock disk address {address:#x}")));
            }
            if !self.started && (len == 0 || len as usize > (1 << SECTOR_LOG_MAX) / SECTOR) {
                return Err(refuse(format!("Invalid superblock disk length {len:#x}")));
            }
            let section = Section::from_disk(address >> V2_DADDR_BITS)
                .ok_or_else(|| refuse("Invalid device found in metadump"))?;
            let daddr = address & ((1 << V2_DADDR_BITS) - 1);
            place = Place { section, offset: daddr.saturating_mul(SECTOR as u64) };
            left = u64::from(len) * SECTOR as u64;
        }
        let size = left.min(PIECE as u64);
        self.bytes.resize(size as usize, 0);
        fill(&mut self.input, &mut self.bytes)?;
        let after = Place { offset: place.offset.saturating_add(size), ..place };
        self.pieces = Pieces::Extents { place: after, left: left - size };
        Ok(Some((place, 0..size as usize)))
    }

    /// The header of the next extent; `None` at the end of the dump.
    fn next_extent(&mut self) -> Result<Option<ExtentHeader>> {
        let mut extent = ExtentHeader::new_zeroed();
        let (first, rest) = extent.as_mut_bytes().split_at_mut(1);
        let started = loop {
            match self.input.read(first) {
                Ok(count) => break count > 0,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(cut_short(error)),
            }
        };
        if !started {
            return Ok(None);
        }
        fill(&mut self.input, rest)?;
        Ok(Some(extent))
    }
}

/// Reads the rest of a group whose header was read.
fn read_group(
    input: &mut impl Read,
    header: &IndexHeader,
    may_be_empty: bool,
    index: &mut Vec<u8>,
    bytes: &mut Vec<u8>,
) -> Result<()> {
    if !(SECTOR_LOG..=SECTOR_LOG_MAX).contains(&header.blocklog) {
        return Err(refuse(format!("bad sector size 2^{} in metadump image", header.blocklog)));
    }
    let sector = 1usize << header.blocklog;
    let count = usize::from(header.count.get());
    if count > index_capacity(sector) || count == 0 && !may_be_empty {
        return Err(refuse(format!("bad block count: {count}")));
    }
    index.resize(sector - size_of::<IndexHeader>(), 0);
    fill(input, index)?;
    index.truncate(count * size_of::<u64>());
    bytes.resize(count * sector, 0);
    fill(input, bytes)?;
    if !may_be_empty && !index.starts_with(&[0; size_of::<u64>()]) {
        return Err(refuse("first block is not the primary superblock"));
    }
    Ok(())
}

fn fill(input: &mut impl Read, bytes: &mut [u8]) -> Result<()> {
    input.read_exact(bytes).map_err(cut_short)
}

fn cut_short(error: std::io::Error) -> Error {
    Error::io("error reading from metadump file", error)
}

fn refuse(why: impl Into<String>) -> Error {
    Error::Incompatible(why.into())
}
