//! Tests on made-up bytes; whole dumps are exchanged with xfsprogs in `tests/peers/metadump`.

use super::*;
use crate::device::{Device, MemoryDevice, OverlayDevice};
use crate::filesystem::read_superblock;
use crate::scan::tests::SAMPLE;
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// A damaged filesystem is dumped all the same.
    #[test]
    fn damage_does_not_stop_a_dump(
        places in prop::collection::vec((0u64..4, 0u64..400 * 4096, any::<u8>()), 1..400),
        obfuscate: bool,
    ) {
        let device = OverlayDevice::new(SAMPLE.0.clone());
        let (_, geo) = read_superblock(&device).unwrap();
        for (group, offset, byte) in places {
            let at = (geo.ag_daddr(group as u32, 0) << 9) + 512 + offset;
            device.write_at(&[byte], at).unwrap();
        }
        let source = Source { data: &device, log: None, realtime: None, geo: &geo };
        let options = Options {
            version: Version::V2,
            obfuscate: obfuscate.then_some(Key(1, 2)),
            full_blocks: false,
            max_extent: 1000,
            stop_on_read_error: false,
        };
        let listener = Listener { progress: &mut |_| {}, warn: &|_| {} };
        dump(&source, &options, std::io::sink(), listener).unwrap();
    }
}
