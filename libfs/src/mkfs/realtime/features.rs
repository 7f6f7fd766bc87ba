//! Which features go together with a realtime section, and which need the metadata directory.

use super::{RealtimeError, RealtimeOptions};
use crate::mkfs::{Features, Options, Toggle};

/// Settles the features that depend on the realtime section and on each other.
pub(in crate::mkfs) fn settle(
    options: &Options,
    features: &mut Features,
    block: u32,
) -> Result<(), RealtimeError> {
    let realtime = &options.realtime;
    let metadir = &mut features.metadata_directories;
    if realtime.zoned && !metadir.on {
        if metadir.explicit {
            return Err(RealtimeError::ZonedWithoutMetadir);
        }
        metadir.on = true;
    }
    if realtime.device.is_some() {
        let metadir = &mut features.metadata_directories;
        want_metadir(metadir, &mut features.reflink, "reflink")?;
        want_metadir(metadir, &mut features.reverse_mapping, "rmapbt")?;
    }
    // Quotas turn it on later: btrees that were dropped before stay so.
    let metadir = &mut features.metadata_directories;
    if !options.quota.is_empty() && !metadir.on {
        if metadir.explicit {
            return Err(RealtimeError::QuotaWithout("metadir"));
        }
        metadir.on = true;
    }
    if !features.metadata_directories.on {
        return Ok(());
    }
    if realtime.is_wanted() {
        drop_sharing(realtime, &mut features.reflink, block)?;
    }
    if realtime.zoned && realtime.extent_size.is_some() {
        return Err(RealtimeError::ZonedExtentSize);
    }
    Ok(())
}

/// A btree of realtime groups needs the metadata directory: that comes with a btree that was
/// asked for, and without it the btree goes.
fn want_metadir(
    metadir: &mut Toggle,
    tree: &mut Toggle,
    name: &'static str,
) -> Result<(), RealtimeError> {
    if metadir.on {
        return Ok(());
    }
    if !metadir.explicit && tree.explicit && tree.on {
        metadir.on = true;
        return Ok(());
    }
    refuse_or_drop(tree, RealtimeError::NeedsMetadir(name))
}

/// Blocks of the realtime section are shared one by one only, and not at all in zones.
fn drop_sharing(
    realtime: &RealtimeOptions,
    reflink: &mut Toggle,
    block: u32,
) -> Result<(), RealtimeError> {
    if realtime.zoned {
        return refuse_or_drop(reflink, RealtimeError::ZonedReflink);
    }
    let extent = super::section::extent_bytes(realtime, block);
    if extent == u64::from(block) {
        return Ok(());
    }
    refuse_or_drop(reflink, RealtimeError::ExtentSizeReflink)
}

fn refuse_or_drop(toggle: &mut Toggle, error: RealtimeError) -> Result<(), RealtimeError> {
    if toggle.on && toggle.explicit {
        return Err(error);
    }
    toggle.on = false;
    Ok(())
}
