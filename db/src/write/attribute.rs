//! What `attr_set` and `attr_remove` take alike: whose attribute, and its name.

use crate::getopt::{self, Given};
use crate::session::Session;
use crate::types::Type;
use anyhow::{Context, Result, anyhow, bail};
use libfs::format::geometry::Ino;
use libfs::xattr::Namespace;

/// What filesystem properties begin with in the namespace of root.
const PROPERTY_PREFIX: &str = "xfs:";
/// Longest value in bytes.
const MAX_VALUE: u64 = 64 * 1024;

/// An attribute that is named on the command line.
pub struct Named<'a> {
    /// The inode at the cursor.
    pub ino: Ino,
    /// Whose attribute it is.
    pub namespace: Namespace,
    /// Its name.
    pub name: Vec<u8>,
    /// Its name as it was given, for a property of the filesystem.
    pub property: Option<String>,
    /// The options.
    pub given: Given<'a>,
    /// The words after the name.
    pub rest: Vec<&'a str>,
}

/// Takes the arguments of `command` apart; `letters` are the options it has besides those that
/// name an attribute, `most` is how many words may follow the name.
///
/// # Errors
///
/// An error is returned if the cursor is on no inode, or the arguments make no sense.
pub fn named<'a>(
    session: &Session,
    command: &str,
    args: &[&'a str],
    letters: &str,
    most: usize,
) -> Result<Named<'a>> {
    let kind = session.cursor.as_ref().context("no current type")?.kind;
    if kind != Type::Inode {
        bail!("current type is not inode");
    }
    let ino = session.ino.context("no current inode")?;
    let given = getopt::parse_or_refuse(command, args, &format!("ruspnZN:{letters}"))?;
    let mut words = given.words.clone();
    let mut name = match given.value('N') {
        Some(path) => std::fs::read(path).map_err(|error| file_error(path, &error))?,
        None if words.is_empty() => bail!("too few options for {command} (no name given)"),
        None => words.remove(0).as_bytes().to_vec(),
    };
    if words.len() > most {
        bail!("too few options for {command} (no name given)");
    }
    let namespace = given.options.iter().rev().find_map(|(letter, _)| match letter {
        'r' | 'Z' => Some(Namespace::Trusted),
        'u' => Some(Namespace::User),
        's' => Some(Namespace::Secure),
        'p' => Some(Namespace::Parent),
        _ => None,
    });
    let property = given.has('Z').then(|| String::from_utf8_lossy(&name).into_owned());
    if property.is_some() {
        name = [PROPERTY_PREFIX.as_bytes(), &name].concat();
    }
    let namespace = namespace.unwrap_or(Namespace::User);
    Ok(Named { ino, namespace, name, property, given, rest: words })
}

/// The value that an attribute is to get: a word, a file, or a number of letters.
///
/// # Errors
///
/// An error is returned if the file cannot be read or the number is none.
pub fn value(command: &str, named: &Named) -> Result<Vec<u8>> {
    if let Some(path) = named.given.value('V') {
        return std::fs::read(path).map_err(|error| file_error(path, &error));
    }
    if let Some(text) = named.given.value('v') {
        let len = super::value::number(text).filter(|&len| len <= MAX_VALUE);
        let len = len.with_context(|| format!("bad {command} valuelen {text}"))?;
        return Ok(vec![b'v'; len as usize]);
    }
    Ok(named.rest.first().map_or(Vec::new(), |word| word.as_bytes().to_vec()))
}

fn file_error(path: &str, error: &std::io::Error) -> anyhow::Error {
    let text = error.to_string();
    anyhow!("{path}: {}", text.split(" (os error").next().unwrap_or(&text))
}
