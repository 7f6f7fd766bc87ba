//! Makes images of the gallery (see `tests::gallery`) to be looked at by hand:
//! `gallery DIRECTORY [NAME...]`, all of them if none is named.
#![forbid(unsafe_code)]

use std::path::Path;

use anyhow::{Context, Result};
use tests::gallery::{self, PICTURES};
use tests::peers::Peers;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (dir, names) = args.split_first().context("usage: gallery DIRECTORY [NAME...]")?;
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    if names.is_empty() {
        names = PICTURES.iter().map(|picture| picture.name).collect();
    }
    std::fs::create_dir_all(dir)?;
    for exhibit in gallery::make_in(&Peers::find()?, Path::new(dir), &names)? {
        println!("{}", exhibit.image.display());
    }
    Ok(())
}
