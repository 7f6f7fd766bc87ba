//! Giving blocks their use.

use super::blocks::{Kind, Run, Use};
use super::{Blocks, Count};
use libfs::format::geometry::{FsBlock, Ino};

/// An address space of blocks.
#[derive(Clone, Copy)]
pub enum Space {
    /// An allocation group.
    Group(u32),
    /// The realtime section.
    Realtime,
}

impl Count<'_> {
    fn space(&mut self, space: Space) -> Option<&mut Blocks> {
        match space {
            Space::Group(agno) => self.usage.groups.get_mut(agno as usize),
            Space::Realtime => Some(&mut self.usage.realtime),
        }
    }

    /// Gives `len` blocks a use that before must have had the use `from`, complaining of each
    /// that had not; `ino` has them from now on, if it is given.
    pub(super) fn claim(
        &mut self,
        space: Space,
        start: u64,
        len: u64,
        (from, to): (Kind, Kind),
        ino: Option<Ino>,
    ) {
        let owner = ino.map_or(0, |ino| ino.0);
        let silent = !self.tells(ino);
        let Some(blocks) = self.space(space) else { return };
        let run = Run { start, len, is: Use { kind: to, owner } };
        if silent && from == Kind::Unknown && blocks.is_free_of_use(start, len) {
            return blocks.set(run);
        }
        let before = blocks.runs(start, len);
        for found in &before {
            if found.is.kind != from && !self.may_share(found.is.kind, to) {
                self.complain_of_kind(space, found, from);
            }
        }
        for found in &before {
            // What is known to be shared stays so, whatever is told.
            let kept = to == Kind::Data && found.is.kind == Kind::Rldata;
            let kind = if kept { found.is.kind } else { to };
            let is = Use { kind, owner: found.is.owner };
            if let Some(blocks) = self.space(space) {
                blocks.set(Run { is, ..*found });
            }
            if !silent {
                self.tell_kind(space, found, to);
            }
        }
        if let Some(ino) = ino {
            self.own(space, &before, ino);
        }
    }

    /// Whether blocks used for `found` may be claimed for `to` as well.
    fn may_share(&self, found: Kind, to: Kind) -> bool {
        self.geo.features.reflink && to == Kind::Data && matches!(found, Kind::Data | Kind::Rldata)
    }

    /// Gives blocks to an inode, complaining of those that another has, unless they are
    /// shared.
    fn own(&mut self, space: Space, before: &[Run], ino: Ino) {
        for found in before {
            let Some(blocks) = self.space(space) else { return };
            for now in blocks.runs(found.start, found.len) {
                let is = Use { owner: ino.0, ..now.is };
                if let Some(blocks) = self.space(space) {
                    blocks.set(Run { is, ..now });
                }
                let shared = now.is.kind == Kind::Rldata || self.shares_blocks;
                let taken = now.is.owner != 0 && !shared;
                for block in now.start..now.start.saturating_add(now.len) {
                    if taken {
                        self.complain_of_owner(space, block, ino, now.is.owner);
                    } else if self.report.tells_inode(ino) || self.tells_block(space, block) {
                        self.tell_owner(space, block, ino);
                    } else {
                        break;
                    }
                }
            }
        }
    }

    /// Whether anything may have to be told of blocks that `ino` claims.
    fn tells(&self, ino: Option<Ino>) -> bool {
        self.report.tells_blocks() || ino.is_some_and(|ino| self.report.tells_inode(ino))
    }

    fn tells_block(&self, space: Space, block: u64) -> bool {
        match (space, u32::try_from(block)) {
            (Space::Group(agno), Ok(agbno)) => {
                self.report.tells_block(self.geo.fsblock(agno, agbno))
            }
            _ => self.report.tells_block(FsBlock(u64::MAX)),
        }
    }

    fn name(&self, space: Space, block: u64) -> String {
        match space {
            Space::Group(agno) => format!("block {agno}/{block}"),
            Space::Realtime => format!("rtblock {block}"),
        }
    }

    fn complain_of_kind(&mut self, space: Space, found: &Run, from: Kind) {
        for block in found.start..found.start.saturating_add(found.len) {
            let name = self.name(space, block);
            let (expected, got) = (from.name(), found.is.kind.name());
            self.report.complain(format_args!("{name} expected type {expected} got {got}"));
        }
    }

    fn complain_of_owner(&mut self, space: Space, block: u64, ino: Ino, before: u64) {
        let name = self.name(space, block);
        let line = format_args!("{name} claimed by inode {ino}, previous inum {before}");
        self.report.complain(line);
    }

    fn tell_kind(&mut self, space: Space, found: &Run, to: Kind) {
        for block in found.start..found.start.saturating_add(found.len) {
            if self.tells_block(space, block) {
                let name = self.name(space, block);
                self.report.say(format_args!("setting {name} to {}", to.name()));
            }
        }
    }

    fn tell_owner(&mut self, space: Space, block: u64, ino: Ino) {
        let name = self.name(space, block);
        self.report.say(format_args!("setting inode to {ino} for {name}"));
    }
}
