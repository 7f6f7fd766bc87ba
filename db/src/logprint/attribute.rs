//! A change of an extended attribute (ATTRI): its format, then names and values in regions of
//! their own, then what they say of a parent.

use super::fields::Region;
use std::fmt::Write;

/// `XFS_ATTRI_OP_FLAGS_PPTR_REPLACE`: both lengths of names share a field.
const REPLACE_PARENT: u32 = 6;
/// `XFS_ATTR_PARENT`, among the bits of the namespace.
const PARENT: u32 = 1 << 3;

/// What the format says of the regions that follow.
pub(super) struct Attribute {
    is_parent: bool,
    /// Name, new name, value, new value: bytes of each; 0 if there is none.
    lengths: [u32; 4],
}

impl Attribute {
    /// Prints the format of the change.
    pub(super) fn format(region: Region<'_>, out: &mut String) -> Self {
        let (operation, value, filter) = (region.u32(24) & 0xff, region.u32(32), region.u32(36));
        let replaces = operation == REPLACE_PARENT;
        let (name, new_name) = match replaces {
            true => (u32::from(region.u16(28)), u32::from(region.u16(30))),
            false => (region.u32(28), 0),
        };
        let new_value = if replaces { value } else { 0 };
        let _ = writeln!(
            out,
            "ATTRI:  #regs: {}\tf: {operation:#x}, ino: {:#x}, igen: {:#x}, attr_filter: \
             {filter:#x}, name_len: {name}, new_name_len: {new_name}, value_len: {value}, \
             new_value_len: {new_value}  id: {:#x}",
            region.u16(2),
            region.u64(16),
            region.u32(4),
            region.u64(8)
        );
        Attribute { is_parent: filter & PARENT != 0, lengths: [name, new_name, value, new_value] }
    }

    /// The regions that follow: a word for each and its bytes without padding.
    fn parts(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let words = ["name", "newname", "value", "newvalue"].into_iter().zip(self.lengths);
        words.filter(|(_, length)| *length > 0).map(|(word, length)| (word, length as usize))
    }

    /// Prints region `index`, counted from 0, as much of it as `shown` says.
    pub(super) fn part(&self, index: usize, region: Region<'_>, shown: Shown, out: &mut String) {
        let Some((word, length)) = self.parts().nth(index) else { return };
        let bytes = match shown {
            Shown::WholeRegion => region.bytes,
            Shown::WithoutPadding => region.bytes.get(..length).unwrap_or(region.bytes),
        };
        let _ = writeln!(out, "ATTRI:  {word} len:{}", bytes.len());
        dump(bytes, out);
    }

    /// Prints what all the regions together say of one parent, or of an old and a new one.
    pub(super) fn parents(&self, regions: &[Region<'_>], out: &mut String) {
        if !self.is_parent {
            return;
        }
        let find = |wanted: &str| {
            let index = self.parts().position(|(word, _)| word == wanted)?;
            let (_, length) = self.parts().nth(index)?;
            regions.get(index).map(|region| region.bytes.get(..length).unwrap_or(region.bytes))
        };
        let (old, new) = (find("name").zip(find("value")), find("newname").zip(find("newvalue")));
        for (title, found) in
            [(if new.is_some() { "OLDNAME" } else { "NAME" }, old), ("NEWNAME", new)]
        {
            if let Some((name, value)) = found {
                parent(title, name, value, out);
            }
        }
    }
}

/// How much of a region is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// With its padding.
    WholeRegion,
    /// Only what counts.
    WithoutPadding,
}

/// The name under a parent, and the parent's inode number and generation in big-endian order.
fn parent(title: &str, name: &[u8], value: &[u8], out: &mut String) {
    let (names, values) = (name.len(), value.len());
    let _ = writeln!(out, "PPTR: {title} attr_namelen {names} attr_valuelen {values}");
    let record = value.split_first_chunk::<8>();
    let Some((ino, Some(generation))) = record.map(|(ino, rest)| (ino, rest.first_chunk::<4>()))
    else {
        let _ = writeln!(out, "PPTR: {title} CORRUPT");
        return;
    };
    let _ = writeln!(
        out,
        "PPTR: {title} parent_ino {} parent_gen {} name '{}'",
        u64::from_be_bytes(*ino),
        u32::from_be_bytes(*generation),
        String::from_utf8_lossy(name)
    );
}

/// Bytes as text if all can be printed, else in hexadecimal, two together and sixteen to a line.
fn dump(bytes: &[u8], out: &mut String) {
    if bytes.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        let _ = writeln!(out, "{}", String::from_utf8_lossy(bytes));
        return;
    }
    for (row, line) in bytes.chunks(16).enumerate() {
        let _ = write!(out, "{:08x} ", row * 16);
        for (index, pair) in line.chunks(2).enumerate() {
            pair.iter().for_each(|byte| _ = write!(out, "{byte:02x}"));
            if index < 7 {
                out.push(' ');
            }
        }
        out.push('\n');
    }
}
