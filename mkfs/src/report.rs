//! The geometry of a filesystem as mkfs.xfs prints it.

use libfs::format::geometry::Geometry;

/// Names of the devices of a filesystem.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The data device.
    pub data: &'a str,
    /// The log's, if the log is not on the data device.
    pub log: Option<&'a str>,
    /// The realtime section's, if it is not on the data device.
    pub realtime: Option<&'a str>,
}

/// The table that describes a filesystem; mkfs.xfs prints it before it makes one.
pub fn geometry(geometry: &Geometry, names: &Names) -> String {
    let features = &geometry.features;
    let on = |feature: bool| u32::from(feature);
    let block = geometry.block_size;
    let realtime = &geometry.realtime;
    let internal_log = geometry.log.start.is_some();
    // Without groups, all of the section counts as one elsewhere.
    let (group_count, group_extents) =
        if realtime.has_groups { (realtime.group_count, realtime.group_extents) } else { (0, 0) };
    let lines = [
        (
            "meta-data",
            names.data,
            pad("isize", geometry.inode.size, 6)
                + &format!("agcount={}, agsize={} blks", geometry.ag_count, geometry.ag_blocks),
        ),
        ("", "", pad("sectsz", geometry.sector_size, 5) + "attr=2, projid32bit=1"),
        (
            "",
            "",
            pad("crc", 1, 8)
                + &format!(
                    "finobt={}, sparse={}, rmapbt={}",
                    on(features.finobt),
                    on(features.sparse_inodes),
                    on(features.rmapbt)
                ),
        ),
        (
            "",
            "",
            pad("reflink", on(features.reflink), 4)
                + &format!(
                    "bigtime={} inobtcount={} nrext64={}",
                    on(features.bigtime),
                    on(features.inobtcount),
                    on(features.nrext64)
                ),
        ),
        (
            "",
            "",
            pad("exchange", on(features.exchange), 3)
                + &format!("metadir={}", on(features.metadir)),
        ),
        (
            "data",
            "",
            pad("bsize", block, 6)
                + &format!("blocks={}, imaxpct={}", geometry.data_blocks, geometry.imax_pct),
        ),
        (
            "",
            "",
            pad("sunit", geometry.stripe_unit, 6)
                + &format!("swidth={} blks", geometry.stripe_width),
        ),
        (
            "naming",
            "version 2",
            pad("bsize", geometry.dir.block_size, 6)
                + &format!(
                    "ascii-ci={}, ftype=1, parent={}",
                    on(features.ascii_ci),
                    on(features.parent)
                ),
        ),
        (
            "log",
            if internal_log { "internal log" } else { names.log.unwrap_or("external") },
            pad("bsize", block, 6) + &format!("blocks={}, version=2", geometry.log.blocks),
        ),
        (
            "",
            "",
            pad("sectsz", geometry.log.sector_size, 5)
                + &format!("sunit={} blks, lazy-count=1", geometry.log.stripe_unit / block),
        ),
        (
            "realtime",
            match (realtime.blocks, realtime.start) {
                (0, _) => "none",
                (_, 0) => names.realtime.unwrap_or("external"),
                _ => "internal",
            },
            pad("extsz", realtime.extent_size * block, 6)
                + &format!("blocks={}, rtextents={}", realtime.blocks, realtime.extents),
        ),
        ("", "", pad("rgcount", group_count, 4) + &format!("rgsize={group_extents} extents")),
        (
            "",
            "",
            pad("zoned", on(features.zoned), 6)
                + &format!("start={} reserved={}", realtime.start, realtime.reserved),
        ),
    ];
    lines.iter().map(|(section, what, values)| line(section, what, values)).collect()
}

/// `name=value`, the value padded to `width`, and a space.
fn pad(name: &str, value: u32, width: usize) -> String {
    format!("{name}={value:<width$} ")
}

fn line(section: &str, what: &str, values: &str) -> String {
    format!("{section:<9}={what:<22} {values}\n")
}
