//! An allocation group: its headers, its trees, and the sums that its headers claim.

use super::Count;
use super::blocks::Kind;
use super::claim::Space;
use libfs::format::NULL_AGINO;
use libfs::format::ag::{AGF_MAGIC, AGI_MAGIC, Agf, Agi, VERSION};
use libfs::format::btree_block::BtreeKind;
use libfs::scan::AgHeaders;

/// What is counted in a group.
#[derive(Debug, Default)]
pub struct Sums {
    /// Blocks free by the tree by size.
    pub free_blocks: u64,
    /// Longest of its extents.
    pub longest: u64,
    /// Blocks of the free space and reverse mapping trees, roots included.
    pub tree_blocks: u64,
    /// Inodes in chunks.
    pub inodes: u64,
    /// Free inodes in chunks.
    pub free_inodes: u64,
}

impl Count<'_> {
    /// Counts group `agno` and all its inodes.
    pub(super) fn group(&mut self, agno: u32) {
        let Ok(headers) = self.scanner.ag_headers(agno) else {
            return self
                .report
                .complain_seriously(format_args!("can't read superblock for ag {agno}"));
        };
        let (Ok(agf), Ok(agi)) = (headers.agf(), headers.agi()) else { return };
        self.check_headers(agno, &headers, agf, agi);
        self.claim(Space::Group(agno), 0, 1, (Kind::Unknown, Kind::Sb), None);
        self.claim_log(agno);
        self.claim_headers(agno);
        self.claim_missing(agno, agf);
        self.free_list(&headers, agf);
        let mut sums = Sums::default();
        let of_agf = [
            (BtreeKind::Bno, agf.bnoroot, agf.bnolevel, true),
            (BtreeKind::Cnt, agf.cntroot, agf.cntlevel, true),
            (BtreeKind::Rmap, agf.rmaproot, agf.rmaplevel, self.geo.features.rmapbt),
            (BtreeKind::Refcount, agf.refcntroot, agf.refcntlevel, self.geo.features.reflink),
            (BtreeKind::Ino, agi.root, agi.level, true),
            (BtreeKind::Fino, agi.free_root, agi.free_level, self.geo.features.finobt),
        ];
        for (kind, root, level, has) in of_agf {
            if has {
                self.tree(agno, kind, root.get(), level.get(), &mut sums);
            }
        }
        self.check_sums(agno, agf, agi, &sums);
    }

    fn check_headers(&mut self, agno: u32, headers: &AgHeaders, agf: &Agf, agi: &Agi) {
        let superblock = headers.superblock();
        if let Ok(sb) = superblock
            && sb.magicnum.get() != libfs::format::superblock::MAGIC
        {
            let magic = sb.magicnum.get();
            self.report
                .complain(format_args!("bad sb magic # {} in ag {agno}", alternate_hex(magic)));
        }
        for (name, magic, expected, version) in [
            ("agf", agf.magicnum.get(), AGF_MAGIC, agf.versionnum.get()),
            ("agi", agi.magicnum.get(), AGI_MAGIC, agi.versionnum.get()),
        ] {
            if magic != expected {
                let magic = alternate_hex(magic);
                self.report.complain(format_args!("bad {name} magic # {magic} in ag {agno}"));
            }
            if version != VERSION {
                let version = alternate_hex(version);
                self.report.complain(format_args!("bad {name} version # {version} in ag {agno}"));
            }
        }
    }

    /// The headers behind the superblock. They may share a block, which then counts for the
    /// first of them.
    fn claim_headers(&mut self, agno: u32) {
        let mut last = 0;
        for (sector, kind) in [(1u64, Kind::Agf), (2, Kind::Agi), (3, Kind::Agfl)] {
            let block = sector << self.geo.sector_log >> self.geo.block_log;
            if block != last {
                self.claim(Space::Group(agno), block, 1, (Kind::Unknown, kind), None);
            }
            last = block;
        }
    }

    /// Blocks behind the end of a group that is shorter than others.
    fn claim_missing(&mut self, agno: u32, agf: &Agf) {
        let (end, size) = (u64::from(agf.length.get()), u64::from(self.geo.ag_blocks));
        if end < size {
            let uses = (Kind::Unknown, Kind::Missing);
            self.claim(Space::Group(agno), end, size - end, uses, None);
        }
    }

    fn claim_log(&mut self, agno: u32) {
        let Some(start) = self.geo.log.start else { return };
        let (group, agbno) = self.geo.fsblock_parts(start);
        if group == agno {
            let len = self.geo.log.blocks.into();
            let uses = (Kind::Unknown, Kind::Log);
            self.claim(Space::Group(agno), agbno.into(), len, uses, None);
        }
    }

    fn free_list(&mut self, headers: &AgHeaders, agf: &Agf) {
        let agno = headers.agno;
        let Ok(agfl) = headers.agfl() else { return };
        let (first, last) = (agf.flfirst.get(), agf.fllast.get());
        let (count, size) = (agf.flcount.get(), self.geo.agfl_size());
        if count == 0 || first >= size || last >= size {
            if count != 0 {
                let line = format_args!("agf {agno} freelist blocks bad, skipping freelist scan");
                self.report.complain(line);
            }
            return;
        }
        let (mut index, mut found) = (first, 0u32);
        loop {
            let block = agfl.bno.get(index as usize).map_or(u32::MAX, |block| block.get());
            if block < self.geo.ag_blocks {
                let uses = (Kind::Unknown, Kind::Freelist);
                self.claim(Space::Group(agno), block.into(), 1, uses, None);
            } else {
                let line = format_args!("bad agbno {block} in agfl, agno {agno}");
                self.report.complain(line);
            }
            found += 1;
            if index == last {
                break;
            }
            index = (index + 1) % size;
        }
        if found != count {
            let line = format_args!("freeblk count {found} != flcount {count} in ag {agno}");
            self.report.complain(line);
        }
    }

    fn check_sums(&mut self, agno: u32, agf: &Agf, agi: &Agi, sums: &Sums) {
        let mut compare = |name: &str, claimed: u32, counted: u64| {
            if u64::from(claimed) != counted {
                let line = format_args!("{name} {claimed}, counted {counted} in ag {agno}");
                self.report.complain(line);
            }
        };
        compare("agf_freeblks", agf.freeblks.get(), sums.free_blocks);
        compare("agf_longest", agf.longest.get(), sums.longest);
        // Roots are not counted; that of the reverse mappings was taken off already.
        let roots = 2;
        compare("agf_btreeblks", agf.btreeblks.get(), sums.tree_blocks.saturating_sub(roots));
        compare("agi_count", agi.count.get(), sums.inodes);
        compare("agi_freecount", agi.freecount.get(), sums.free_inodes);
        for (bucket, head) in agi.unlinked.iter().enumerate() {
            let agino = head.get();
            if agino != NULL_AGINO {
                let ino = self.geo.ino(agno, agino);
                self.report.complain(format_args!(
                    "agi unlinked bucket {bucket} is {agino} in ag {agno} (inode={ino})"
                ));
            }
        }
    }
}

/// A number as C's `%#x` prints it.
pub fn alternate_hex(number: u32) -> String {
    if number == 0 { "0".into() } else { format!("{number:#x}") }
}
