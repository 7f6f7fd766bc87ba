//! A database whose writers share a file and lock only the rows they change.
//!
//! The file has one row in each block. A transaction changes several rows, far from each
//! other, all or nothing: its writer prepares the new blocks in a file of its own, without
//! a name, at the same offsets, and exchanges with [`ExchangeFlags::FILE1_WRITTEN`], which
//! leaves alone whatever the writer did not write. Other writers exchange other rows at the
//! same time, in any order; nobody locks the file, keeps a journal, or writes a block twice.
//!
//! ```sh
//! cargo run --example slim_lock_database [IMAGE]
//! ```
//!
//! IMAGE is made anew; without it, the image is a temporary file.

#[path = "common/image.rs"]
mod image;

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;

use image::{Image, recover};
use libfs::file::exchange::ExchangeFlags;
use libfs::filesystem::{ExchangeRange, Filesystem};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const PATH: &str = "/accounts";
/// Bytes of a row: a block of the filesystem.
const BLOCK: usize = 4096;
const ROWS: usize = 64;
/// Rows that a transaction changes.
const CHANGED: usize = 3;
const WRITERS: usize = 4;
/// Transactions of each writer, if nothing stops it.
const TRANSACTIONS: usize = 50;
/// What is in an account at first. Transactions move money, so the sum is always the same.
const MONEY: u64 = 1000;

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    money: u64,
    /// How often the row was changed.
    version: u64,
}

impl Row {
    /// The block that holds the row: its fields again and again, so that a torn one shows.
    fn block(self) -> Vec<u8> {
        [self.money.to_le_bytes(), self.version.to_le_bytes()].concat().repeat(BLOCK / 16)
    }

    fn from_block(block: &[u8]) -> Result<Row> {
        let number = |at: usize| {
            Ok::<_, Box<dyn Error + Send + Sync>>(u64::from_le_bytes(
                block.get(at..at + 8).ok_or("a short block")?.try_into()?,
            ))
        };
        let row = Row { money: number(0)?, version: number(8)? };
        if row.block() != block {
            return Err(format!("a block holds parts of different rows: {row:?} and others").into());
        }
        Ok(row)
    }
}

/// What the writers share.
struct Database {
    filesystem: Mutex<Filesystem>,
    file: u64,
    /// The lock of each row, and its version that is known to be durable.
    rows: Vec<(Mutex<()>, AtomicU64)>,
}

impl Database {
    fn new(mut filesystem: Filesystem) -> Result<Self> {
        let file = filesystem.lookup(PATH)?;
        Ok(Database {
            filesystem: Mutex::new(filesystem),
            file,
            rows: (0..ROWS).map(|_| Default::default()).collect(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Filesystem> {
        self.filesystem.lock().expect("no thread panics while it works on the filesystem")
    }

    fn row(&self, index: usize) -> Result<Row> {
        let mut block = vec![0; BLOCK];
        self.lock().read(self.file, (index * BLOCK) as u64, &mut block)?;
        Row::from_block(&block)
    }

    /// All rows at one moment.
    fn all_rows(&self) -> Result<Vec<Row>> {
        let mut bytes = vec![0; ROWS * BLOCK];
        self.lock().read(self.file, 0, &mut bytes)?;
        bytes.chunks(BLOCK).map(Row::from_block).collect()
    }

    /// Checks that no transaction shows in part, and that what is durable is there.
    fn audit(&self) -> Result<()> {
        // These first: what gets durable after that may or may not be seen.
        let durable: Vec<u64> =
            self.rows.iter().map(|(_, version)| version.load(Ordering::SeqCst)).collect();
        let rows = self.all_rows()?;
        let sum: u64 = rows.iter().map(|row| row.money).sum();
        if sum != ROWS as u64 * MONEY {
            return Err(format!("the sum is {sum}: a part of a transaction is missing").into());
        }
        match rows.iter().zip(durable).position(|(row, durable)| row.version < durable) {
            Some(index) => Err(format!("row {index} is older than one that was durable").into()),
            None => Ok(()),
        }
    }

    /// Moves money between rows, which must be in ascending order, so that no two
    /// writers ever wait for each other. `staging` is the writer's own file.
    fn transact(&self, staging: u64, indices: &[usize; CHANGED]) -> Result<()> {
        let _locks: Vec<_> = indices
            .iter()
            .map(|&index| self.rows[index].0.lock().expect("no writer panics"))
            .collect();
        let mut rows = Vec::new();
        for &index in indices {
            rows.push(self.row(index)?);
        }
        // Each of the others gives a tenth to the first.
        for index in 1..rows.len() {
            let moved = rows[index].money / 10;
            rows[index].money -= moved;
            rows[0].money += moved;
        }
        rows.iter_mut().for_each(|row| row.version += 1);
        // An exchange needs both ranges to be inside the files: the rest of this one is a hole.
        self.lock().truncate(staging, (ROWS * BLOCK) as u64)?;
        for (&index, row) in indices.iter().zip(&rows) {
            thread::yield_now();
            self.lock().write(staging, (index * BLOCK) as u64, &row.block())?;
        }
        let range = ExchangeRange {
            length: (ROWS * BLOCK) as u64,
            flags: ExchangeFlags::FILE1_WRITTEN | ExchangeFlags::DSYNC,
            ..ExchangeRange::default()
        };
        self.lock().exchange_range(staging, self.file, &range)?;
        for (&index, row) in indices.iter().zip(&rows) {
            self.rows[index].1.store(row.version, Ordering::SeqCst);
        }
        // The old blocks are in the staging file now.
        Ok(self.lock().truncate(staging, 0)?)
    }

    /// One writer: transactions until there were enough, or the power is gone.
    fn writer(&self, mut seed: u64, done: &AtomicU64) -> Result<()> {
        let staging = self.lock().create_temporary("/", 0o600)?;
        for _ in 0..TRANSACTIONS {
            let mut indices = [0; CHANGED];
            for (place, index) in indices.iter_mut().enumerate() {
                // Any row of the first third, then of the second, then of the last.
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                *index = place * ROWS / CHANGED + (seed >> 33) as usize % (ROWS / CHANGED);
            }
            match self.transact(staging, &indices) {
                Ok(()) => done.fetch_add(1, Ordering::SeqCst),
                Err(_) if self.lock().is_shut_down() => return Ok(()),
                Err(error) => return Err(error),
            };
        }
        Ok(self.lock().release(staging)?)
    }

    /// Runs all writers, and audits while they work. With `cut_after`, the power is cut after
    /// so many transactions, wherever the writers are. Returns the numbers of transactions and
    /// audits.
    fn run(&self, seed: u64, cut_after: Option<u64>) -> Result<(u64, u64)> {
        let done = AtomicU64::new(0);
        thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS as u64)
                .map(|number| {
                    scope.spawn({
                        let done = &done;
                        move || self.writer(seed + number, done)
                    })
                })
                .collect();
            let mut audits = 0;
            while writers.iter().any(|writer| !writer.is_finished()) {
                if cut_after.is_some_and(|most| done.load(Ordering::SeqCst) >= most) {
                    self.lock().shut_down(false)?;
                } else {
                    self.audit()?;
                    audits += 1;
                }
                thread::yield_now();
            }
            for writer in writers {
                writer.join().map_err(|_| "a writer panicked")??;
            }
            Ok((done.load(Ordering::SeqCst), audits))
        })
    }
}

/// Makes the table.
fn fill(filesystem: &mut Filesystem) -> libfs::Result<()> {
    let file = filesystem.create(PATH, 0o644)?;
    let block = Row { money: MONEY, version: 0 }.block();
    filesystem.write(file, 0, &block.repeat(ROWS))?;
    filesystem.sync()
}

fn main() -> Result<()> {
    let image = Image::from_arguments()?;
    let mut filesystem = Filesystem::make(image.device()?)?;
    fill(&mut filesystem)?;
    println!("made a table of {ROWS} rows on {}", image.path().display());

    let database = Database::new(filesystem)?;
    let (done, audits) = database.run(1, Some((WRITERS * TRANSACTIONS / 2) as u64))?;
    println!("{done} transactions by {WRITERS} writers, {audits} audits; then the power was cut");

    let Database { filesystem, rows, .. } = database;
    drop(filesystem);
    let database = Database { rows, ..Database::new(recover(image.device()?)?)? };
    database.audit()?;
    println!("recovered: every transaction is there that was durable, and none in part");

    let (done, audits) = database.run(100, None)?;
    database.audit()?;
    println!("{done} more transactions, {audits} audits");
    database.filesystem.into_inner()?.close()?;
    println!("the sum is {} as in the beginning", ROWS as u64 * MONEY);
    Ok(())
}
