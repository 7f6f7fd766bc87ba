//! The pictures of the gallery are sound filesystems that hold what they are made for.

use tests::gallery::{End, Gallery, PICTURES};
use tests::peers::Peers;

#[test]
fn pictures_are_sound() {
    let Some(peers) = Peers::or_skip() else { return };
    let names: Vec<_> = PICTURES.iter().map(|picture| picture.name).collect();
    // The largest takes longest, and other tests look at it.
    let names: Vec<_> = names.into_iter().filter(|name| *name != "many-inodes").collect();
    let Some(gallery) = Gallery::or_skip(&peers, &names) else { return };
    for exhibit in &gallery.exhibits {
        if exhibit.picture.end != End::Clean {
            continue;
        }
        let mut command = peers.command("xfs_repair");
        command.args(["-n", "-f"]).args(exhibit.device_options("-r", "-l")).arg(&exhibit.image);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}: {text}", exhibit.picture.name);
    }
    tests::skip::say(&format!("{} pictures made", gallery.exhibits.len()));
}
