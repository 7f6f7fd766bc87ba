//! The free list of an allocation group: blocks set aside for the free space and reverse
//! mapping trees, which cannot allocate from themselves. A ring in the AGFL sector; the AGF
//! says where it begins, where it ends and how long it is.

use std::mem::offset_of;

use super::header::{self, field, set_field};
use crate::buffer::BufferId;
use crate::format::ag::{Agf, AgflHeader};
use crate::transaction::Transaction;
use crate::{At, Error, Result};

/// Where entry `index` is in the AGFL sector.
fn entry(index: u32) -> usize {
    size_of::<AgflHeader>() + 4 * index as usize
}

/// Checks that first, last and count describe the same run of the ring of `size` entries.
fn check(agf: &Agf, agno: u32, size: u32) -> Result<()> {
    let (first, last, count) = (agf.flfirst.get(), agf.fllast.get(), agf.flcount.get());
    let bad = |why: String| Err(Error::corrupt("AGF free list", At::AgBlock(agno, 0), why));
    if first >= size || last >= size || count > size {
        return bad(format!("entries {first} to {last}, {count} of {size}"));
    }
    let active = if count == 0 { 0 } else { (last + size - first) % size + 1 };
    // An empty list has its end just before its beginning.
    if active != count && !(count == 0 && (last + 1) % size == first) {
        return bad(format!("entries {first} to {last} are not {count}"));
    }
    Ok(())
}

/// Takes the first block off the list; `None` if the list is empty.
///
/// # Errors
/// [`Error::Corrupt`] when list or block are impossible, [`Error::Io`].
pub(crate) fn take(tp: &mut Transaction<'_>, agno: u32, agf: BufferId) -> Result<Option<u32>> {
    let size = tp.geo.agfl_size();
    check(header::agf(tp, agf)?, agno, size)?;
    if field(tp, agf, offset_of!(Agf, flcount)) == 0 {
        return Ok(None);
    }
    let agfl = tp.read_agfl(agno)?;
    let first = field(tp, agf, offset_of!(Agf, flfirst));
    let agbno = field(tp, agfl, entry(first));
    if !tp.geo.valid_agbno(agno, agbno) {
        let why = format!("entry {first} is {agbno}");
        return Err(Error::corrupt("AGFL", At::AgBlock(agno, tp.geo.agfl_block()), why));
    }
    set_field(tp, agf, offset_of!(Agf, flfirst), (first + 1) % size);
    header::add_to_field(tp, agf, offset_of!(Agf, flcount), -1)?;
    Ok(Some(agbno))
}

/// Appends a block to the list.
///
/// # Errors
/// [`Error::Corrupt`] when the list is impossible or full, [`Error::Io`].
pub(crate) fn put(tp: &mut Transaction<'_>, agno: u32, agf: BufferId, agbno: u32) -> Result<()> {
    let size = tp.geo.agfl_size();
    check(header::agf(tp, agf)?, agno, size)?;
    if field(tp, agf, offset_of!(Agf, flcount)) >= size {
        return Err(Error::corrupt("AGF free list", At::AgBlock(agno, agbno), "it is full"));
    }
    let agfl = tp.read_agfl(agno)?;
    let last = (field(tp, agf, offset_of!(Agf, fllast)) + 1) % size;
    set_field(tp, agfl, entry(last), agbno);
    set_field(tp, agf, offset_of!(Agf, fllast), last);
    header::add_to_field(tp, agf, offset_of!(Agf, flcount), 1)
}
