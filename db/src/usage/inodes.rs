//! What is known of inodes: links found, parents and names.

use libfs::format::geometry::{Geometry, Ino};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// An inode that was found itself or in a directory.
#[derive(Debug, Default)]
pub struct Info {
    /// Links found.
    pub links: u32,
    /// Links that the inode says it has; none before it was found itself.
    pub expected: Option<u32>,
    /// It is a directory.
    pub is_dir: bool,
    /// It is set-user-ID, set-group-ID or a special file.
    pub is_special: bool,
    /// Index in the names.
    name: Option<u32>,
}

/// Where an inode was found first by name.
#[derive(Debug)]
struct Name {
    parent: Ino,
    name: Box<[u8]>,
}

/// All inodes.
#[derive(Debug, Default)]
pub struct Inodes {
    /// Names are kept.
    named: bool,
    /// What is known, with the order in which inodes were found.
    all: HashMap<u64, (u32, Info), rustc_hash::FxBuildHasher>,
    names: Vec<Name>,
}

/// Bounds of a group's number of hash buckets in xfs_db, which give the order of `ncheck`.
const BUCKETS: (u64, u64) = (256, 65536);
/// Inodes that xfs_db expects to be in a bucket.
const PER_BUCKET: u64 = 8;

impl Inodes {
    /// No inodes yet; names are kept if `named`.
    pub fn new(named: bool) -> Self {
        Inodes { named, ..Inodes::default() }
    }

    /// Whether names are kept.
    pub fn has_names(&self) -> bool {
        self.named
    }

    /// The inode, which is added if it was not known.
    pub fn get(&mut self, ino: Ino) -> &mut Info {
        let next = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        match self.all.entry(ino.0) {
            Entry::Occupied(known) => &mut known.into_mut().1,
            Entry::Vacant(new) => &mut new.insert((next, Info::default())).1,
        }
    }

    /// Every inode, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Ino, &Info)> {
        self.all.iter().map(|(&ino, (_, info))| (Ino(ino), info))
    }

    /// Notes where an inode was found; only the first name counts.
    pub fn add_name(&mut self, ino: Ino, parent: Ino, name: &[u8]) {
        if !self.named || self.get(ino).name.is_some() {
            return;
        }
        let index = u32::try_from(self.names.len()).ok();
        self.get(ino).name = index;
        self.names.push(Name { parent, name: name.into() });
    }

    /// The path of an inode from the root; none for the root and for what was not found.
    pub fn path(&self, ino: Ino) -> Option<Vec<u8>> {
        let (_, info) = self.all.get(&ino.0)?;
        let mut parts: Vec<&[u8]> = Vec::new();
        let mut next = info.name;
        // Parents of a damaged filesystem may lead in a circle.
        while let Some(found) = next.and_then(|index| self.names.get(index as usize)) {
            parts.push(&found.name);
            if parts.len() > self.names.len().saturating_add(1) {
                return None;
            }
            next = self.all.get(&found.parent.0).and_then(|(_, info)| info.name);
        }
        info.name?;
        parts.reverse();
        Some(parts.join(&b'/'))
    }

    /// All inodes in the order of `ncheck`: by group, by bucket of a hash table, the last found
    /// first. `count` is the number of inodes that the superblock says there are.
    pub fn in_order(&self, geo: &Geometry, count: u64) -> Vec<Ino> {
        let groups = u64::from(geo.ag_count).max(1);
        let buckets = (count / (PER_BUCKET * groups)).min(BUCKETS.1).max(BUCKETS.0);
        let mut all: Vec<(u32, u64, Reverse<u32>, Ino)> = self
            .all
            .iter()
            .map(|(&ino, &(order, _))| {
                let (agno, agino) = geo.ino_parts(Ino(ino));
                (agno, u64::from(agino) % buckets, Reverse(order), Ino(ino))
            })
            .collect();
        all.sort_unstable();
        all.into_iter().map(|(.., ino)| ino).collect()
    }

    /// What is known of an inode.
    pub fn find(&self, ino: Ino) -> Option<&Info> {
        self.all.get(&ino.0).map(|(_, info)| info)
    }
}
