//! Structures in the byte order of the logging machine: one definition, both orders.

use crate::error::{At, Error, Result};

/// Byte order of the machine that wrote a log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogEndian {
    /// x86, arm, riscv and most others (`XLOG_FMT_LINUX_LE`).
    Little,
    /// s390, big-endian powerpc and mips (`XLOG_FMT_LINUX_BE`).
    Big,
}

impl LogEndian {
    /// The order this machine logs in.
    pub const NATIVE: LogEndian =
        if cfg!(target_endian = "little") { LogEndian::Little } else { LogEndian::Big };

    /// The order that `h_fmt` names; `None` for the formats Linux refuses.
    pub const fn from_format(h_fmt: u32) -> Option<Self> {
        match h_fmt {
            1 => Some(LogEndian::Little),
            2 => Some(LogEndian::Big),
            _ => None,
        }
    }

    /// The number that two bytes in this order are.
    pub const fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            LogEndian::Little => u16::from_le_bytes(bytes),
            LogEndian::Big => u16::from_be_bytes(bytes),
        }
    }

    /// The value of `h_fmt` for this order.
    pub const fn format(self) -> u32 {
        match self {
            LogEndian::Little => 1,
            LogEndian::Big => 2,
        }
    }
}

/// Takes fields off the front of a region, each checked against what is left.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    endian: LogEndian,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, logged in order `endian`.
    pub fn new(bytes: &'a [u8], endian: LogEndian) -> Self {
        Reader { bytes, at: 0, endian }
    }

    /// The order fields are read in.
    pub fn endian(&self) -> LogEndian {
        self.endian
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `N` bytes.
    ///
    /// An error is returned if fewer are left.
    pub fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        let Some(bytes) = bytes else {
            let have = self.remaining();
            let why = format!("a region ends after {have} of {N} bytes of a field");
            return Err(Error::corrupt("log item", At::Byte(self.at), why));
        };
        self.at += N;
        Ok(*bytes)
    }

    /// The next field.
    ///
    /// An error is returned if the region ends before it does.
    pub fn field<T: Wire>(&mut self) -> Result<T> {
        T::get(self)
    }
}

/// A value that can be read from and written to a log region in either byte order.
pub trait Wire: Sized {
    /// Bytes it takes in the log.
    const SIZE: usize;

    /// Reads the value off the front of `reader`.
    ///
    /// An error is returned if the region is too short.
    fn get(reader: &mut Reader<'_>) -> Result<Self>;

    /// Appends the value to `out` in order `endian`.
    fn put(&self, endian: LogEndian, out: &mut Vec<u8>);

    /// Reads the value from the front of `bytes`.
    ///
    /// An error is returned if `bytes` is too short.
    fn decode(endian: LogEndian, bytes: &[u8]) -> Result<Self> {
        Self::get(&mut Reader::new(bytes, endian))
    }

    /// The value as bytes in order `endian`.
    fn encode(&self, endian: LogEndian) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::SIZE);
        self.put(endian, &mut out);
        out
    }
}

macro_rules! wire_integers {
    ($($int:ty),*) => {$(
        impl Wire for $int {
            const SIZE: usize = size_of::<$int>();

            fn get(reader: &mut Reader<'_>) -> Result<Self> {
                let bytes = reader.take()?;
                Ok(match reader.endian() {
                    LogEndian::Little => <$int>::from_le_bytes(bytes),
                    LogEndian::Big => <$int>::from_be_bytes(bytes),
                })
            }

            fn put(&self, endian: LogEndian, out: &mut Vec<u8>) {
                match endian {
                    LogEndian::Little => out.extend_from_slice(&self.to_le_bytes()),
                    LogEndian::Big => out.extend_from_slice(&self.to_be_bytes()),
                }
            }
        }
    )*};
}

wire_integers!(u8, i8, u16, u32, u64, i32, i64);

impl<const N: usize> Wire for [u8; N] {
    const SIZE: usize = N;

    fn get(reader: &mut Reader<'_>) -> Result<Self> {
        reader.take()
    }

    fn put(&self, _: LogEndian, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

/// A 32-bit field that is big-endian whatever machine logged it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Be32(pub u32);

impl Wire for Be32 {
    const SIZE: usize = 4;

    fn get(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Be32(u32::from_be_bytes(reader.take()?)))
    }

    fn put(&self, _: LogEndian, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
}

/// Defines a structure of a log item: its fields in log order, and its size in bytes,
/// which is asserted at compile time.
macro_rules! wire_struct {
    ($(#[$meta:meta])* $vis:vis struct $name:ident [$size:literal] {
        $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $ty:ty,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $ty,)*
        }

        impl $crate::format::log::wire::Wire for $name {
            const SIZE: usize = 0 $(+ <$ty as $crate::format::log::wire::Wire>::SIZE)*;

            fn get(
                reader: &mut $crate::format::log::wire::Reader<'_>,
            ) -> $crate::error::Result<Self> {
                Ok($name { $($field: reader.field()?,)* })
            }

            fn put(&self, endian: $crate::format::log::wire::LogEndian, out: &mut Vec<u8>) {
                $($crate::format::log::wire::Wire::put(&self.$field, endian, out);)*
            }
        }

        const _: () = assert!(<$name as $crate::format::log::wire::Wire>::SIZE == $size);
    };
}
pub(crate) use wire_struct;
