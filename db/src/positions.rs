//! Where the cursor was: the stack that `push` and `pop` work on, and the ring of the last
//! places, which fills by itself.

use crate::session::{BASIC_BLOCK, Cursor, Session, Source};
use crate::types::Type;
use anyhow::{Result, bail};
use libfs::format::geometry::Ino;

/// Places that the ring holds.
pub const RING: usize = 20;

/// One entry of the stack: the cursor with the inode it works on.
#[derive(Clone, Default)]
pub struct Place {
    /// The cursor, `None` if it was nowhere.
    pub cursor: Option<Cursor>,
    /// The current inode.
    pub ino: Option<Ino>,
    /// The last directory that was the current inode.
    pub dir_ino: Option<Ino>,
    /// The cursor is nowhere because what it was to show could not be read.
    pub lost: bool,
}

/// One entry of the ring: enough to go there again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// What was there.
    pub kind: Type,
    /// The device.
    pub source: Source,
    /// Disk address of the buffer.
    pub daddr: u64,
    /// Bytes of the buffer.
    pub len: usize,
    /// The current inode.
    pub ino: Option<Ino>,
}

/// Stack and ring of a session. The session's own cursor is the top of the stack.
#[derive(Default)]
pub struct Positions {
    /// Entries below the top, oldest first.
    below: Vec<Place>,
    /// Whether there is a top: not before the first move, and not after the last `pop`.
    placed: bool,
    /// The ring by slot.
    ring: [Option<Visit>; RING],
    /// Slot of the latest visit.
    latest: usize,
    /// Slot of the visit that the cursor is at.
    current: usize,
}

impl Positions {
    /// Notes that the cursor is somewhere, though the ring does not hear of it.
    pub fn place(&mut self) {
        self.placed = true;
    }

    /// Notes a visit after the one the cursor is at, in place of what was visited after that.
    pub fn visit(&mut self, visit: Visit) {
        self.placed = true;
        if self.ring.iter().any(Option::is_some) {
            let at_end = self.current == self.latest;
            self.current = (self.current + 1) % RING;
            self.latest = if at_end { self.current } else { self.latest };
        }
        if let Some(slot) = self.ring.get_mut(self.current) {
            *slot = Some(visit);
        }
    }

    /// The visits, latest first, each with its slot and whether the cursor is at it.
    pub fn visits(&self) -> impl Iterator<Item = (usize, Visit, bool)> {
        let slots = (0..RING).map(|back| (self.latest + RING - back) % RING);
        slots.filter_map(|slot| {
            let visit = (*self.ring.get(slot)?)?;
            Some((slot, visit, slot == self.current))
        })
    }

    /// The visit in a slot.
    fn at(&self, slot: usize) -> Option<Visit> {
        self.ring.get(slot).copied().flatten()
    }
}

impl Session {
    /// The entries of the stack, top first.
    pub fn stack(&self) -> Vec<Place> {
        let top = self.positions.placed.then(|| self.top());
        self.positions.below.iter().cloned().chain(top).rev().collect()
    }

    fn top(&self) -> Place {
        let (ino, dir_ino, lost) = (self.ino, self.dir_ino, self.lost);
        Place { cursor: self.cursor.clone(), ino, dir_ino, lost }
    }

    /// Puts a copy of the position on the stack; [`Session::refresh`] reads it anew.
    pub fn push(&mut self) {
        if self.positions.placed {
            self.positions.below.push(self.top());
        }
        self.positions.placed = true;
        self.lost = false;
    }

    /// Reads what is at the cursor again, as a push without a command does.
    ///
    /// # Errors
    ///
    /// An error is returned if the device fails.
    pub fn refresh(&mut self) -> Result<()> {
        let Some(cursor) = &self.cursor else { return Ok(()) };
        let (kind, source, daddr) = (cursor.kind, cursor.source, cursor.daddr);
        let len = cursor.buffer.len();
        match self.ino {
            Some(ino) if kind == Type::Inode => self.go_inode(ino),
            _ => self.revisit(source, kind, daddr, len),
        }
    }

    /// Takes the top off the stack and goes back to what is below.
    pub fn pop(&mut self) {
        self.positions.placed = !self.positions.below.is_empty();
        let place = self.positions.below.pop().unwrap_or_default();
        (self.cursor, self.ino, self.dir_ino) = (place.cursor, place.ino, place.dir_ino);
        self.lost = place.lost;
    }

    /// Goes to a slot of the ring.
    ///
    /// # Errors
    ///
    /// An error is returned if no visit is in that slot, or it cannot be read.
    pub fn go_visit(&mut self, slot: usize) -> Result<()> {
        let Some(visit) = self.positions.at(slot) else { bail!("invalid entry: {slot}") };
        self.positions.current = slot;
        self.revisit(visit.source, visit.kind, visit.daddr, visit.len)
    }

    /// Goes `forward` or back in the ring, seen from where the cursor is.
    ///
    /// # Errors
    ///
    /// An error is returned if there is nothing in that direction, or it cannot be read.
    pub fn step(&mut self, forward: bool) -> Result<()> {
        let positions = &self.positions;
        if positions.ring.iter().all(Option::is_none) {
            bail!("ring is empty");
        }
        let next = if forward { positions.current + 1 } else { positions.current + RING - 1 };
        let slot = next % RING;
        if forward && positions.current == positions.latest {
            bail!("no further entries");
        }
        if !forward && (positions.at(slot).is_none() || slot == positions.latest) {
            bail!("no previous entries");
        }
        self.go_visit(slot)
    }

    /// The lines about a position that `addr` and `stack` print.
    pub fn describe(&self, place: &Place) -> String {
        let number = |ino: Option<Ino>| ino.map_or(-1, |ino| ino.0 as i64);
        let (daddr, offset, len, buffer, kind) = match &place.cursor {
            Some(at) => (at.daddr, at.offset, at.len, at.buffer.len(), at.kind.name()),
            None => (0, 0, 0, 0, "none"),
        };
        let name = match &place.cursor {
            Some(at) => at.source.block_name(),
            None if place.lost => "fsbno?",
            None => "fsbno",
        };
        let blocks = buffer / BASIC_BLOCK;
        format!(
            "\tbyte offset {}, length {len}\n\tbuffer block {daddr} ({name} {}), {blocks} bb{}\n{}\
             \tinode {}, dir inode {}, type {kind}\n",
            daddr * BASIC_BLOCK as u64 + offset as u64,
            self.geo.daddr_fsblock(daddr),
            if blocks == 1 { "" } else { "s" },
            place.cursor.as_ref().map(block_map).unwrap_or_default(),
            number(place.ino),
            number(place.dir_ino),
        )
    }
}

/// The line about a buffer that is not in one piece on the device: disk address and length in
/// basic blocks of each piece.
fn block_map(cursor: &Cursor) -> String {
    let pieces = cursor.scattered.len().max(1);
    let step = (cursor.buffer.len() / pieces / BASIC_BLOCK) as u64;
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &daddr in &cursor.scattered {
        match runs.last_mut() {
            Some((start, len)) if *start + *len == daddr => *len += step,
            _ => runs.push((daddr, step)),
        }
    }
    if runs.len() < 2 {
        return String::new();
    }
    let runs: Vec<_> = runs.iter().map(|(daddr, len)| format!(" {daddr}:{len}")).collect();
    format!("\tblock map{}\n", runs.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(daddr: u64) -> Visit {
        Visit { kind: Type::Data, source: Source::Data, daddr, len: 512, ino: None }
    }

    #[test]
    fn the_ring_keeps_the_last_twenty_visits() {
        let mut positions = Positions::default();
        assert_eq!(positions.visits().count(), 0);
        for daddr in 1..=30 {
            positions.visit(visit(daddr));
        }
        let seen: Vec<u64> = positions.visits().map(|(_, visit, _)| visit.daddr).collect();
        assert_eq!(seen, (11..=30).rev().collect::<Vec<u64>>());
        assert_eq!(positions.visits().next(), Some((9, visit(30), true)));
    }
}
