//! What the commands about extended attributes share: the inode they work on, and the
//! namespace that options choose.

use crate::getopt::Given;
use crate::session::Session;
use crate::types::Type;
use anyhow::{Context, Result, bail};
use libfs::format::geometry::Ino;
use libfs::xattr::{Attribute, Namespace};

/// What names of filesystem properties begin with, in the trusted namespace.
const PROPERTY: &[u8] = b"xfs:";

/// Which attributes are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// Those of a namespace.
    Of(Namespace),
    /// Filesystem properties.
    Properties,
}

impl Space {
    /// What the last of the options -r -u -s -p -Z chooses.
    pub fn of(given: &Given) -> Self {
        let chosen = given.options.iter().rev().find_map(|(letter, _)| match letter {
            'r' => Some(Self::Of(Namespace::Trusted)),
            'u' => Some(Self::Of(Namespace::User)),
            's' => Some(Self::Of(Namespace::Secure)),
            'p' => Some(Self::Of(Namespace::Parent)),
            'Z' => Some(Self::Properties),
            _ => None,
        });
        chosen.unwrap_or(Self::Of(Namespace::User))
    }

    /// The namespace on disk.
    pub fn namespace(self) -> Namespace {
        match self {
            Self::Of(namespace) => namespace,
            Self::Properties => Namespace::Trusted,
        }
    }

    /// The name on disk of what users call `name`.
    pub fn stored(self, name: &[u8]) -> Vec<u8> {
        match self {
            Self::Of(_) => name.to_vec(),
            Self::Properties => [PROPERTY, name].concat(),
        }
    }

    /// What users call an attribute, if it is one of those meant.
    pub fn shown(self, attribute: &Attribute) -> Option<&[u8]> {
        let name = Some(attribute.name.as_slice());
        let name = name.filter(|_| attribute.namespace == self.namespace());
        if self == Self::Properties { name?.strip_prefix(PROPERTY) } else { name }
    }
}

/// The inode at the cursor.
///
/// # Errors
///
/// An error is returned if the cursor is on anything else.
pub fn at_cursor(session: &Session) -> Result<Ino> {
    let cursor = session.cursor.as_ref().context("no current type")?;
    if cursor.kind != Type::Inode {
        bail!("current type is not inode");
    }
    session.ino.context("no current inode")
}

/// The value of an attribute as text: what is before its first zero byte.
pub fn text(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == 0).next().unwrap_or_default()
}
