//! The hash tree over the leaf blocks of a directory or an attribute fork.
//!
//! Nodes list, for each child, its greatest hash and its file block. The root stays at one
//! place: when it splits, its content moves to a new block. Blocks of one level are linked.
//! Several entries may have one hash, so a search goes on to the next leaf as long as the
//! hash continues there.

use super::bytes::{get16, get32, put16, put32};
use super::store::{Store, StoreMut};
use crate::Result;
use crate::buffer::BufferKind;
use crate::format::da::{BlockInfo, NODE_MAGIC, NodeEntry, NodeHeader};
use crate::format::slice_of;
use std::mem::offset_of;

/// Bytes of the header of a node.
const HEADER_LEN: usize = size_of::<NodeHeader>();
/// Bytes of an entry of a node.
const ENTRY_LEN: usize = size_of::<NodeEntry>();
/// Offsets of fields in a node's header.
const MAGIC: usize = offset_of!(BlockInfo, magic);
const COUNT: usize = offset_of!(NodeHeader, count);
const LEVEL: usize = offset_of!(NodeHeader, level);
/// Most levels of nodes above the leaves.
const MAX_DEPTH: usize = crate::format::da::MAX_DEPTH as usize;

/// Bytes below which a block is merged with a neighbour: 37 percent.
pub(crate) fn merge_threshold(block_size: usize) -> usize {
    block_size * 37 / 100
}

/// Neighbours on the same level of a tree, 0 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Links {
    pub(crate) forw: u32,
    pub(crate) back: u32,
}

impl Links {
    /// Reads the links of any block of a tree.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Links { forw: get32(bytes, 0)?, back: get32(bytes, 4)? })
    }

    /// Writes the links.
    pub(crate) fn encode(self, bytes: &mut [u8]) {
        put32(bytes, 0, self.forw);
        put32(bytes, 4, self.back);
    }
}

/// A leaf of a tree: directory or attribute entries.
pub(crate) trait TreeLeaf: Sized + Default {
    /// Kind of buffer that holds it.
    const KIND: BufferKind;
    /// Its magic number.
    const MAGIC: u16;

    /// Reads a block; `None` if it is damaged.
    fn decode(bytes: &[u8]) -> Option<Self>;
    /// The block, without its identity.
    fn encode(&self, block_size: usize) -> Vec<u8>;
    /// Its neighbours.
    fn links(&mut self) -> &mut Links;
    /// The hash of its last entry.
    fn last_hash(&self) -> Option<u32>;
    /// Whether no entry is in use.
    fn is_empty(&self) -> bool;
    /// Bytes in use, header included.
    fn used(&self) -> usize;
    /// Whether it fits in a block.
    fn fits(&self, block_size: usize) -> bool;
    /// Divides what does not fit into one block among two, or three.
    fn split(self, block_size: usize) -> Vec<Self>;
    /// Adds the entries of the leaf that follows.
    fn append(&mut self, other: Self);
}

/// An entry of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Child {
    /// Greatest hash below.
    hash: u32,
    bno: u32,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Node {
    links: Links,
    level: u16,
    children: Vec<Child>,
}

impl Node {
    fn decode(bytes: &[u8]) -> Option<Self> {
        if get16(bytes, MAGIC)? != NODE_MAGIC {
            return None;
        }
        let child = |e: &NodeEntry| Child { hash: e.hashval.get(), bno: e.before.get() };
        Some(Node {
            links: Links::decode(bytes)?,
            level: get16(bytes, LEVEL)?,
            children: node_entries(bytes)?.iter().map(child).collect(),
        })
    }

    fn encode(&self, block_size: usize) -> Vec<u8> {
        let mut bytes = vec![0; block_size];
        self.links.encode(&mut bytes);
        put16(&mut bytes, MAGIC, NODE_MAGIC);
        put16(&mut bytes, COUNT, self.children.len() as u16);
        put16(&mut bytes, LEVEL, self.level);
        for (i, child) in self.children.iter().enumerate() {
            put32(&mut bytes, HEADER_LEN + i * ENTRY_LEN, child.hash);
            put32(&mut bytes, HEADER_LEN + i * ENTRY_LEN + 4, child.bno);
        }
        bytes
    }

    fn last_hash(&self) -> u32 {
        self.children.last().map_or(0, |child| child.hash)
    }

    fn used(&self) -> usize {
        HEADER_LEN + self.children.len() * ENTRY_LEN
    }
}

/// The entries of a node as they lie on disk.
fn node_entries(bytes: &[u8]) -> Option<&[NodeEntry]> {
    let len = usize::from(get16(bytes, COUNT)?) * ENTRY_LEN;
    Some(slice_of(bytes.get(HEADER_LEN..HEADER_LEN + len)?))
}

/// A block of a tree as found on disk.
enum Block<L> {
    Node(Node),
    Leaf(L),
}

/// One node on the way from the root to a leaf, and which child the way takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turn {
    bno: u64,
    index: usize,
}

/// The way from the root to a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    turns: Vec<Turn>,
    /// The leaf's file block.
    pub(crate) leaf: u64,
}

impl Path {
    /// Whether the root is the leaf.
    pub(crate) fn is_root(&self) -> bool {
        self.turns.is_empty()
    }
}

fn read_block<S: Store, L: TreeLeaf>(store: &mut S, bno: u64) -> Result<Block<L>> {
    let bytes = store.read(bno, BufferKind::DaNode)?;
    let block = match get16(bytes, MAGIC) {
        Some(NODE_MAGIC) => Node::decode(bytes).map(Block::Node),
        Some(magic) if magic == L::MAGIC => L::decode(bytes).map(Block::Leaf),
        _ => None,
    };
    block.ok_or_else(|| store.corrupt(format!("block {bno} of its tree is damaged")))
}

fn read_node<S: Store, L: TreeLeaf>(store: &mut S, bno: u64) -> Result<Node> {
    match read_block::<S, L>(store, bno)? {
        Block::Node(node) => Ok(node),
        Block::Leaf(_) => Err(store.corrupt(format!("block {bno} of its tree is not a node"))),
    }
}

/// Reads the leaf at `bno`.
pub(crate) fn read_leaf<S: Store, L: TreeLeaf>(store: &mut S, bno: u64) -> Result<L> {
    match read_block(store, bno)? {
        Block::Leaf(leaf) => Ok(leaf),
        Block::Node(_) => Err(store.corrupt(format!("block {bno} of its tree is not a leaf"))),
    }
}

/// The way to the first leaf that can hold `hash`, and that leaf.
pub(crate) fn find<S: Store, L: TreeLeaf>(store: &mut S, hash: u32) -> Result<(Path, L)> {
    let root = store.params().tree_root;
    descend(store, vec![], root, |children| {
        // The last child also takes what is greater than everything in the tree.
        let first = children.partition_point(|child| child.hashval.get() < hash);
        first.min(children.len().saturating_sub(1))
    })
}

/// The leaf after the one that `path` leads to, if there is one.
pub(crate) fn next<S: Store, L: TreeLeaf>(store: &mut S, path: &Path) -> Result<Option<(Path, L)>> {
    let mut turns = path.turns.clone();
    while let Some(mut turn) = turns.pop() {
        let node = read_node::<S, L>(store, turn.bno)?;
        turn.index += 1;
        if let Some(child) = node.children.get(turn.index) {
            turns.push(turn);
            return descend(store, turns, child.bno.into(), |_| 0).map(Some);
        }
    }
    Ok(None)
}

fn descend<S: Store, L: TreeLeaf>(
    store: &mut S,
    mut turns: Vec<Turn>,
    mut bno: u64,
    choose: impl Fn(&[NodeEntry]) -> usize,
) -> Result<(Path, L)> {
    let mut above = u16::MAX;
    loop {
        let bytes = store.read(bno, BufferKind::DaNode)?;
        if get16(bytes, MAGIC) != Some(NODE_MAGIC) {
            return Ok((Path { turns, leaf: bno }, read_leaf(store, bno)?));
        }
        let level = get16(bytes, LEVEL).unwrap_or(u16::MAX);
        let children = node_entries(bytes).unwrap_or_default();
        let index = choose(children);
        let child = children.get(index).map(|child| child.before.get());
        let Some(child) = child.filter(|_| level < above && turns.len() < MAX_DEPTH) else {
            return Err(store.corrupt(format!("node {bno} of level {level} leads nowhere")));
        };
        turns.push(Turn { bno, index });
        above = level;
        bno = child.into();
    }
}

/// Writes a changed leaf back; splits it if it has grown too large.
pub(crate) fn update<S: StoreMut, L: TreeLeaf>(store: &mut S, path: &Path, leaf: L) -> Result<()> {
    let size = store.params().block_size;
    if leaf.fits(size) {
        let hash = leaf.last_hash();
        store.write(path.leaf, L::KIND, &leaf.encode(size))?;
        return match hash {
            Some(hash) => update_hash::<S, L>(store, &path.turns, hash),
            None => Ok(()),
        };
    }
    let mut parts = leaf.split(size);
    let outer = *parts.first_mut().map_or(&mut Links::default(), |part| part.links());
    let places = places_for(store, path.leaf, parts.len())?;
    for (i, part) in parts.iter_mut().enumerate() {
        *part.links() = links_among(&places, i, outer);
        put_block(store, places[i], path.leaf, L::KIND, &part.encode(size))?;
    }
    relink_neighbour::<S, L>(store, outer.forw, |links| links.back = last(&places))?;
    relink_neighbour::<S, L>(store, outer.back, |links| links.forw = places[0] as u32)?;
    let children = children_of(&places, parts.iter().map(|part| part.last_hash().unwrap_or(0)));
    replace_child::<S, L>(store, &path.turns, 0, children)
}

/// Where to put the parts of a block that is split: the first stays, unless it is the root.
fn places_for<S: StoreMut>(store: &mut S, bno: u64, count: usize) -> Result<Vec<u64>> {
    let params = store.params();
    let mut places = Vec::with_capacity(count);
    if bno != params.tree_root {
        places.push(bno);
    }
    let mut from = params.tree_root;
    while places.len() < count {
        let place = store.first_unused(from)?;
        places.push(place);
        from = place + params.fs_blocks;
    }
    Ok(places)
}

fn put_block<S: StoreMut>(
    store: &mut S,
    place: u64,
    old: u64,
    kind: BufferKind,
    content: &[u8],
) -> Result<()> {
    if place == old {
        store.write(place, kind, content)
    } else {
        store.create(place, kind, content)
    }
}

fn links_among(places: &[u64], i: usize, outer: Links) -> Links {
    let place = |i: usize| places.get(i).map(|&bno| bno as u32);
    Links {
        forw: place(i + 1).unwrap_or(outer.forw),
        back: i.checked_sub(1).and_then(place).unwrap_or(outer.back),
    }
}

fn last(places: &[u64]) -> u32 {
    places.last().map_or(0, |&bno| bno as u32)
}

fn children_of(places: &[u64], hashes: impl Iterator<Item = u32>) -> Vec<Child> {
    places.iter().zip(hashes).map(|(&bno, hash)| Child { hash, bno: bno as u32 }).collect()
}

/// Changes the links of the block at `bno`, which may be 0 for none.
fn relink_neighbour<S: StoreMut, L: TreeLeaf>(
    store: &mut S,
    bno: u32,
    change: impl FnOnce(&mut Links),
) -> Result<()> {
    if bno == 0 {
        return Ok(());
    }
    let mut bytes = store.read(bno.into(), BufferKind::DaNode)?.to_vec();
    let kind = if get16(&bytes, MAGIC) == Some(NODE_MAGIC) { BufferKind::DaNode } else { L::KIND };
    let Some(mut links) = Links::decode(&bytes) else { return Ok(()) };
    change(&mut links);
    links.encode(&mut bytes);
    store.write(bno.into(), kind, &bytes)
}

/// Tells the nodes above that the greatest hash below is now `hash`.
fn update_hash<S: StoreMut, L: TreeLeaf>(store: &mut S, turns: &[Turn], hash: u32) -> Result<()> {
    let size = store.params().block_size;
    for turn in turns.iter().rev() {
        let mut node = read_node::<S, L>(store, turn.bno)?;
        let Some(child) = node.children.get_mut(turn.index) else { return Ok(()) };
        if child.hash == hash {
            return Ok(());
        }
        child.hash = hash;
        store.write(turn.bno, BufferKind::DaNode, &node.encode(size))?;
        if turn.index + 1 < node.children.len() {
            return Ok(());
        }
    }
    Ok(())
}

/// Puts `children` in place of the child that `turns` lead to. `level` is that child's.
fn replace_child<S: StoreMut, L: TreeLeaf>(
    store: &mut S,
    turns: &[Turn],
    level: u16,
    children: Vec<Child>,
) -> Result<()> {
    let params = store.params();
    let size = params.block_size;
    let Some((turn, above)) = turns.split_last() else {
        // The root itself was split; its parts went elsewhere.
        if usize::from(level) >= MAX_DEPTH {
            return Err(store.corrupt("its tree is too deep"));
        }
        let root = Node { links: Links::default(), level: level + 1, children };
        return store.write(params.tree_root, BufferKind::DaNode, &root.encode(size));
    };
    let mut node = read_node::<S, L>(store, turn.bno)?;
    if turn.index >= node.children.len() {
        return Err(store.corrupt(format!("node {} changed", turn.bno)));
    }
    node.children.splice(turn.index..=turn.index, children);
    if node.used() <= size {
        store.write(turn.bno, BufferKind::DaNode, &node.encode(size))?;
        return update_hash::<S, L>(store, above, node.last_hash());
    }
    let (outer, level) = (node.links, node.level);
    let right = Node { children: node.children.split_off(node.children.len() / 2), ..node.clone() };
    let mut parts = [node, right];
    let places = places_for(store, turn.bno, 2)?;
    for (i, part) in parts.iter_mut().enumerate() {
        part.links = links_among(&places, i, outer);
        put_block(store, places[i], turn.bno, BufferKind::DaNode, &part.encode(size))?;
    }
    relink_neighbour::<S, L>(store, outer.forw, |links| links.back = last(&places))?;
    relink_neighbour::<S, L>(store, outer.back, |links| links.forw = places[0] as u32)?;
    let children = children_of(&places, parts.iter().map(Node::last_hash));
    replace_child::<S, L>(store, above, level, children)
}

/// Writes back a leaf from which something was removed; frees it if nothing is left, and
/// merges it with a neighbour if both together are small enough.
pub(crate) fn shrink<S: StoreMut, L: TreeLeaf>(
    store: &mut S,
    path: &Path,
    mut leaf: L,
) -> Result<()> {
    let params = store.params();
    let size = params.block_size;
    if path.is_root() || leaf.used() >= merge_threshold(size) {
        return update(store, path, leaf);
    }
    if leaf.is_empty() {
        if !can_drop::<S, L>(store, &path.turns, path.leaf)? {
            return update(store, path, leaf);
        }
        let links = *leaf.links();
        return drop_block::<S, L>(store, &path.turns, path.leaf, L::KIND, links);
    }
    let Some((turn, above)) = path.turns.split_last() else { return Ok(()) };
    let node = read_node::<S, L>(store, turn.bno)?;
    for left_index in [turn.index, turn.index.wrapping_sub(1)] {
        let pair = (node.children.get(left_index), node.children.get(left_index.wrapping_add(1)));
        let (Some(left), Some(right)) = pair else { continue };
        let other = if left_index == turn.index { right.bno } else { left.bno };
        let mut neighbour: L = read_leaf(store, other.into())?;
        // Merge only when a quarter of the block stays free, or it would split soon.
        let together = leaf.used() + neighbour.used() - HEADER_LEN;
        if together > size - size / 4 || !store.can_free(right.bno.into())? {
            continue;
        }
        let (left, right) = (u64::from(left.bno), u64::from(right.bno));
        let (mut merged, mut rest) = if left_index == turn.index {
            (leaf, neighbour)
        } else {
            std::mem::swap(&mut leaf, &mut neighbour);
            (leaf, neighbour)
        };
        let links = *rest.links();
        merged.append(rest);
        let hash = merged.last_hash().unwrap_or(0);
        store.write(left, L::KIND, &merged.encode(size))?;
        let turns = [above, &[Turn { bno: turn.bno, index: left_index }]].concat();
        set_hash_here::<S, L>(store, &turns, hash)?;
        let turns = [above, &[Turn { bno: turn.bno, index: left_index + 1 }]].concat();
        return drop_block::<S, L>(store, &turns, right, L::KIND, links);
    }
    update(store, path, leaf)
}

/// Whether a block can be freed together with the nodes that have no other child.
fn can_drop<S: StoreMut, L: TreeLeaf>(store: &mut S, turns: &[Turn], bno: u64) -> Result<bool> {
    if !store.can_free(bno)? {
        return Ok(false);
    }
    for turn in turns.iter().skip(1).rev() {
        if read_node::<S, L>(store, turn.bno)?.children.len() > 1 {
            break;
        }
        if !store.can_free(turn.bno)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Changes the hash of one child without telling the nodes above.
fn set_hash_here<S: StoreMut, L: TreeLeaf>(store: &mut S, turns: &[Turn], hash: u32) -> Result<()> {
    let Some(turn) = turns.last() else { return Ok(()) };
    let mut node = read_node::<S, L>(store, turn.bno)?;
    if let Some(child) = node.children.get_mut(turn.index) {
        child.hash = hash;
    }
    let size = store.params().block_size;
    store.write(turn.bno, BufferKind::DaNode, &node.encode(size))
}

/// Frees a block without entries, which `turns` lead to, and forgets it in the nodes above.
fn drop_block<S: StoreMut, L: TreeLeaf>(
    store: &mut S,
    turns: &[Turn],
    bno: u64,
    kind: BufferKind,
    links: Links,
) -> Result<()> {
    relink_neighbour::<S, L>(store, links.forw, |there| there.back = links.back)?;
    relink_neighbour::<S, L>(store, links.back, |there| there.forw = links.forw)?;
    store.free(bno, kind)?;
    let Some((turn, above)) = turns.split_last() else { return Ok(()) };
    let mut node = read_node::<S, L>(store, turn.bno)?;
    if turn.index < node.children.len() {
        node.children.remove(turn.index);
    }
    shrink_node::<S, L>(store, above, turn.bno, node)
}

/// Writes back a node that lost a child; frees, merges or replaces it if it got small.
fn shrink_node<S: StoreMut, L: TreeLeaf>(
    store: &mut S,
    above: &[Turn],
    bno: u64,
    node: Node,
) -> Result<()> {
    let size = store.params().block_size;
    let Some((turn, higher)) = above.split_last() else {
        return shrink_root::<S, L>(store, node);
    };
    if node.children.is_empty() {
        return drop_block::<S, L>(store, above, bno, BufferKind::DaNode, node.links);
    }
    let hash = node.last_hash();
    store.write(bno, BufferKind::DaNode, &node.encode(size))?;
    if node.used() >= merge_threshold(size) {
        return update_hash::<S, L>(store, above, hash);
    }
    let parent = read_node::<S, L>(store, turn.bno)?;
    for left_index in [turn.index, turn.index.wrapping_sub(1)] {
        let pair =
            (parent.children.get(left_index), parent.children.get(left_index.wrapping_add(1)));
        let (Some(left), Some(right)) = pair else { continue };
        let (left, right) = (u64::from(left.bno), u64::from(right.bno));
        let mut merged = read_node::<S, L>(store, left)?;
        let rest = read_node::<S, L>(store, right)?;
        let together = merged.used() + rest.used() - HEADER_LEN;
        if together > size - size / 4 || !store.can_free(right)? {
            continue;
        }
        merged.children.extend(rest.children);
        store.write(left, BufferKind::DaNode, &merged.encode(size))?;
        let turns = [higher, &[Turn { bno: turn.bno, index: left_index }]].concat();
        set_hash_here::<S, L>(store, &turns, merged.last_hash())?;
        let turns = [higher, &[Turn { bno: turn.bno, index: left_index + 1 }]].concat();
        return drop_block::<S, L>(store, &turns, right, BufferKind::DaNode, rest.links);
    }
    update_hash::<S, L>(store, above, hash)
}

/// Writes back the root; with a single child, that child becomes the root.
fn shrink_root<S: StoreMut, L: TreeLeaf>(store: &mut S, node: Node) -> Result<()> {
    let params = store.params();
    let (root, size) = (params.tree_root, params.block_size);
    match node.children[..] {
        [] => store.write(root, L::KIND, &L::default().encode(size)),
        [only] if store.can_free(only.bno.into())? => {
            let bno = u64::from(only.bno);
            match read_block::<S, L>(store, bno)? {
                Block::Leaf(mut leaf) => {
                    *leaf.links() = Links::default();
                    store.write(root, L::KIND, &leaf.encode(size))?;
                    store.free(bno, L::KIND)
                }
                Block::Node(below) => {
                    store.free(bno, BufferKind::DaNode)?;
                    shrink_root::<S, L>(store, below)
                }
            }
        }
        _ => store.write(root, BufferKind::DaNode, &node.encode(size)),
    }
}
