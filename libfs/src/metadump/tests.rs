//! Tests on made-up bytes; whole dumps are exchanged with xfsprogs in `tests/peers/metadump`.

use super::*;
use crate::device::MemoryDevice;
use proptest::prelude::*;

fn restore_bytes(dump: &[u8]) -> crate::Result<()> {
    let device = MemoryDevice::new(16 << 20);
    let data = Target { device: &device, is_blank: true };
    Restore::new(Reader::new(dump)?)?.run(Targets { data, log: None, realtime: None }, &mut |_| {})
}

proptest! {
    /// Garbage behind a valid start is an error or a filesystem, never a panic.
    #[test]
    fn garbage_is_an_error(
        version in prop::sample::select(vec![format::MAGIC_V1, format::MAGIC_V2]),
        bytes in prop::collection::vec(any::<u8>(), 0..4096),
        blocklog in 9u8..12,
        quiet: bool,
    ) {
        let mut dump = version.to_be_bytes().to_vec();
        dump.extend_from_slice(&bytes);
        if let (true, Some(fixed)) = (quiet, dump.get_mut(4..40)) {
            fixed.fill(0);
            fixed[1] = 3;
            fixed[2] = blocklog;
            fixed[31] = 1;
        }
        let _ = restore_bytes(&dump);
    }
}
