//! A device as it describes itself.

use super::frame::FrameWriter;
use crate::bytes::{Field, Reader};
use crate::space::BackboneId;

/// Bytes of the fields before the name.
const LEN: usize = 52;
/// Most bytes of a model's name; a longer one is cut.
const NAME_BYTES: usize = 64;
/// Most bytes of a description.
pub(super) const MOST: usize = LEN + NAME_BYTES;

mod field {
    use super::Field;
    use crate::space::BackboneId;

    pub const VERSION: Field<u16, 0> = Field::NEW;
    pub const BLOCK: Field<u16, 2> = Field::NEW;
    pub const PROFILE_ROOM: Field<u32, 4> = Field::NEW;
    pub const MODEL_ROOM: Field<u32, 8> = Field::NEW;
    pub const CLASSES: Field<u16, 12> = Field::NEW;
    pub const EXAMPLES: Field<u16, 14> = Field::NEW;
    pub const CLASS_ROOM: Field<u16, 16> = Field::NEW;
    pub const EXAMPLE_ROOM: Field<u16, 18> = Field::NEW;
    pub const BACKBONE: Field<[u8; BackboneId::LEN], 20> = Field::NEW;
}

/// A device: its model, what it was taught, and what it has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Description<'a> {
    /// Version of the protocol that it speaks.
    pub version: u16,
    /// Most bytes of a block that it takes and gives.
    pub block: u16,
    /// Bytes of the longest profile that it takes.
    pub profile_room: u32,
    /// Bytes of the longest model that it takes; zero if it takes none.
    pub model_room: u32,
    /// Classes that it was taught.
    pub classes: u16,
    /// Examples of all of them.
    pub examples: u16,
    /// Most classes.
    pub class_room: u16,
    /// Most examples.
    pub example_room: u16,
    /// The backbone in use.
    pub backbone: BackboneId,
    /// Name of its model; may be empty. Bytes beyond the first 64 are cut.
    pub name: &'a str,
}

impl<'a> Description<'a> {
    /// Describes a device that was taught nothing and takes nothing: what else there is to say is set beside it.
    pub const fn of(backbone: BackboneId, name: &'a str) -> Self {
        Self {
            version: 0,
            block: 0,
            profile_room: 0,
            model_room: 0,
            classes: 0,
            examples: 0,
            class_room: 0,
            example_room: 0,
            backbone,
            name,
        }
    }

    pub(super) fn parse(message: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(message);
        let record: &[u8; LEN] = reader.record()?;
        Some(Self {
            version: field::VERSION.get(record),
            block: field::BLOCK.get(record),
            profile_room: field::PROFILE_ROOM.get(record),
            model_room: field::MODEL_ROOM.get(record),
            classes: field::CLASSES.get(record),
            examples: field::EXAMPLES.get(record),
            class_room: field::CLASS_ROOM.get(record),
            example_room: field::EXAMPLE_ROOM.get(record),
            backbone: BackboneId::new(field::BACKBONE.get(record)),
            name: core::str::from_utf8(reader.rest()).ok()?,
        })
    }

    pub(super) fn emit(&self, out: &mut FrameWriter<'_>) {
        let mut record = [0; LEN];
        field::VERSION.set(&mut record, self.version);
        field::BLOCK.set(&mut record, self.block);
        field::PROFILE_ROOM.set(&mut record, self.profile_room);
        field::MODEL_ROOM.set(&mut record, self.model_room);
        field::CLASSES.set(&mut record, self.classes);
        field::EXAMPLES.set(&mut record, self.examples);
        field::CLASS_ROOM.set(&mut record, self.class_room);
        field::EXAMPLE_ROOM.set(&mut record, self.example_room);
        field::BACKBONE.set(&mut record, *self.backbone.as_bytes());
        out.put(&record);
        let ends = (0..=self.name.len().min(NAME_BYTES)).rev();
        let mut whole = ends.filter_map(|end| self.name.get(..end));
        out.put(whole.next().unwrap_or_default().as_bytes());
    }
}
