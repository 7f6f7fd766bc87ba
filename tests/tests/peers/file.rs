//! The data path: what Linux wrote reads the same here, and what is written, truncated and
//! exchanged here reads the same on Linux, with nothing for `xfs_repair -n` to find.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use libfs::device::{Device as _, FileDevice};
use libfs::file;
use libfs::format::geometry::Geometry;
use libfs::format::superblock::Superblock;
use libfs::inode::WhichFork;
use libfs::inode::bmap::Target;
use libfs::mount::Mount as OurMount;
use tests::linux::{self, Mount};
use tests::peers::Peers;
use tests::scratch::Scratch;

const SIZE: u64 = 300 << 20;

/// Opens an image for reading only.
fn open_for_reading(image: &Path) -> OurMount {
    let device = Arc::new(FileDevice::open_read_only(image).unwrap());
    let mut sector = [0; 512];
    device.read_at(&mut sector, 0).unwrap();
    let sb = Superblock::decode(&sector).unwrap();
    let geo = Geometry::new(&sb.dsb).unwrap();
    OurMount::new(device, sb, geo, None)
}

/// A file with a hole after each of `count` blocks.
fn write_comb(path: &Path, count: u64, block: u64) {
    let file = File::create(path).unwrap();
    for index in 0..count {
        let data = vec![(index % 251) as u8 + 1; block as usize];
        file.write_all_at(&data, 2 * index * block).unwrap();
    }
    file.sync_all().unwrap();
}

#[test]
fn files_of_linux_read_the_same() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    for (options, block) in
        [(&["-b", "size=1024"][..], 1024), (&["-i", "nrext64=0"], 4096), (&[], 4096)]
    {
        let scratch = Scratch::new().unwrap();
        let image = scratch.path("image");
        peers.mkfs(&image, SIZE, options).unwrap();
        let mount = Mount::new(&image).unwrap();
        write_comb(&mount.path("comb"), 12_000, block);
        let mut small = File::create(mount.path("small")).unwrap();
        small.write_all(b"just a few bytes").unwrap();
        drop(small);
        File::create(mount.path("sparse")).unwrap().set_len(3 << 20).unwrap();
        peers.io(&mount.path("sparse"), &["falloc 1m 1m"]).unwrap();
        let names = ["comb", "small", "sparse"];
        let expected = names.map(|name| {
            let path = mount.path(name);
            (fs::metadata(&path).unwrap().ino(), fs::read(&path).unwrap())
        });
        mount.unmount().unwrap();
        let mut ours = open_for_reading(&image);
        for (ino, contents) in &expected {
            let inode = ours.iget(*ino).unwrap();
            let mut found = vec![0xee; contents.len() + 10];
            let len = file::read(&mut ours, inode, 0, &mut found).unwrap();
            assert_eq!(len, contents.len());
            assert!(found[..len] == contents[..], "inode {ino} with {options:?}");
            let mut part = [0; 3000];
            let len = file::read(&mut ours, inode, 7, &mut part).unwrap();
            assert_eq!(part[..len], contents[7..7 + len]);
        }
        let comb = ours.iget(expected[0].0).unwrap();
        let list =
            file::mappings::list(&mut ours, comb, WhichFork::Data, (0, u64::MAX), true, true);
        let list = list.unwrap();
        assert!(list.len() > 20_000, "{} mappings with {options:?}", list.len());
        assert!(list.iter().all(|m| m.last == (m.mapping.end() >= 23_999)));
        let sparse = ours.iget(expected[2].0).unwrap();
        let list =
            file::mappings::list(&mut ours, sparse, WhichFork::Data, (0, u64::MAX), false, false);
        assert!(matches!(list.unwrap()[0].mapping.target, Target::Unwritten(_)));
    }
}
