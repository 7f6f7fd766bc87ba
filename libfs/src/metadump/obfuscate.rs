//! Other names for names: of the same length and the same hash, so that nothing that is
//! sorted by hashes has to change.
//!
//! The names of one length and one hash are permuted: two names in a directory never become
//! the same, and the name in a parent pointer becomes what the name in the directory
//! becomes, with nothing to be remembered. The permutation depends on a key and on the
//! directory, the length and the hash.
//!
//! A name is its bytes but the last five, and a number of 8 bits: the last five bytes have 40
//! bits of which the hash determines 32. A step of the permutation rotates each part within
//! its class (printable ASCII stays printable ASCII where possible), and steps are made
//! until the result is a valid name of the same class. Names of up to four bytes stay as they
//! are: the hash tells them.

use crate::format::dir::{fold_case, hash_name};
use std::hash::Hasher;

/// Bytes at the end of a name that make the hash right.
const SUFFIX: usize = 5;
/// Suffixes of one hash.
const SUFFIXES: usize = 256;
/// The first of them, which are the ones with ASCII characters only.
const ASCII_SUFFIXES: usize = 8;

/// What names are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Names in directories, and parent pointers: everything but `/` and zero.
    Entries,
    /// The same where case does not count: all are made small.
    EntriesIgnoringCase,
    /// Names of extended attributes: everything but zero.
    Attributes,
}

/// How good a name is; a name becomes one that is as good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// Only on a damaged filesystem.
    Impossible,
    Valid,
    Printable,
}

impl Names {
    fn class_of(self, byte: u8) -> Class {
        match (byte, self) {
            (0, _) => Class::Impossible,
            (b'/', Names::Entries | Names::EntriesIgnoringCase) => Class::Impossible,
            (_, Names::EntriesIgnoringCase) if fold_case(byte) != byte => Class::Impossible,
            (b' '..=b'~', _) => Class::Printable,
            _ => Class::Valid,
        }
    }
}

/// The bytes of each class in order, and the place of each byte among them.
struct Alphabet {
    class: [Class; 256],
    place: [u8; 256],
    members: [Vec<u8>; 3],
}

impl Alphabet {
    fn new(names: Names) -> Self {
        let mut alphabet = Alphabet {
            class: std::array::from_fn(|byte| names.class_of(byte as u8)),
            place: [0; 256],
            members: [const { Vec::new() }; 3],
        };
        for byte in 0..=u8::MAX {
            let members = &mut alphabet.members[alphabet.class[usize::from(byte)] as usize];
            alphabet.place[usize::from(byte)] = members.len() as u8;
            members.push(byte);
        }
        alphabet
    }

    fn class(&self, name: &[u8]) -> Class {
        let class = |byte: &u8| self.class[usize::from(*byte)];
        name.iter().map(class).min().unwrap_or(Class::Printable)
    }

    /// The byte `by` places behind `byte` in its class. The impossible ones stay.
    fn rotate(&self, byte: u8, by: u8) -> u8 {
        let class = self.class[usize::from(byte)];
        if class == Class::Impossible {
            return byte;
        }
        let members = &self.members[class as usize];
        let place = usize::from(self.place[usize::from(byte)]) + usize::from(by);
        members.get(place % members.len()).copied().unwrap_or(byte)
    }
}

/// What the new names depend on. Who knows it can find the old ones: it must be random, and
/// forgotten.
#[derive(Debug, Clone, Copy)]
pub struct Key(pub u64, pub u64);

/// Replaces names and values.
pub struct Obfuscator {
    key: Key,
    entries: Alphabet,
    folded: Alphabet,
    attributes: Alphabet,
}

impl Obfuscator {
    /// An obfuscator; the same key makes the same names.
    pub fn new(key: Key) -> Self {
        Obfuscator {
            key,
            entries: Alphabet::new(Names::Entries),
            folded: Alphabet::new(Names::EntriesIgnoringCase),
            attributes: Alphabet::new(Names::Attributes),
        }
    }

    /// Replaces `name`, which is among the names of `owner`, a directory or the inode with
    /// the attribute. No name becomes one that `kept` is true for: those must not be given.
    pub fn name(&self, owner: u64, name: &mut [u8], names: Names, kept: &dyn Fn(&[u8]) -> bool) {
        let Some(prefix_len) = name.len().checked_sub(SUFFIX) else { return };
        let alphabet = match names {
            Names::Entries => &self.entries,
            Names::EntriesIgnoringCase => &self.folded,
            Names::Attributes => &self.attributes,
        };
        if names == Names::EntriesIgnoringCase {
            name.iter_mut().for_each(|byte| *byte = fold_case(*byte));
        }
        let class = alphabet.class(name);
        let hash = hash_name(name);
        let mut random = Random::new(self.key, owner, hash, name.len());
        let mut rotations = [0; 256];
        for bytes in rotations.chunks_mut(8).take(prefix_len.div_ceil(8)) {
            bytes.copy_from_slice(&random.next().to_le_bytes());
        }
        let step = random.next();
        loop {
            let (prefix, suffix) = name.split_at_mut(prefix_len);
            for (byte, by) in prefix.iter_mut().zip(rotations) {
                *byte = alphabet.rotate(*byte, by);
            }
            let index = next_suffix(suffix_index(suffix), step);
            suffix.copy_from_slice(&suffix_for(hash ^ hash_name(prefix).rotate_left(35), index));
            if alphabet.class(name) == class && !kept(name) {
                return;
            }
        }
    }

    /// Replaces a path: each component on its own.
    pub fn path(&self, owner: u64, path: &mut [u8]) {
        for component in path.split_mut(|&byte| byte == b'/') {
            self.name(owner, component, Names::Entries, &|_| false);
        }
    }

    /// Replaces a value.
    pub fn value(&self, value: &mut [u8]) {
        value.fill(b'v');
    }
}

/// Which of the suffixes of its hash a suffix is.
fn suffix_index(suffix: &[u8]) -> usize {
    let high = |at: usize| usize::from(suffix.get(at).copied().unwrap_or(0) >> 7);
    let first = usize::from(suffix.first().copied().unwrap_or(0) >> 4);
    high(1) << 7 | high(2) << 6 | high(3) << 5 | high(4) << 4 | first
}

/// The suffix that a rotation by `step` leads to from suffix `index`, among those of ASCII
/// characters or among the others.
fn next_suffix(index: usize, step: u64) -> usize {
    let others = SUFFIXES - ASCII_SUFFIXES;
    if index < ASCII_SUFFIXES {
        let odd = (step as usize & 3) * 2 + 1;
        return (index + odd) % ASCII_SUFFIXES;
    }
    // 248 = 8 * 31: odd numbers below 31 lead through all of them.
    let by = ((step >> 2) as usize % 15) * 2 + 1;
    ASCII_SUFFIXES + (index - ASCII_SUFFIXES + by) % others
}

/// The suffix with number `index` whose own hash is `hash`.
///
/// The bits of the last five bytes overlap by one bit in the hash, and the upper half of the
/// first comes out with the lower half of the last.
fn suffix_for(hash: u32, index: usize) -> [u8; SUFFIX] {
    let high = |bit: usize| ((index >> bit & 1) as u8) << 7;
    let first = (index & 15) as u8;
    let part = |shift: u32| (hash >> shift & 0x7f) as u8;
    let e = part(0) ^ first | high(4);
    let d = part(7) ^ e >> 7 | high(5);
    let c = part(14) ^ d >> 7 | high(6);
    let b = part(21) ^ c >> 7 | high(7);
    let a = (part(28) ^ b >> 7) & 15 | first << 4;
    [a, b, c, d, e]
}

/// A stream of numbers that cannot be foretold without the key, even by one who knows some
/// names and what they became.
struct Random {
    #[expect(deprecated, reason = "the only hasher of the standard library that takes a key")]
    keyed: std::hash::SipHasher,
    count: u64,
}

impl Random {
    fn new(key: Key, owner: u64, hash: u32, len: usize) -> Self {
        #[expect(deprecated, reason = "see the field")]
        let mut keyed = std::hash::SipHasher::new_with_keys(key.0, key.1);
        keyed.write_u64(owner);
        keyed.write_u32(hash);
        keyed.write_u32(len as u32);
        Random { keyed, count: 0 }
    }

    fn next(&mut self) -> u64 {
        let mut keyed = self.keyed.clone();
        keyed.write_u64(self.count);
        self.count += 1;
        keyed.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn changed(owner: u64, name: &[u8], names: Names) -> Vec<u8> {
        let mut new = name.to_vec();
        Obfuscator::new(Key(4, 2)).name(owner, &mut new, names, &|_| false);
        new
    }

    proptest! {
        #[test]
        fn hash_and_length_stay(name in prop::collection::vec(1u8.., 1..256), owner: u64) {
            let new = changed(owner, &name, Names::Attributes);
            prop_assert_eq!(new.len(), name.len());
            prop_assert_eq!(hash_name(&new), hash_name(&name));
            prop_assert!(!new.contains(&0));
        }

        #[test]
        fn entries_stay_entries(name in "[ -.0-~]{9,40}", owner: u64) {
            let new = changed(owner, name.as_bytes(), Names::Entries);
            prop_assert!(new.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'/'));
            prop_assert_eq!(hash_name(&new), hash_name(name.as_bytes()));
        }

        /// Anything at all, as a damaged filesystem may have it.
        #[test]
        fn garbage_ends(name in prop::collection::vec(any::<u8>(), 0..256), fold: bool) {
            let names = if fold { Names::EntriesIgnoringCase } else { Names::Entries };
            prop_assert_eq!(changed(7, &name, names).len(), name.len());
        }
    }

    /// All names of seven bytes with one hash and the same third byte class become different
    /// ones.
    #[test]
    fn names_of_one_hash_do_not_collide() {
        let hash = hash_name(b"foo_bar");
        for names in [Names::Entries, Names::Attributes] {
            let mut all = HashSet::new();
            let mut new = HashSet::new();
            for prefix in [*b"fo", *b"aZ", *b"~!", *b"\x80\xff", *b"a\x01", *b"  "] {
                for index in 0..SUFFIXES {
                    let rest = suffix_for(hash ^ hash_name(&prefix).rotate_left(35), index);
                    let name = [&prefix[..], &rest].concat();
                    assert_eq!(hash_name(&name), hash);
                    assert_eq!(suffix_index(&rest), index);
                    if name.iter().all(|&byte| names.class_of(byte) != Class::Impossible) {
                        new.insert(changed(5, &name, names));
                        all.insert(name);
                    }
                }
            }
            assert!(all.len() > 500);
            assert_eq!(new.len(), all.len());
            assert!(new.iter().all(|name| hash_name(name) == hash));
        }
    }

    #[test]
    fn names_change() {
        let names = (0..1000).map(|n| format!("a name {n}"));
        let same =
            names.filter(|name| changed(9, name.as_bytes(), Names::Entries) == name.as_bytes());
        assert!(same.count() < 3);
        assert_eq!(changed(9, b"abcd", Names::Entries), b"abcd");
    }
}
