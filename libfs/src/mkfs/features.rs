//! Which features go together.

use super::{Features, Notice, Options, PlanError, SelfHealing, Toggle, realtime};

/// The features a filesystem gets, and what its self-healing property says, if anything.
pub(super) fn settle(
    options: &Options,
    block: u32,
    notify: &mut dyn FnMut(Notice),
) -> Result<(Features, Option<SelfHealing>), PlanError> {
    let mut features = options.features;
    if features.ascii_case_insensitive.on {
        notify(Notice::Output(
            "ascii-ci filesystems are deprecated and will not be supported by future versions."
                .into(),
        ));
    }
    if !features.checksums.on {
        return Err(PlanError::Version4);
    }
    if options.inode_size.is_some_and(|size| size < 512) {
        return Err(PlanError::InodeSizeForChecksums(512));
    }
    if !options.align_inodes {
        return Err(PlanError::InodesUnaligned);
    }
    want_back_references(&mut features, options.self_healing, notify);
    if !features.free_inode_btree.on {
        refuse_or_drop(&mut features.inode_btree_counts, PlanError::CountsWithoutFreeInodeBtree)?;
    }
    realtime::settle(options, &mut features, block)?;
    if options.root.cow_extent_size != 0 && !features.reflink.on {
        return Err(PlanError::CowExtentSizeWithoutReflink);
    }
    if features.metadata_directories.on && !features.exchange_range.on {
        if features.exchange_range.explicit {
            return Err(PlanError::MetadirWithoutExchange);
        }
        features.exchange_range.on = true;
    }
    if options.max_atomic_write.is_some() && !features.reflink.on {
        return Err(PlanError::AtomicWriteWithoutReflink);
    }
    // Online repair needs it, and it costs nothing.
    if features.parent_pointers.on && !features.exchange_range.explicit {
        features.exchange_range.on = true;
    }
    let full = features.reverse_mapping.on && features.parent_pointers.on;
    let healing = options.self_healing.or(full.then_some(SelfHealing::Repair));
    Ok((features, healing))
}

/// Online checking needs to know who owns what: turn that on, or say what is missing.
fn want_back_references(
    features: &mut Features,
    healing: Option<SelfHealing>,
    notify: &mut dyn FnMut(Notice),
) {
    let Some(level) = healing.filter(|level| *level >= SelfHealing::Check) else { return };
    for (toggle, what) in [
        (&mut features.reverse_mapping, "reverse mapping"),
        (&mut features.parent_pointers, "parent pointers"),
    ] {
        if toggle.explicit && !toggle.on {
            let level = level.name();
            notify(Notice::Output(format!("-m autofsck={level} is less effective without {what}")));
        } else {
            toggle.on = true;
        }
    }
}

/// A feature that lacks what it builds on: an error if asked for, else left out.
fn refuse_or_drop(toggle: &mut Toggle, error: PlanError) -> Result<(), PlanError> {
    if toggle.on && toggle.explicit {
        return Err(error);
    }
    toggle.on = false;
    Ok(())
}
