//! What only the whole count shows: wrong numbers of links, and blocks that nothing claims.

use super::Count;
use super::blocks::Kind;
use libfs::format::geometry::Ino;

impl Count<'_> {
    /// Compares the links found with those that inodes say they have.
    pub(super) fn check_links(&mut self) {
        let wrong = self.usage.inodes.iter().filter_map(|(ino, info)| match info.expected {
            None => Some((ino, None, info.links)),
            Some(expected) if expected == info.links => None,
            Some(expected) => Some((ino, Some(expected), info.links)),
        });
        let mut wrong: Vec<(Ino, Option<u32>, u32)> = wrong.collect();
        wrong.sort_unstable();
        for (ino, expected, links) in wrong {
            let path = self.usage.inodes.path(ino).unwrap_or_else(|| b"?".to_vec());
            let name = String::from_utf8_lossy(&path);
            match expected {
                Some(expected) => self.report.complain(format_args!(
                    "link count mismatch for inode {ino} (name {name}), nlink {expected}, counted \
                     {links}"
                )),
                None => self.report.complain(format_args!(
                    "allocated inode {ino} not found, but {links} links to it (name {name})"
                )),
            }
        }
    }

    /// Looks for blocks that no metadata speaks of, or that only one of the trees of free
    /// space does.
    pub(super) fn check_unclaimed(&mut self) {
        for agno in 0..self.geo.ag_count {
            let Some(blocks) = self.usage.groups.get(agno as usize) else { continue };
            let runs = blocks.runs(0, self.geo.ag_size(agno).into());
            let bad =
                runs.into_iter().filter(|run| matches!(run.is.kind, Kind::Unknown | Kind::Free1));
            for run in bad {
                let (start, len, name) = (run.start, run.len, run.is.kind.name());
                self.report.complain(format_args!(
                    "block {agno}/{start} type {name} not expected ({len} blocks)"
                ));
            }
        }
    }
}
