//! Finding and listing attributes in every format.

use super::leaf::{Entry, Leaf, Value};
use super::store::ValueRead;
use crate::Result;
use crate::dir::hash_tree::{self, Path, TreeLeaf};
use crate::dir::store::Store;
use crate::format::attr::AttrFlags;
use crate::format::attr::shortform::{self, ShortForm};
use crate::format::geometry::Ino;

/// What identifies an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key<'a> {
    pub(crate) hash: u32,
    /// Namespace bits only.
    pub(crate) namespace: AttrFlags,
    pub(crate) name: &'a [u8],
    /// Several parent pointers may have one name; their values tell them apart.
    pub(crate) value: Option<&'a [u8]>,
}

/// Whether an attribute that is being made or removed is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Complete,
    Incomplete,
}

impl Key<'_> {
    fn matches(&self, flags: AttrFlags, name: &[u8], value: Option<&[u8]>) -> bool {
        flags & AttrFlags::NAMESPACE == self.namespace
            && name == self.name
            && self.value.is_none_or(|wanted| value == Some(wanted))
    }

    fn matches_entry(&self, entry: &Entry, want: Want) -> bool {
        let local = match &entry.value {
            Value::Local(value) => Some(&value[..]),
            Value::Remote { .. } => None,
        };
        let state = match want {
            Want::Complete => !entry.is_incomplete(),
            Want::Incomplete => entry.is_incomplete(),
        };
        state && self.matches(entry.flags, &entry.name, local)
    }

    /// Index of this attribute in a shortform list.
    pub(crate) fn index_in(&self, short: &ShortForm) -> Option<usize> {
        let same = |e: &shortform::Entry| self.matches(e.flags, &e.name, Some(&e.value));
        short.entries.iter().position(same)
    }
}

/// Format of an attribute fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// No attributes, nothing allocated.
    Empty,
    /// In the inode.
    Short,
    /// In leaf blocks, under nodes if there are several.
    Tree,
}

/// The format of the fork.
pub(crate) fn form<S: Store>(store: &mut S) -> Result<Form> {
    if store.inline().is_some() {
        return Ok(Form::Short);
    }
    Ok(if store.mapped_end()? == 0 { Form::Empty } else { Form::Tree })
}

/// The list in the inode.
pub(crate) fn read_short<S: Store>(store: &S) -> Result<ShortForm> {
    match store.inline() {
        Some(bytes) if !bytes.is_empty() => ShortForm::decode(bytes, Ino(store.owner())),
        _ => Ok(ShortForm::default()),
    }
}

/// Where an attribute is in the tree.
pub(crate) struct Place {
    pub(crate) path: Path,
    pub(crate) leaf: Leaf,
    pub(crate) index: usize,
}

/// Finds an attribute in the tree.
pub(crate) fn find<S: Store>(store: &mut S, key: &Key<'_>, want: Want) -> Result<Option<Place>> {
    let mut place: Option<(Path, Leaf)> = Some(hash_tree::find(store, key.hash)?);
    while let Some((path, leaf)) = place {
        let same = |e: &Entry| e.hash == key.hash && key.matches_entry(e, want);
        if let Some(index) = leaf.entries.iter().position(same) {
            return Ok(Some(Place { path, leaf, index }));
        }
        if leaf.last_hash().is_some_and(|last| last > key.hash) {
            break;
        }
        place = hash_tree::next(store, &path)?;
    }
    Ok(None)
}

/// The value of an attribute, `None` if there is no such attribute.
pub(crate) fn get<S: ValueRead>(store: &mut S, key: &Key<'_>) -> Result<Option<Vec<u8>>> {
    match form(store)? {
        Form::Empty => Ok(None),
        Form::Short => {
            let mut short = read_short(store)?;
            Ok(key.index_in(&short).map(|index| short.entries.swap_remove(index).value))
        }
        Form::Tree => {
            let Some(Place { leaf, index, .. }) = find(store, key, Want::Complete)? else {
                return Ok(None);
            };
            match leaf.entries.into_iter().nth(index).map(|entry| entry.value) {
                Some(Value::Local(value)) => Ok(Some(value)),
                Some(Value::Remote { block, len }) => store.read_value(block.into(), len).map(Some),
                None => Ok(None),
            }
        }
    }
}

/// An attribute as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) flags: AttrFlags,
    pub(crate) name: Vec<u8>,
    pub(crate) value: Value,
}

/// All attributes, incomplete ones left out: in the inode as they were made, in leaves by
/// hash.
pub(crate) fn list<S: Store>(store: &mut S) -> Result<Vec<Stored>> {
    let mut all = Vec::new();
    match form(store)? {
        Form::Empty => {}
        Form::Short => {
            let entries = read_short(store)?.entries.into_iter();
            all.extend(entries.map(|shortform::Entry { flags, name, value }| Stored {
                flags,
                name,
                value: Value::Local(value),
            }));
        }
        Form::Tree => {
            let mut place: Option<(Path, Leaf)> = Some(hash_tree::find(store, 0)?);
            while let Some((path, leaf)) = place {
                let complete = leaf.entries.into_iter().filter(|entry| !entry.is_incomplete());
                all.extend(complete.map(|Entry { flags, name, value, .. }| Stored {
                    flags,
                    name,
                    value,
                }));
                place = hash_tree::next(store, &path)?;
            }
        }
    }
    Ok(all)
}
