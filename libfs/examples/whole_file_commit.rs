//! Several programs change one file, each replacing all of it at once, without a lock.
//!
//! Each takes a sample of the file, clones it into a file without a name, changes the clone and
//! commits: the two files change places if nobody changed the first one since the
//! sample was taken. Who comes too late is told so (EBUSY) and begins again with the file as
//! it is then. Readers see the file before a commit or after it, and so do they after a
//! power cut.
//!
//! ```sh
//! cargo run --example whole_file_commit [IMAGE]
//! ```
//!
//! IMAGE is made anew; without it, the image is a temporary file.

#[path = "common/image.rs"]
mod image;

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use image::{Image, recover};
use libfs::Errno;
use libfs::file::exchange::ExchangeFlags;
use libfs::filesystem::{CloneRange, ExchangeRange, Filesystem};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Programs that change the file.
const WRITERS: usize = 4;
/// What each adds to it.
const ENTRIES: usize = 25;

/// The list of members: a line that says how many there are, then their names in order. A
/// new name goes in the middle, so all that is behind it moves.
const PATH: &str = "/members";

/// All of the file, from its two ends to the check of its first line.
fn members(filesystem: &mut Filesystem, file: u64) -> Result<Vec<String>> {
    let mut bytes = vec![0; filesystem.stat(file)?.size as usize];
    let len = filesystem.read(file, 0, &mut bytes)?;
    let text = String::from_utf8(bytes[..len].to_vec())?;
    let (first, rest) = text.split_once('\n').ok_or("the file has no first line")?;
    let names: Vec<String> = rest.lines().map(str::to_owned).collect();
    if first != format!("{} members", names.len()) || !names.is_sorted() {
        return Err(format!("this is no version of the file:\n{text}").into());
    }
    Ok(names)
}

fn text(names: &[String]) -> String {
    let mut text = format!("{} members\n", names.len());
    for name in names {
        text.push_str(name);
        text.push('\n');
    }
    text
}

/// Adds `name` to the file; returns how often somebody else was faster.
fn add(shared: &Mutex<Filesystem>, file: u64, name: &str) -> Result<usize> {
    let mut late = 0;
    loop {
        // Each step lets go of the filesystem, so that others come in between.
        let fresh = lock(shared).start_commit(file)?;
        let clone = lock(shared).create_temporary("/", 0o644)?;
        lock(shared).clone_range(file, clone, &CloneRange::default())?;
        thread::yield_now();
        let mut names = members(&mut lock(shared), clone)?;
        names.insert(names.partition_point(|other| other.as_str() < name), name.to_owned());
        let text = text(&names);
        lock(shared).write(clone, 0, text.as_bytes())?;
        lock(shared).truncate(clone, text.len() as u64)?;
        thread::yield_now();
        // Contents and sizes change places; when this returns, no power cut can undo it.
        let flags = ExchangeFlags::TO_EOF | ExchangeFlags::DSYNC;
        let whole = ExchangeRange { flags, ..ExchangeRange::default() };
        let outcome = lock(shared).commit_range(clone, file, &whole, &fresh);
        // The clone has no name: it is gone when nobody holds it any more.
        lock(shared).release(clone)?;
        match outcome {
            Ok(()) => return Ok(late),
            Err(error) if error.errno() == Errno::EBUSY => late += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

fn lock(shared: &Mutex<Filesystem>) -> MutexGuard<'_, Filesystem> {
    shared.lock().expect("no thread panics while it works on the filesystem")
}

/// Adds the names of one writer.
fn writer(shared: &Mutex<Filesystem>, file: u64, number: usize) -> Result<usize> {
    let mut late = 0;
    for entry in 0..ENTRIES {
        late += add(shared, file, &format!("{entry:02} of writer {number}"))?;
    }
    Ok(late)
}

fn main() -> Result<()> {
    let image = Image::from_arguments()?;
    let mut filesystem = Filesystem::make(image.device()?)?;
    println!("made a filesystem on {}", image.path().display());
    let file = filesystem.create(PATH, 0o644)?;
    filesystem.write(file, 0, text(&[]).as_bytes())?;
    filesystem.sync()?;

    let shared = Arc::new(Mutex::new(filesystem));
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || writer(&shared, file, number))
        })
        .collect();
    let mut versions = 0;
    while writers.iter().any(|writer| !writer.is_finished()) {
        members(&mut lock(&shared), file)?;
        versions += 1;
        thread::yield_now();
    }
    let mut late = 0;
    for writer in writers {
        late += writer.join().map_err(|_| "a writer panicked")??;
    }
    println!("{} commits by {WRITERS} writers", WRITERS * ENTRIES);
    println!("{late} commits came too late and were repeated");
    println!("{versions} times the file was read meanwhile, and was whole");

    // The handle is let go without closing the filesystem: its log is dirty, as after a power cut.
    drop(shared);
    let mut filesystem = recover(image.device()?)?;
    let file = filesystem.lookup(PATH)?;
    let found = members(&mut filesystem, file)?;
    let mut expected: Vec<String> = (0..WRITERS)
        .flat_map(|number| (0..ENTRIES).map(move |entry| format!("{entry:02} of writer {number}")))
        .collect();
    expected.sort();
    if found != expected {
        return Err(format!("after the power cut the file has {} members", found.len()).into());
    }
    filesystem.close()?;
    println!("after a power cut all {} entries are there", found.len());
    Ok(())
}
