//! Attributes that fit in the inode.

use super::AttrFlags;
use crate::format::geometry::Ino;
use crate::format::{Check, assert_layout, overlay};
use crate::{At, Result};
use zerocopy::byteorder::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

const NAME: &str = "shortform attributes";
/// Name length, value length and flags, before each name.
const ENTRY_HEAD: usize = 3;

/// Header of the list (`xfs_attr_sf_hdr`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct ShortHeader {
    /// Bytes of the list, this header included.
    pub totsize: U16,
    /// Attributes.
    pub count: u8,
    /// Zero.
    pub padding: u8,
}

assert_layout!(ShortHeader, 4, count @ 2);

/// One attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Namespace.
    pub flags: AttrFlags,
    /// Name without namespace.
    pub name: Vec<u8>,
    /// Value.
    pub value: Vec<u8>,
}

impl Entry {
    /// Bytes in the list.
    pub fn size(&self) -> usize {
        ENTRY_HEAD + self.name.len() + self.value.len()
    }
}

/// The list of attributes in an inode.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShortForm {
    /// Attributes in the order they were made.
    pub entries: Vec<Entry>,
}

impl ShortForm {
    /// Decodes the attribute fork of inode `ino`.
    ///
    /// # Errors
    ///
    /// An error is returned if the list does not fit the fork or its entries do not fill it.
    pub fn decode(fork: &[u8], ino: Ino) -> Result<Self> {
        let at = At::Inode(ino.0);
        let check = Check::new(NAME, at);
        let header: &ShortHeader = overlay(fork, NAME, at)?;
        let size = usize::from(header.totsize.get());
        let mut rest = fork
            .get(size_of::<ShortHeader>()..size)
            .ok_or_else(|| check.fail(format!("totsize {size} in {} bytes", fork.len())))?;
        let mut entries = Vec::with_capacity(header.count.into());
        for index in 0..header.count {
            let entry = take_entry(&mut rest);
            let entry = entry
                .ok_or_else(|| check.fail(format!("attribute {index} reaches beyond the end")))?;
            check.that(!entry.name.is_empty(), || format!("attribute {index} has no name"))?;
            entry.flags.verify(&check)?;
            entries.push(entry);
        }
        check.that(rest.is_empty(), || format!("{} bytes after the last attribute", rest.len()))?;
        Ok(ShortForm { entries })
    }

    /// As it lies on disk.
    pub fn encode(&self) -> Vec<u8> {
        let size = self.encoded_size();
        let header = ShortHeader {
            totsize: (size as u16).into(),
            count: self.entries.len() as u8,
            padding: 0,
        };
        let mut bytes = Vec::with_capacity(size);
        bytes.extend_from_slice(header.as_bytes());
        for entry in &self.entries {
            let head = [entry.name.len() as u8, entry.value.len() as u8, entry.flags.bits()];
            bytes.extend_from_slice(&head);
            bytes.extend_from_slice(&entry.name);
            bytes.extend_from_slice(&entry.value);
        }
        bytes
    }

    /// Bytes that [`ShortForm::encode`] gives.
    pub fn encoded_size(&self) -> usize {
        size_of::<ShortHeader>() + self.entries.iter().map(Entry::size).sum::<usize>()
    }
}

fn take_entry(rest: &mut &[u8]) -> Option<Entry> {
    let (&[name_len, value_len, flags], after) = rest.split_first_chunk::<ENTRY_HEAD>()?;
    let (name, after) = after.split_at_checked(name_len.into())?;
    let (value, after) = after.split_at_checked(value_len.into())?;
    *rest = after;
    Some(Entry {
        flags: AttrFlags::from_bits_retain(flags),
        name: name.to_vec(),
        value: value.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn survives(list in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 1..9), prop::collection::vec(any::<u8>(), 0..9)),
            0..9,
        )) {
            let entries = list.into_iter()
                .map(|(name, value)| Entry { flags: AttrFlags::ROOT, name, value })
                .collect();
            let form = ShortForm { entries };
            let bytes = form.encode();
            prop_assert_eq!(bytes.len(), form.encoded_size());
            prop_assert_eq!(ShortForm::decode(&bytes, Ino(1)).unwrap(), form);
        }

        #[test]
        fn garbage_is_an_error_or_a_list(bytes: Vec<u8>) {
            let _ = ShortForm::decode(&bytes, Ino(1));
        }
    }
}
