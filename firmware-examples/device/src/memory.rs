//! Memory of a device, in one piece for a `static`.

use crate::device::FRAME_LEN;
use heapless::Vec;
use mtslvr_runtime::fewshot::persist::{ClipStore, flash_len, longest_snapshot, store_scratch_len};
use mtslvr_runtime::fewshot::{ClassId, ScoreTail, Storage};
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::link::SessionMemory;
use mtslvr_runtime::listener::{Listener, Scored};
use mtslvr_runtime::model::Aligned;

/// Most sounds that a device can be taught.
pub const SOUNDS: usize = 8;
/// Most false alarms that are kept; a further one takes the place of the oldest.
pub const NEGATIVES: usize = 16;
/// Room for classes: the sounds, the false alarms, and the background of a profile from a host.
pub const CLASSES: usize = SOUNDS + 2;
/// Most examples of all sounds together.
pub const EXAMPLES: usize = 64;

/// Room for a session of the link, with a profile of `PROFILE` bytes on its way: see [`profile_len`].
pub type LinkMemory<const PROFILE: usize> = SessionMemory<FRAME_LEN, PROFILE>;

/// Returns the values that the listener works in, for features of `frontend` and embeddings of `dim` values.
pub const fn listener_len(frontend: &FrontendConfig, dim: usize) -> usize {
    Listener::buffer_len(frontend, dim, CLASSES)
}

/// Returns the bytes that the store works in, for embeddings of `dim` values.
pub const fn scratch_len(dim: usize) -> usize {
    store_scratch_len(CLASSES, EXAMPLES, dim)
}

/// Returns the bytes of the longest profile, for embeddings of `dim` values.
pub const fn profile_len(dim: usize) -> usize {
    longest_snapshot(CLASSES, EXAMPLES, dim)
}

/// Returns the bytes of flash that the store needs, for embeddings of `dim` values, with `page` bytes erased at once.
/// Fails to compile where there is no such store.
pub const fn store_len(dim: usize, page: usize) -> usize {
    flash_len(CLASSES, EXAMPLES, dim, page).expect("a store of whole pages")
}

/// Returns the bytes of flash for the recordings of all examples, of up to `longest` samples each, with `page` bytes
/// erased at once. One for a patch is [`FrontendConfig::patch_samples`] long.
pub const fn clips_len(longest: usize, page: usize) -> usize {
    ClipStore::flash_len(EXAMPLES, longest, page)
}

/// Room for a backbone with an arena of `ARENA` bytes and embeddings of `DIM` values, a listener
/// that works in `LISTENER` values, and a store that works in `SCRATCH` bytes.
#[derive(Debug)]
pub struct Memory<const ARENA: usize, const LISTENER: usize, const DIM: usize, const SCRATCH: usize>
{
    pub(crate) arena: Aligned<[i8; ARENA]>,
    pub(crate) listener: [f32; LISTENER],
    pub(crate) sounds: Storage<CLASSES, EXAMPLES, DIM>,
    /// The last sound, and the one that a press is about.
    pub(crate) heard: [[f32; DIM]; 2],
    /// The sound that was recognised last.
    pub(crate) recognised: [i8; DIM],
    pub(crate) room: RoomMemory,
    pub(crate) scratch: [u8; SCRATCH],
}

/// Scores of the sounds of the room for each class, while it is listened to.
#[derive(Debug)]
pub(crate) struct RoomMemory {
    pub scored: [Scored; CLASSES],
    pub tails: Vec<(ClassId, ScoreTail), CLASSES>,
}

impl<const ARENA: usize, const LISTENER: usize, const DIM: usize, const SCRATCH: usize>
    Memory<ARENA, LISTENER, DIM, SCRATCH>
{
    /// Makes empty memory.
    pub const fn new() -> Self {
        Self {
            arena: Aligned([0; ARENA]),
            listener: [0.0; LISTENER],
            sounds: Storage::new(),
            heard: [[0.0; DIM]; 2],
            recognised: [0; DIM],
            room: RoomMemory {
                scored: [Scored::NONE; CLASSES],
                tails: Vec::new(),
            },
            scratch: [0; SCRATCH],
        }
    }
}

impl<const ARENA: usize, const LISTENER: usize, const DIM: usize, const SCRATCH: usize> Default
    for Memory<ARENA, LISTENER, DIM, SCRATCH>
{
    fn default() -> Self {
        Self::new()
    }
}
