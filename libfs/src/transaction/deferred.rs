//! Deferred operations: changes too large for one transaction, or that must not be made
//! while other buffers are held, split into steps that recovery can finish.
//!
//! Before the first step the log gets an intent that says what will be done; the step that
//! completes it logs a done item in the same transaction. An operation that needs more room
//! than one transaction has ends its intent early and logs a new one for the rest.

use super::Transaction;
use crate::Result;
use crate::file::exchange::ExchangeIntent;
use crate::format::log::{DoneItem, IntentItem, IntentKind};
use crate::inode::bmap::BmapIntent;
use crate::mount::Mount;
use crate::space::extent_free::FreeExtent;
use crate::space::refcount::RefcountIntent;
use crate::space::rmap::RmapIntent;
use crate::xattr::AttrIntent;

/// How far one step of a deferred operation got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The operation is complete.
    Done,
    /// Part is done; the operation now describes the rest and goes on after a roll.
    Again,
}

/// One kind of deferred operation: how it is logged, done, and recovered.
pub trait Deferred: Sized {
    /// Most operations that one intent item may list.
    const MAX_ITEMS: usize;

    /// The intent that promises all of `ops`.
    fn intent(ops: &[Self], id: u64) -> IntentItem;

    /// The item that says `ops`, promised by the intent `id`, are done.
    fn done(ops: &[Self], id: u64) -> DoneItem;

    /// Does one step, in a transaction in which nothing else has changed yet or only other
    /// steps of the same intent.
    ///
    /// # Errors
    /// Any error shuts the filesystem down, since the transaction is dirty.
    fn finish_one(&mut self, tp: &mut Transaction<'_>) -> Result<Step>;

    /// Rebuilds the operations from an intent found in the log, refusing values that no
    /// sound filesystem could have logged.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] naming the value.
    fn recover(mount: &mut Mount, intent: &IntentItem) -> Result<Vec<Self>>;
}

macro_rules! deferred_kinds {
    ($($(#[$doc:meta])* $name:ident($op:ty),)*) => {
        /// A deferred operation of any kind.
        #[derive(Debug)]
        pub enum DeferredOp {
            $($(#[$doc])* $name($op),)*
        }

        /// Operations of one kind that share an intent.
        #[derive(Debug)]
        pub(super) enum Batch {
            $($name(Vec<$op>),)*
        }

        $(impl From<$op> for DeferredOp {
            fn from(op: $op) -> Self {
                DeferredOp::$name(op)
            }
        })*

        impl Batch {
            fn new(op: DeferredOp) -> Self {
                match op {
                    $(DeferredOp::$name(op) => Batch::$name(vec![op]),)*
                }
            }

            /// Adds `op` if it is of this kind and there is room, else gives it back.
            fn push(&mut self, op: DeferredOp) -> Option<DeferredOp> {
                match (self, op) {
                    $((Batch::$name(ops), DeferredOp::$name(op))
                        if ops.len() < <$op as Deferred>::MAX_ITEMS =>
                    {
                        ops.push(op);
                        None
                    })*
                    (_, op) => Some(op),
                }
            }

            fn intent(&self, id: u64) -> IntentItem {
                match self {
                    $(Batch::$name(ops) => <$op as Deferred>::intent(ops, id),)*
                }
            }

            fn done(&self, id: u64) -> DoneItem {
                match self {
                    $(Batch::$name(ops) => <$op as Deferred>::done(ops, id),)*
                }
            }

            /// Runs steps until all operations are done, or one needs a new transaction:
            /// that one and those behind it stay.
            fn finish(&mut self, tp: &mut Transaction<'_>) -> Result<Step> {
                match self {
                    $(Batch::$name(ops) => finish_list(ops, tp),)*
                }
            }
        }
    };
}

deferred_kinds! {
    /// Give blocks back to free space (EFI, EFD).
    FreeExtent(FreeExtent),
    /// Change the reverse mapping (RUI, RUD).
    Rmap(RmapIntent),
    /// Change reference counts (CUI, CUD).
    Refcount(RefcountIntent),
    /// Change a file's extent map (BUI, BUD).
    Bmap(BmapIntent),
    /// Change an extended attribute (ATTRI, ATTRD).
    Attr(AttrIntent),
    /// Exchange the mappings of two files (XMI, XMD).
    Exchange(ExchangeIntent),
}

fn finish_list<T: Deferred>(ops: &mut Vec<T>, tp: &mut Transaction<'_>) -> Result<Step> {
    let mut done = 0;
    let mut outcome = Step::Done;
    for op in ops.iter_mut() {
        let full = done > 0 && !tp.has_log_room(0);
        if full || op.finish_one(tp)? == Step::Again {
            outcome = Step::Again;
            break;
        }
        done += 1;
    }
    ops.drain(..done);
    Ok(outcome)
}

/// A batch and, once that is logged, the id of its intent.
#[derive(Debug)]
pub(super) struct Pending {
    batch: Batch,
    intent: Option<u64>,
}

/// The queue of one transaction, in the order the operations have to happen.
pub(super) type Queue = std::collections::VecDeque<Pending>;

impl Transaction<'_> {
    /// Queues `op`; it is done when the transaction commits, or at the latest by recovery.
    pub fn defer(&mut self, op: impl Into<DeferredOp>) {
        let op = op.into();
        let op = match self.deferred.back_mut() {
            // An intent that is logged cannot take more operations.
            Some(Pending { batch, intent: None }) => batch.push(op),
            _ => Some(op),
        };
        if let Some(op) = op {
            self.deferred.push_back(Pending { batch: Batch::new(op), intent: None });
        }
    }

    /// Does everything that was deferred, rolling the transaction as often as it takes.
    /// What the steps themselves defer is done before what was queued earlier.
    ///
    /// # Errors
    /// Whatever a step returns; the filesystem is then shut down.
    pub fn finish_deferred(&mut self) -> Result<()> {
        let mut queue = Queue::new();
        loop {
            let mut fresh = std::mem::take(&mut self.deferred);
            for pending in &mut fresh {
                self.log_intent(pending);
            }
            // The queue may be long, what is new is not.
            while let Some(pending) = fresh.pop_back() {
                queue.push_front(pending);
            }
            // Keeps the memory for the next step.
            self.deferred = fresh;
            if queue.is_empty() {
                return Ok(());
            }
            self.roll_with(&mut queue)?;
            if let Some(first) = queue.front() {
                self.stop_if_injected(first)?;
            }
            self.finish_first(&mut queue)?;
        }
    }

    fn log_intent(&mut self, pending: &mut Pending) {
        if pending.intent.is_some() {
            return;
        }
        let id = self.mount.next_intent_id();
        let item = pending.batch.intent(id);
        self.mount.cil.add_intent(item);
        self.dirty = true;
        pending.intent = Some(id);
    }

    /// Runs the first batch of the queue and logs that its intent is done. If a step needs
    /// another transaction, the rest stays at the front under a new intent.
    fn finish_first(&mut self, queue: &mut Queue) -> Result<()> {
        let Some(mut pending) = queue.pop_front() else { return Ok(()) };
        let done = pending.intent.take().map(|id| pending.batch.done(id));
        let step = pending.batch.finish(self)?;
        if let Some(done) = done {
            self.mount.cil.add_done(done);
        }
        self.dirty = true;
        if step == Step::Again {
            self.log_intent(&mut pending);
            queue.push_front(pending);
        }
        Ok(())
    }

    /// Rolls, and logs intents anew that lie so far back that the tail cannot follow.
    fn roll_with(&mut self, queue: &mut Queue) -> Result<()> {
        let far = self.mount.tail_is_far();
        for pending in queue.iter_mut().filter(|_| far) {
            let Some(old) = pending.intent else { continue };
            if self.mount.intent_holds_tail(old) {
                let done = pending.batch.done(old);
                pending.intent = None;
                self.log_intent(pending);
                self.mount.cil.add_done(done);
            }
        }
        self.roll()
    }

    /// Fault injection: stops between logging an intent and doing it, with the log written.
    fn stop_if_injected(&mut self, first: &Pending) -> Result<()> {
        let Some(id) = first.intent.filter(|_| self.mount.is_inject_set()) else { return Ok(()) };
        let kind = first.batch.intent(id).kind();
        let tag = match kind {
            IntentKind::ExtentFree | IntentKind::ExtentFreeRt => InjectTag::FreeExtent,
            IntentKind::Rmap | IntentKind::RmapRt => InjectTag::RmapFinishOne,
            IntentKind::Refcount | IntentKind::RefcountRt => InjectTag::RefcountFinishOne,
            IntentKind::Bmap => InjectTag::BmapFinishOne,
            IntentKind::Exchange => InjectTag::ExchmapsFinishOne,
            IntentKind::Attr => InjectTag::AttrFinishOne,
        };
        self.mount.inject_point(tag)
    }

    /// Takes over an intent that recovery found: makes its first step in this transaction,
    /// which must be fresh, logs that it is done, and queues the rest.
    ///
    /// The first step is not put off by logging the operation anew: its intent would then
    /// lie behind others in the log that have to be finished after it.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] when no sound filesystem can have logged the intent; whatever
    /// the step returns.
    pub fn finish_intent(&mut self, intent: &IntentItem) -> Result<()> {
        for op in recover_ops(self.mount, intent)? {
            self.defer(op);
        }
        let mut queue = std::mem::take(&mut self.deferred);
        self.mount.cil.add_done(intent.done());
        self.dirty = true;
        if let Some(mut first) = queue.pop_front()
            && first.batch.finish(self)? == Step::Again
        {
            queue.push_front(first);
        }
        self.deferred.append(&mut queue);
        Ok(())
    }
}

fn recover_ops(mount: &mut Mount, intent: &IntentItem) -> Result<Vec<DeferredOp>> {
    fn into<T: Deferred + Into<DeferredOp>>(
        mount: &mut Mount,
        i: &IntentItem,
    ) -> Result<Vec<DeferredOp>> {
        Ok(T::recover(mount, i)?.into_iter().map(Into::into).collect())
    }
    match intent.kind() {
        IntentKind::ExtentFree => into::<FreeExtent>(mount, intent),
        IntentKind::Rmap => into::<RmapIntent>(mount, intent),
        IntentKind::Refcount => into::<RefcountIntent>(mount, intent),
        IntentKind::Bmap => into::<BmapIntent>(mount, intent),
        IntentKind::Attr => into::<AttrIntent>(mount, intent),
        IntentKind::Exchange => into::<ExchangeIntent>(mount, intent),
        IntentKind::ExtentFreeRt | IntentKind::RmapRt | IntentKind::RefcountRt => {
            Err(crate::Error::Incompatible("the log holds intents of a realtime group".into()))
        }
    }
}

/// Where [`Mount::set_inject`] can stop a chain of deferred operations. The names are
/// those of Linux's error tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InjectTag {
    /// `free_extent`
    FreeExtent,
    /// `rmap_finish_one`
    RmapFinishOne,
    /// `refcount_finish_one`
    RefcountFinishOne,
    /// `bmap_finish_one`
    BmapFinishOne,
    /// `exchmaps_finish_one`
    ExchmapsFinishOne,
    /// `attr_finish_one`, of this project alone: Linux has no such tag.
    AttrFinishOne,
}

impl InjectTag {
    /// All tags with their names.
    pub const ALL: [(InjectTag, &'static str); 6] = [
        (InjectTag::FreeExtent, "free_extent"),
        (InjectTag::RmapFinishOne, "rmap_finish_one"),
        (InjectTag::RefcountFinishOne, "refcount_finish_one"),
        (InjectTag::BmapFinishOne, "bmap_finish_one"),
        (InjectTag::ExchmapsFinishOne, "exchmaps_finish_one"),
        (InjectTag::AttrFinishOne, "attr_finish_one"),
    ];

    /// The tag with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| *n == name).map(|(tag, _)| *tag)
    }

    /// The tag's name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(tag, _)| *tag == self).map_or("", |(_, name)| name)
    }
}
