//! A picture of what the allocation groups are used for.
//!
//! Each group is divided into cells of as many blocks each; a cell knows how many of its
//! blocks are used for what. [`svg`] and [`terminal`] draw them.

pub mod svg;
pub mod terminal;

use crate::usage::{Kind, Usage};
use libfs::format::btree_record::{Refcount, RefcountDomain};
use libfs::format::geometry::Geometry;

/// What blocks are used for, as far as the picture tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The log.
    Log,
    /// Headers, btrees, inodes, directories, attributes, free lists.
    Metadata,
    /// Contents of one file.
    Data,
    /// Contents that two files share.
    SharedByTwo,
    /// Contents that three or four share.
    SharedByFour,
    /// Contents that more share.
    SharedByMany,
    /// Set aside for copy on write.
    Staged,
    /// Nothing says what for.
    Unclaimed,
    /// Free.
    Free,
}

impl Part {
    /// Every part, in the order of drawing.
    pub const ALL: [Self; 9] = [
        Self::Log,
        Self::Metadata,
        Self::Data,
        Self::SharedByTwo,
        Self::SharedByFour,
        Self::SharedByMany,
        Self::Staged,
        Self::Unclaimed,
        Self::Free,
    ];

    /// Name in the legend.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Metadata => "metadata",
            Self::Data => "data",
            Self::SharedByTwo => "shared by 2",
            Self::SharedByFour => "shared by 3-4",
            Self::SharedByMany => "shared by 5 or more",
            Self::Staged => "copy on write",
            Self::Unclaimed => "unclaimed",
            Self::Free => "free",
        }
    }

    fn of(kind: Kind) -> Option<Self> {
        Some(match kind {
            // These are taken from the reference counts.
            Kind::Rldata | Kind::Missing => return None,
            Kind::Log => Self::Log,
            Kind::Data => Self::Data,
            Kind::Cowdata => Self::Staged,
            Kind::Unknown => Self::Unclaimed,
            Kind::Free1 | Kind::Free2 => Self::Free,
            _ => Self::Metadata,
        })
    }

    fn shared_by(count: u32) -> Self {
        match count {
            0..=2 => Self::SharedByTwo,
            3..=4 => Self::SharedByFour,
            _ => Self::SharedByMany,
        }
    }
}

/// Blocks of each part.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cell {
    blocks: [f64; Part::ALL.len()],
}

impl Cell {
    /// Blocks that a part has; a fraction where a cell ends within a block.
    pub fn blocks(&self, part: Part) -> f64 {
        self.blocks.get(part as usize).copied().unwrap_or(0.0)
    }

    /// All blocks.
    pub fn total(&self) -> f64 {
        self.blocks.iter().sum()
    }

    fn add(&mut self, part: Part, blocks: f64) {
        if let Some(sum) = self.blocks.get_mut(part as usize) {
            *sum += blocks;
        }
    }
}

/// An allocation group as cells.
#[derive(Debug, Clone)]
pub struct Strip {
    /// Its number.
    pub agno: u32,
    /// The cells: fewer if the group is smaller than others.
    pub cells: Vec<Cell>,
}

impl Strip {
    /// The whole group.
    pub fn sum(&self) -> Cell {
        let mut sum = Cell::default();
        for cell in &self.cells {
            for part in Part::ALL {
                sum.add(part, cell.blocks(part));
            }
        }
        sum
    }

    /// Adds a run of blocks to the cells it lies in.
    fn add(&mut self, part: Part, start: u64, len: u64, per_cell: f64) {
        let (mut at, end) = (start as f64, start.saturating_add(len) as f64);
        while at < end {
            let index = (at / per_cell) as usize;
            let Some(cell) = self.cells.get_mut(index) else { return };
            // Rounding must not hold up the way.
            let edge = ((index + 1) as f64 * per_cell).min(end).max(at + 1e-6);
            cell.add(part, edge - at);
            at = edge;
        }
    }
}

/// Divides a group into cells, of which a full group has `columns`.
pub fn strip(
    usage: &Usage,
    shared: &[Refcount],
    geo: &Geometry,
    agno: u32,
    columns: usize,
) -> Strip {
    let per_cell = f64::from(geo.ag_blocks) / columns.max(1) as f64;
    let size = u64::from(geo.ag_size(agno));
    let count = (size as f64 / per_cell).ceil() as usize;
    let mut strip = Strip { agno, cells: vec![Cell::default(); count] };
    let Some(blocks) = usage.groups.get(agno as usize) else { return strip };
    for run in blocks.runs(0, size) {
        if let Some(part) = Part::of(run.is.kind) {
            strip.add(part, run.start, run.len, per_cell);
        }
    }
    for refcount in shared.iter().filter(|refcount| refcount.domain == RefcountDomain::Shared) {
        let part = Part::shared_by(refcount.refcount);
        strip.add(part, refcount.startblock.into(), refcount.len.into(), per_cell);
    }
    strip
}
