//! Files mapped into memory.
//!
//! Unsafe code, since a mapping is memory that Rust knows nothing of. Nobody gets a reference
//! into one: bytes are copied in and out, one by one, at offsets that are checked against the
//! length. What the kernel answers to an access that it does not allow, beyond the end of the
//! file or against the protection, is a signal, as for any program.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::os::fd::BorrowedFd;

use libfs::{Errno, Error, Result};
use rustix::mm::{self, MapFlags, MremapFlags, MsyncFlags, ProtFlags};

/// What a mapping may be used for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Protection {
    pub read: bool,
    pub write: bool,
    pub execute: bool,
}

/// A part of a file in memory; unmapped when dropped.
#[derive(Debug)]
pub struct Memory {
    address: *mut c_void,
    length: usize,
}

fn failed(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> Error {
    move |errno| Error::os(Errno::from_raw(errno.raw_os_error()), what)
}

impl Memory {
    /// Maps `length` bytes of a file at `offset`, shared. `synchronous` is MAP_SYNC. With
    /// `reserve`, where that many bytes of address space were free a moment ago.
    pub fn map(
        fd: BorrowedFd<'_>,
        offset: u64,
        length: usize,
        protection: Protection,
        synchronous: bool,
        reserve: usize,
    ) -> Result<Self> {
        let mut bits = ProtFlags::empty();
        bits.set(ProtFlags::READ, protection.read);
        bits.set(ProtFlags::WRITE, protection.write);
        bits.set(ProtFlags::EXEC, protection.execute);
        let flags =
            if synchronous { MapFlags::SHARED_VALIDATE | MapFlags::SYNC } else { MapFlags::SHARED };
        let hint = if reserve > length { free_space(reserve)? } else { std::ptr::null_mut() };
        // SAFETY: a new mapping at an address that the kernel chooses (the hint is no MAP_FIXED)
        // overlaps nothing that Rust knows of.
        let address = unsafe { mm::mmap(hint, length, bits, flags, fd, offset) };
        Ok(Self { address: address.map_err(failed("mmap"))?, length })
    }

    /// First address.
    pub fn address(&self) -> usize {
        self.address as usize
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// The address of `len` bytes at `at`.
    ///
    /// # Errors
    /// EINVAL if they are not all within the mapping.
    fn place(&self, at: usize, len: usize) -> Result<*mut u8> {
        if at.checked_add(len).is_none_or(|end| end > self.length) {
            return Err(Error::os(Errno::EINVAL, "beyond the mapping"));
        }
        Ok(self.address.cast::<u8>().wrapping_add(at))
    }

    /// Copies bytes out, from the last to the first if `backwards`.
    pub fn read(&self, at: usize, out: &mut [u8], backwards: bool) -> Result<()> {
        let place = self.place(at, out.len())?;
        let count = out.len();
        for step in 0..count {
            let index = if backwards { count - 1 - step } else { step };
            // SAFETY: within the mapping, which lives as long as `self`.
            out[index] = unsafe { place.wrapping_add(index).read_volatile() };
        }
        Ok(())
    }

    /// Stores a byte over and over, from the last to the first if `backwards`.
    pub fn fill(&mut self, at: usize, len: usize, byte: u8, backwards: bool) -> Result<()> {
        let place = self.place(at, len)?;
        for step in 0..len {
            let index = if backwards { len - 1 - step } else { step };
            // SAFETY: within the mapping, which nobody has a reference into.
            unsafe { place.wrapping_add(index).write_volatile(byte) };
        }
        Ok(())
    }

    /// msync(2).
    pub fn sync(&self, at: usize, len: usize, flags: MsyncFlags) -> Result<()> {
        let place = self.place(at, len)?;
        // SAFETY: the range is within the mapping; writing it back changes no memory.
        unsafe { mm::msync(place.cast(), len, flags) }.map_err(failed("msync"))
    }

    /// mremap(2): a new length, elsewhere if it `may_move`.
    pub fn resize(&mut self, length: usize, may_move: bool) -> Result<()> {
        let flags = if may_move { MremapFlags::MAYMOVE } else { MremapFlags::empty() };
        // SAFETY: the whole of a mapping of ours, into which there are no references.
        let moved = unsafe { mm::mremap(self.address, self.length, length, flags) };
        self.address = moved.map_err(failed("mremap"))?;
        self.length = length;
        Ok(())
    }

    /// mremap(2) to this address, where nothing may be mapped yet.
    ///
    /// # Errors
    /// EEXIST if something is, or as mremap(2).
    pub fn move_to(&mut self, address: usize, length: usize) -> Result<()> {
        let place = std::ptr::without_provenance_mut::<c_void>(address);
        let (protection, flags) = (ProtFlags::empty(), MapFlags::PRIVATE);
        // SAFETY: MAP_FIXED_NOREPLACE takes the range only where it is free, so that moving there
        // replaces nothing but this reservation; `self` is a mapping of ours without references.
        let moved = unsafe {
            let flags = flags | MapFlags::FIXED_NOREPLACE;
            mm::mmap_anonymous(place, length, protection, flags).map_err(failed("mremap"))?;
            mm::mremap_fixed(self.address, self.length, length, MremapFlags::MAYMOVE, place)
        };
        self.address = moved.map_err(failed("mremap"))?;
        self.length = length;
        Ok(())
    }
}

/// Where `length` bytes of address space were free.
fn free_space(length: usize) -> Result<*mut c_void> {
    let (protection, flags) = (ProtFlags::empty(), MapFlags::PRIVATE);
    // SAFETY: a new mapping that is removed again before anybody uses it.
    unsafe {
        let address = mm::mmap_anonymous(std::ptr::null_mut(), length, protection, flags);
        let address = address.map_err(failed("mmap"))?;
        mm::munmap(address, length).map_err(failed("munmap"))?;
        Ok(address)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: a mapping of ours that nobody can reach any more.
        let _ = unsafe { mm::munmap(self.address, self.length) };
    }
}
