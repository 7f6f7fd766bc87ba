//! Tables that say how each structure is laid out, printed and walked: one table serves
//! `print`, field paths such as `u3.bmx[2].startblock`, and `addr`.
//!
//! Names, order and number formats are those of xfs_db 7.2. Bytes that are not there read
//! as zero, so a table can be applied to any block, however damaged.

pub mod ag;
pub mod attr;
pub mod btree;
pub mod dir;
pub mod dquot;
pub mod inode;
pub mod json;
pub mod path;
pub mod print;
pub mod realtime;
pub mod superblock;
pub mod symlink;

use crate::types::Type;
use libfs::format::geometry::Geometry;

/// One structure's bytes, as fields look at them.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// All bytes of the object: a block, or one inode.
    pub data: &'a [u8],
    /// The filesystem's geometry.
    pub geo: &'a Geometry,
    /// Whether the object's checksum is right, `None` if it has none.
    pub crc_ok: Option<bool>,
    /// Where the enclosing structure starts, in bits.
    pub start: usize,
}

impl<'a> Place<'a> {
    /// The same object, looked at from another start.
    pub fn at(&self, start: usize) -> Self {
        Place { start, ..*self }
    }

    /// `width` bits from bit `at` of the object, most significant first; bits beyond the
    /// end are zero.
    pub fn bits(&self, at: usize, width: usize) -> u64 {
        if at.is_multiple_of(8) && width.is_multiple_of(8) {
            let bytes = (0..width / 8).map(|i| self.data.get(at / 8 + i).copied().unwrap_or(0));
            return bytes.fold(0, |value, byte| value << 8 | u64::from(byte));
        }
        (at..at.saturating_add(width)).fold(0, |value, bit| {
            let byte = self.data.get(bit / 8).copied().unwrap_or(0);
            value << 1 | u64::from(byte >> (7 - bit % 8) & 1)
        })
    }

    /// An unsigned number of `N` bytes, `offset` bytes after the start.
    pub fn number<const N: usize>(&self, offset: usize) -> u64 {
        self.bits(self.start + offset * 8, N * 8)
    }

    /// An unsigned number of `N` bytes, at byte `offset` of the object.
    pub fn root_number<const N: usize>(&self, offset: usize) -> u64 {
        self.bits(offset * 8, N * 8)
    }

    /// Byte offset of the start.
    pub fn byte(&self) -> usize {
        self.start / 8
    }
}

/// Where a field is, relative to the enclosing structure.
#[derive(Clone, Copy)]
pub enum At {
    /// Bytes after its start.
    Byte(usize),
    /// Bits after its start.
    Bit(usize),
    /// Bits after its start, for element `index` of an array.
    Func(fn(&Place, usize) -> usize),
}

/// How many there are.
#[derive(Clone, Copy)]
pub enum Count {
    /// One.
    One,
    /// One, if this holds.
    If(fn(&Place) -> bool),
    /// An array.
    Many(fn(&Place) -> usize),
}

impl Count {
    fn of(self, place: &Place) -> usize {
        match self {
            Count::One => 1,
            Count::If(present) => usize::from(present(place)),
            Count::Many(count) => count(place),
        }
    }
}

/// Special values of a number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Null {
    /// None.
    Plain,
    /// All ones prints as "null".
    Named,
    /// All ones prints as nothing.
    Skipped,
    /// All ones prints as "null", zero as nothing.
    ZeroSkipped,
    /// Zero prints as nothing.
    OnlyZeroSkipped,
}

/// How a number is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// Decimal.
    Decimal,
    /// Decimal of a two's complement number.
    Signed,
    /// Hexadecimal with 0x, zero as "0".
    Hex,
    /// Octal with a leading zero.
    Octal,
}

/// What a field is.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A structure printed one field to a line; bytes of each, if it is an array.
    Group(&'static [Field], usize),
    /// A structure printed as `[a,b,c]`; bytes of each.
    Row(&'static [Field], usize),
    /// A number of some bits.
    Number(usize, Base, Null),
    /// The structure's checksum.
    Crc,
    /// 16 bytes.
    Uuid,
    /// Text of this many bytes.
    Text(fn(&Place) -> usize),
    /// Seconds of an inode's timestamp.
    Seconds,
    /// Nanoseconds of an inode's timestamp.
    Nanos,
    /// When a soft limit of a quota record becomes hard.
    QuotaTimer,
    /// Format of a fork.
    Format,
    /// Kind of metadata file.
    MetaType,
}

impl Kind {
    /// Bits of one element.
    pub fn width(&self) -> usize {
        match self {
            Kind::Group(_, bytes) | Kind::Row(_, bytes) => bytes * 8,
            Kind::Number(bits, ..) => *bits,
            Kind::Crc => 32,
            Kind::Uuid => 128,
            Kind::Text(_) | Kind::Format => 8,
            Kind::Seconds | Kind::Nanos | Kind::QuotaTimer => 32,
            Kind::MetaType => 16,
        }
    }
}

/// Where `addr` goes from a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Nowhere.
    None,
    /// Nowhere, although xfs_db knows a type of block; the name it has for the field's type.
    Unknown(&'static str),
    /// A block of the current allocation group.
    AgBlock(Type),
    /// A block of the filesystem.
    FsBlock(Type),
    /// A block of the current inode's data fork, of the type its contents have.
    FileData,
    /// A block of the filesystem that belongs to the current inode's data fork.
    FileFsBlock,
    /// A block of the current directory beside or below another one, by file block: never 0.
    DirBlock,
    /// A block of the current inode's attribute fork.
    AttrBlock,
    /// The same, beside or below another block: never 0.
    AttrSibling,
    /// An inode of the current allocation group.
    AgInode,
    /// An inode.
    Inode,
}

/// One field of a structure.
#[derive(Clone, Copy)]
pub struct Field {
    /// Name, one component of a path.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub at: At,
    /// How many there are.
    pub count: Count,
    /// Index of the first element of an array.
    pub first: usize,
    /// Printed only when asked for by name.
    pub hidden: bool,
    /// Where `addr` goes.
    pub link: Link,
}

impl Field {
    /// A field that is always there once, `at` bytes after the start of its structure.
    pub const fn new(name: &'static str, kind: Kind, at: usize) -> Self {
        Field {
            name,
            kind,
            at: At::Byte(at),
            count: Count::One,
            first: 0,
            hidden: false,
            link: Link::None,
        }
    }

    /// The same, at a number of bits.
    pub const fn at_bit(mut self, bit: usize) -> Self {
        self.at = At::Bit(bit);
        self
    }

    /// The same, at a place to be computed.
    pub const fn at_func(mut self, at: fn(&Place, usize) -> usize) -> Self {
        self.at = At::Func(at);
        self
    }

    /// The same, only if `present`.
    pub const fn when(mut self, present: fn(&Place) -> bool) -> Self {
        self.count = Count::If(present);
        self
    }

    /// An array of these.
    pub const fn many(mut self, count: fn(&Place) -> usize) -> Self {
        self.count = Count::Many(count);
        self
    }

    /// The same, with array indices that start at 1.
    pub const fn counted_from_one(mut self) -> Self {
        self.first = 1;
        self
    }

    /// The same, printed only when asked for by name.
    pub const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// The same, with a place for `addr` to go.
    pub const fn link(mut self, link: Link) -> Self {
        self.link = link;
        self
    }

    /// How many there are.
    pub fn count(&self, place: &Place) -> usize {
        match (self.count, &self.kind) {
            // Text of no bytes is as good as not there.
            (Count::One | Count::If(_), Kind::Text(len)) if len(place) == 0 => 0,
            (count, _) => count.of(place),
        }
    }

    /// Whether it is an array, even of one element.
    pub fn is_array(&self) -> bool {
        matches!(self.count, Count::Many(_))
    }

    /// Bit of the object where element `index`, counted from 0, starts.
    pub fn position(&self, place: &Place, index: usize) -> usize {
        let step = index.saturating_mul(self.kind.width());
        let offset = match self.at {
            At::Byte(bytes) => bytes * 8 + step,
            At::Bit(bits) => bits + step,
            At::Func(at) => at(place, index),
        };
        place.start.saturating_add(offset)
    }
}

/// Decimal numbers.
pub const fn dec(name: &'static str, bits: usize, at: usize) -> Field {
    Field::new(name, Kind::Number(bits, Base::Decimal, Null::Plain), at)
}

/// Hexadecimal numbers.
pub const fn hex(name: &'static str, bits: usize, at: usize) -> Field {
    Field::new(name, Kind::Number(bits, Base::Hex, Null::Plain), at)
}

/// Decimal numbers of which all ones means "null".
pub const fn nul(name: &'static str, bits: usize, at: usize) -> Field {
    Field::new(name, Kind::Number(bits, Base::Decimal, Null::Named), at)
}

/// A checksum.
pub const fn crc(name: &'static str, at: usize) -> Field {
    Field::new(name, Kind::Crc, at)
}

/// A UUID.
pub const fn uuid(name: &'static str, at: usize) -> Field {
    Field::new(name, Kind::Uuid, at)
}

/// A single bit, at bit `at` of its structure.
pub const fn flag(name: &'static str, at: usize) -> Field {
    dec(name, 1, 0).at_bit(at)
}
