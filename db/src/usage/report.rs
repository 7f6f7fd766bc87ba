//! What is said while blocks are counted.

use super::Request;
use libfs::format::geometry::{FsBlock, Ino};
use std::fmt::Arguments;
use std::io::Write;

/// Text that is gathered before it is shown.
const PIECE: usize = 1 << 16;

/// Where messages go.
pub struct Report<'a> {
    request: &'a Request,
    prefix: String,
    out: Vec<u8>,
    show: &'a mut dyn FnMut(&[u8]),
    /// Something was so wrong that the sums make no sense.
    pub serious: bool,
    /// Complaints.
    pub complaints: u64,
}

impl<'a> Report<'a> {
    /// Messages start with `prefix` and go to `show`.
    pub fn new(request: &'a Request, prefix: String, show: &'a mut dyn FnMut(&[u8])) -> Self {
        Report { request, prefix, out: Vec::new(), show, serious: false, complaints: 0 }
    }

    /// Says something on a line of its own.
    pub fn say(&mut self, line: Arguments<'_>) {
        self.say_name(line, &[], format_args!(""));
    }

    /// The same with a name of any bytes in the middle.
    pub fn say_name(&mut self, head: Arguments<'_>, name: &[u8], tail: Arguments<'_>) {
        // Writing to memory does not fail.
        let _ = write!(self.out, "{}{head}", self.prefix);
        self.out.extend_from_slice(name);
        let _ = writeln!(self.out, "{tail}");
        if self.out.len() >= PIECE {
            self.flush();
        }
    }

    /// Complains, unless only severe errors are wanted.
    pub fn complain(&mut self, line: Arguments<'_>) {
        self.complaints += 1;
        if !self.request.severe_only {
            self.say(line);
        }
    }

    /// The same with a name of any bytes in the middle.
    pub fn complain_of_name(&mut self, head: Arguments<'_>, name: &[u8], tail: Arguments<'_>) {
        self.complaints += 1;
        if !self.request.severe_only {
            self.say_name(head, name, tail);
        }
    }

    /// Complains about something after which the sums make no sense.
    pub fn complain_seriously(&mut self, line: Arguments<'_>) {
        self.complaints += 1;
        self.serious = true;
        self.say(line);
    }

    /// Whether everything is told that is done with a block.
    pub fn tells_block(&self, block: FsBlock) -> bool {
        self.request.verbose || self.request.blocks.contains(&block.0)
    }

    /// Whether single blocks may be told of at all.
    pub fn tells_blocks(&self) -> bool {
        self.request.verbose || !self.request.blocks.is_empty()
    }

    /// Whether everything is told that is done with an inode.
    pub fn tells_inode(&self, ino: Ino) -> bool {
        self.request.verbose || self.request.inodes.contains(&ino.0)
    }

    /// Shows what was gathered.
    pub fn flush(&mut self) {
        (self.show)(&self.out);
        self.out.clear();
    }
}
