//! Changes of attributes as deferred operations (ATTRI, ATTRD).

use super::change::{self, Change, Stage};
use super::lookup::{self, Form, Key};
use crate::dir::fork::ForkWriter;
use crate::format::attr::parent::ParentRecord;
use crate::format::attr::{self, AttrFlags, MAX_NAME, MAX_VALUE};
use crate::format::geometry::Ino;
use crate::format::inode::ForkFormat;
use crate::format::log::{self, AttrOperation, DoneItem, IntentItem, IntentKind};
use crate::inode::InodeRef;
use crate::mount::Mount;
use crate::transaction::{Deferred, Step, Transaction};
use crate::{At, Error, Result};

/// A change of one attribute of one inode.
#[derive(Debug, Clone)]
pub struct AttrIntent {
    ino: u64,
    /// The inode's generation, for parent pointers; else 0.
    generation: u32,
    operation: AttrOperation,
    namespace: AttrFlags,
    name: Vec<u8>,
    value: Vec<u8>,
    /// The parent pointer that takes the place of the other.
    new_name: Vec<u8>,
    new_value: Vec<u8>,
    stage: Stage,
}

impl AttrIntent {
    /// Sets an attribute, or removes it if there is no value.
    pub(super) fn change(
        mount: &Mount,
        inode: InodeRef,
        namespace: AttrFlags,
        name: &[u8],
        value: Option<&[u8]>,
    ) -> Self {
        let operation = if value.is_some() { AttrOperation::Set } else { AttrOperation::Remove };
        AttrIntent {
            ino: mount.inode(inode).ino,
            generation: 0,
            operation,
            namespace,
            name: name.to_vec(),
            value: value.unwrap_or_default().to_vec(),
            new_name: Vec::new(),
            new_value: Vec::new(),
            stage: Stage::Start,
        }
    }

    /// Adds or removes a parent pointer.
    pub(crate) fn parent(
        mount: &Mount,
        inode: InodeRef,
        operation: AttrOperation,
        name: &[u8],
        value: &[u8],
    ) -> Self {
        let plain = Self::change(mount, inode, AttrFlags::PARENT, name, Some(value));
        AttrIntent { operation, generation: mount.inode(inode).core.generation, ..plain }
    }

    /// Turns one parent pointer into another.
    pub(crate) fn parent_replace(
        mount: &Mount,
        inode: InodeRef,
        (old_name, old_value): (&[u8], &[u8]),
        (new_name, new_value): (&[u8], &[u8]),
    ) -> Self {
        let operation = AttrOperation::ParentReplace;
        let plain = Self::parent(mount, inode, operation, old_name, old_value);
        AttrIntent { new_name: new_name.to_vec(), new_value: new_value.to_vec(), ..plain }
    }

    fn is_parent(&self) -> bool {
        self.namespace.contains(AttrFlags::PARENT)
    }

    /// Does one step; `keep_old` if no intent in the log would finish the change.
    pub(super) fn step(&mut self, tp: &mut Transaction<'_>, keep_old: bool) -> Result<Step> {
        let inode = tp.iget(self.ino)?;
        let removes = matches!(self.operation, AttrOperation::Remove | AttrOperation::ParentRemove);
        if tp.inode(inode).attr.is_none() {
            if removes {
                return Ok(Step::Done);
            }
            super::add_fork(tp, inode)?;
        }
        if self.operation == AttrOperation::ParentReplace {
            let step = self.change_once(tp, inode, None, keep_old)?;
            if step == Step::Again {
                return Ok(step);
            }
            self.operation = AttrOperation::ParentSet;
            self.name = std::mem::take(&mut self.new_name);
            self.value = std::mem::take(&mut self.new_value);
            self.stage = Stage::Start;
            let in_inode = lookup::form(&mut ForkWriter::attributes(tp, inode)?)? != Form::Tree;
            if !in_inode {
                return Ok(Step::Again);
            }
        }
        let value = if removes { None } else { Some(self.value.clone()) };
        self.change_once(tp, inode, value.as_deref(), keep_old)
    }

    fn change_once(
        &mut self,
        tp: &mut Transaction<'_>,
        inode: InodeRef,
        value: Option<&[u8]>,
        keep_old: bool,
    ) -> Result<Step> {
        // With the whole inode for itself, an extent btree could be one too small to be one.
        let is_btree = tp.inode(inode).data.format() == ForkFormat::Btree;
        let keep_fork = tp.geo.features.parent || is_btree;
        let hash = if self.is_parent() {
            let directory = Ino(ParentRecord::view(&self.value)?.ino.get());
            attr::parent::hash(&self.name, directory, &tp.geo)
        } else {
            attr::hash(&self.name)
        };
        let key = Key {
            hash,
            namespace: self.namespace,
            name: &self.name,
            value: self.is_parent().then_some(&self.value[..]),
        };
        let change = Change { key, value, keep_old, keep_fork };
        change::step(&mut ForkWriter::attributes(tp, inode)?, &change, &mut self.stage)
    }

    /// Refuses what no sound filesystem could have logged.
    fn check(&self, mount: &mut Mount) -> Result<()> {
        let at = At::Inode(self.ino);
        let refuse = |why: String| Err(Error::corrupt("attribute intent item", at, why));
        let name_is_sound = |name: &[u8]| {
            let separator = self.is_parent() && name.contains(&b'/');
            (1..=MAX_NAME).contains(&name.len()) && !name.contains(&0) && !separator
        };
        let parent_operation = matches!(
            self.operation,
            AttrOperation::ParentSet | AttrOperation::ParentRemove | AttrOperation::ParentReplace
        );
        let two = self.operation == AttrOperation::ParentReplace;
        if !mount.geo.valid_ino(Ino(self.ino)) {
            return refuse("no such inode".into());
        }
        if self.namespace.bits().count_ones() > 1
            || !AttrFlags::NAMESPACE.contains(self.namespace)
            || self.is_parent() != parent_operation
        {
            return refuse(format!("namespace {:#x}", self.namespace.bits()));
        }
        if !name_is_sound(&self.name) || two && !name_is_sound(&self.new_name) {
            return refuse("the name is impossible".into());
        }
        if !parent_operation {
            let sound = self.value.len() <= MAX_VALUE;
            return if sound { Ok(()) } else { refuse("the value is too long".into()) };
        }
        let record = size_of::<ParentRecord>();
        if !mount.geo.features.parent {
            return refuse("there are no parent pointers".into());
        }
        if self.value.len() != record || two && self.new_value.len() != record {
            return refuse("the value is not a parent pointer".into());
        }
        let inode = mount.iget(self.ino)?;
        if mount.inode(inode).core.generation != self.generation {
            return refuse(format!("generation {} is not the inode's", self.generation));
        }
        Ok(())
    }
}

impl Deferred for AttrIntent {
    const MAX_ITEMS: usize = 1;

    fn intent(ops: &[Self], id: u64) -> IntentItem {
        let op = ops.first().cloned().unwrap_or_else(AttrIntent::nothing);
        IntentItem::Attr(log::AttrIntent {
            id,
            operation: op.operation,
            inode: op.ino,
            generation: op.generation,
            filter: op.namespace.bits().into(),
            name: op.name,
            value: op.value,
            new_name: op.new_name,
            new_value: op.new_value,
        })
    }

    fn done(_ops: &[Self], id: u64) -> DoneItem {
        DoneItem { kind: IntentKind::Attr, id, extents: Vec::new() }
    }

    fn finish_one(&mut self, tp: &mut Transaction<'_>) -> Result<Step> {
        self.step(tp, false)
    }

    fn recover(mount: &mut Mount, intent: &IntentItem) -> Result<Vec<Self>> {
        let IntentItem::Attr(logged) = intent.clone() else { return Ok(Vec::new()) };
        let namespace = u8::try_from(logged.filter).unwrap_or(u8::MAX);
        let op = AttrIntent {
            ino: logged.inode,
            generation: logged.generation,
            operation: logged.operation,
            namespace: AttrFlags::from_bits_retain(namespace) - AttrFlags::INCOMPLETE,
            name: logged.name,
            value: logged.value,
            new_name: logged.new_name,
            new_value: logged.new_value,
            stage: Stage::Start,
        };
        op.check(mount)?;
        Ok(vec![op])
    }
}

impl AttrIntent {
    /// Stands for an empty list of operations, which is never logged.
    fn nothing() -> Self {
        AttrIntent {
            ino: 0,
            generation: 0,
            operation: AttrOperation::Remove,
            namespace: AttrFlags::empty(),
            name: Vec::new(),
            value: Vec::new(),
            new_name: Vec::new(),
            new_value: Vec::new(),
            stage: Stage::Start,
        }
    }
}
