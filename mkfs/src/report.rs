//! The geometry of a filesystem as mkfs.xfs prints it.

use libfs::mkfs::Plan;

/// The table that is printed before a filesystem is made on the device `name`, and perhaps the
/// external log `log`.
pub fn geometry(plan: &Plan, name: &str, log: Option<&str>) -> String {
    let geometry = &plan.geometry;
    let features = &geometry.features;
    let on = |feature: bool| u32::from(feature);
    let block = geometry.block_size;
    let lines = [
        (
            "meta-data",
            name,
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
            log.unwrap_or("internal log"),
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
            "none",
            pad("extsz", geometry.realtime.extent_size * block, 6) + "blocks=0, rtextents=0",
        ),
        ("", "", pad("rgcount", 0, 4) + "rgsize=0 extents"),
        ("", "", pad("zoned", 0, 6) + "start=0 reserved=0"),
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
