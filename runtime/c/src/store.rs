//! Taught sounds in flash.

use crate::boundary::{self, Out, result};
use crate::error::{Error, Outcome};
use crate::flash::{Flash, MTSLVR_FLASH_PAGE};
use crate::layout::{Memory, Plan, Room};
use crate::object::{self, Kind, Object};
use crate::recogniser::{self, Mtslvr, Recogniser};
use mtslvr_runtime::fewshot::SupportSet;
use mtslvr_runtime::fewshot::persist::{BlockingFlashStore, Loaded, flash_len, store_scratch_len};

/// Keeps what was taught in flash, across power cuts. Made by mtslvr_store_open.
#[derive(Debug)]
pub struct MtslvrStore {
    _private: (),
}

/// The body of a [`MtslvrStore`].
#[derive(Debug)]
struct Store {
    store: BlockingFlashStore<Flash>,
    scratch: &'static mut [u8],
}

impl Kind for Store {
    const MARK: u32 = 0x6d74_7374;
}

/// Places of a store's parts in lent memory.
struct Layout {
    plan: Plan,
    object: Room<Object<Store>>,
    scratch: Room<u8>,
}

impl Layout {
    fn new(classes: usize, examples: usize, dim: usize) -> Self {
        let mut plan = Plan::default();
        Self {
            object: plan.room(1),
            scratch: plan.aligned_room(store_scratch_len(classes, examples, dim)),
            plan,
        }
    }

    fn of(support: &SupportSet<'_>) -> Self {
        let (classes, examples) = (support.class_capacity(), support.example_capacity());
        Self::new(classes, examples, support.dim())
    }
}

/// Returns the bytes of memory that a store needs on this machine, for up to as many classes and
/// examples, of `dim` values each.
pub fn memory_len(classes: usize, examples: usize, dim: usize) -> usize {
    Layout::new(classes, examples, dim).plan.len()
}

/// Tells how many bytes of memory mtslvr_store_open needs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_store_size(m: *mut Mtslvr, size: *mut usize) -> Error {
    // SAFETY: the rules of all calls.
    result(unsafe {
        recogniser::with(m, |recogniser| {
            let layout = Layout::of(recogniser.sounds.support());
            Out::new(size)?.put(layout.plan.len());
            Ok(())
        })
    })
}

/// Tells how many bytes of flash, in whole pages, always suffice for all that the recogniser has room for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_flash_size(m: *mut Mtslvr, size: *mut usize) -> Error {
    // SAFETY: the rules of all calls.
    result(unsafe {
        recogniser::with(m, |recogniser| {
            let support = recogniser.sounds.support();
            let (classes, examples) = (support.class_capacity(), support.example_capacity());
            let len = flash_len(classes, examples, support.dim(), MTSLVR_FLASH_PAGE);
            Out::new(size)?.put(len.ok_or(Error::FlashPageTooSmall)?);
            Ok(())
        })
    })
}

/// Makes a store in `memory`, for what the recogniser is taught. The description of the flash is copied. Nothing
/// is read or written yet; new flash must be erased.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_store_open(
    m: *mut Mtslvr,
    flash: *const Flash,
    memory: *mut u8,
    memory_len: usize,
    opened: *mut *mut MtslvrStore,
) -> Error {
    // SAFETY: the rules of all calls; the rooms are those of this plan, and each is lent once.
    result(unsafe {
        recogniser::with(m, |recogniser| {
            let (opened, flash) = (Out::new(opened)?, boundary::read(flash)?);
            if !flash.is_whole() {
                return Err(Error::NullPointer);
            }
            let layout = Layout::of(recogniser.sounds.support());
            let memory = Memory::lent(memory, memory_len, &layout.plan)?;
            let range = 0..flash.size;
            let store = Store {
                store: BlockingFlashStore::new(flash, range)?,
                scratch: memory.fill(layout.scratch, 0),
            };
            let place = memory.place(layout.object);
            object::open(place, store);
            opened.put(place.cast());
            Ok(())
        })
    })
}

/// Does `work` with a recogniser and a store.
///
/// # Safety
/// As the rules of all calls say.
unsafe fn with_both(
    m: *mut Mtslvr,
    store: *mut MtslvrStore,
    work: impl FnOnce(&mut Recogniser, &mut Store) -> Outcome,
) -> Error {
    // SAFETY: the caller promises that the pointers came from the functions that open them.
    result(unsafe {
        recogniser::with(m, |recogniser| {
            object::with(store.cast(), |store| work(recogniser, store))
        })
    })
}

/// Makes the recogniser know what was saved last, in place of what it knows. mtslvr_fit is due afterwards
/// if something was. `found` is true if something had been saved, and may be null. If it fails, the recogniser
/// knows nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_load(
    m: *mut Mtslvr,
    store: *mut MtslvrStore,
    found: *mut bool,
) -> Error {
    // SAFETY: the rules of all calls.
    unsafe {
        with_both(m, store, |recogniser, store| {
            let found = Out::optional(found)?;
            let Store { store, scratch } = store;
            let loaded = store.load(&mut recogniser.sounds, scratch)?;
            if let Some(found) = found {
                found.put(loaded == Loaded::Saved);
            }
            Ok(())
        })
    }
}

/// Saves what the recogniser was taught in place of what was saved before. If the power is cut meanwhile,
/// one of the two is there afterwards, whole. Saving what is there already writes nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_save(m: *mut Mtslvr, store: *mut MtslvrStore) -> Error {
    // SAFETY: the rules of all calls.
    unsafe {
        with_both(m, store, |recogniser, store| {
            let Store { store, scratch } = store;
            Ok(store.save(&recogniser.sounds, scratch)?)
        })
    }
}

/// Erases everything that was saved, also what is damaged.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_erase(store: *mut MtslvrStore) -> Error {
    // SAFETY: the rules of all calls.
    result(unsafe { object::with(store.cast(), |store: &mut Store| Ok(store.store.erase()?)) })
}
