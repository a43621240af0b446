//! Opens a model. The checks run in an order in which each can rely on those before it.

mod described;
mod network;
mod op;
mod placement;

use super::aligned::ALIGNMENT;
use super::error::OpenError;
use super::sections::Sections;
use super::view::Model;
use super::wire::{self, Header, SectionKind, field};

impl<'a> Model<'a> {
    /// Checks every byte of `bytes`, which must be one whole model at an address that is a multiple
    /// of [`ALIGNMENT`] ([`Aligned`](super::Aligned) sees to that), and gives the view.
    ///
    /// The CRC-32 finds accidents; whether the contents have the hash that the file states is not
    /// checked here, see `verify_hash` (feature `hash`).
    ///
    /// # Errors
    /// [`OpenError`]: the first rule of the format that is broken.
    pub fn open(bytes: &'a [u8]) -> Result<Self, OpenError> {
        open(bytes, None)
    }

    /// Opens a model of which [`Self::open`] has compared the bytes with their checksum before, and the checksum was
    /// kept ([`Self::checksum`]): after a watchdog's reset or a sleep, in memory that lived on. It is compared with
    /// the one that the model states, and everything but the bytes' own checksum is checked as ever: a quarter of the work.
    /// [`Recheck`](super::Recheck) goes over the bytes while the model is in use.
    ///
    /// # Errors
    /// As [`Self::open`]; [`OpenError::Checksum`] if the model states another checksum.
    pub fn open_known(bytes: &'a [u8], checksum: u32) -> Result<Self, OpenError> {
        open(bytes, Some(checksum))
    }

    /// Returns the CRC-32 that the model states of its bytes, for [`Self::open_known`].
    pub fn checksum(&self) -> u32 {
        field::header::CHECKSUM.get(self.header)
    }

    /// Returns the length of the model that begins at `bytes`, from its header alone: for models in
    /// a flash partition that is longer than they are.
    ///
    /// # Errors
    /// If magic or version are not those of a model, or there are fewer bytes than the header says.
    pub fn len_from_header(bytes: &[u8]) -> Result<usize, OpenError> {
        length(bytes)
    }
}

/// Opens a model; `known` is the checksum of its bytes, if that need not be computed.
fn open(bytes: &[u8], known: Option<u32>) -> Result<Model<'_>, OpenError> {
    let expected = length(bytes)?;
    let found = bytes.len();
    if found > expected {
        return Err(OpenError::Overlong { expected, found });
    }
    // Tables are used in place, as words.
    if bytes.as_ptr().align_offset(ALIGNMENT) != 0 {
        return Err(OpenError::Misaligned);
    }
    let record = header(bytes)?;
    // First: the other checks describe a fault only if the bytes are those that were written.
    check_checksum(bytes, record, known)?;
    if field::header::RESERVED.get(record) != [0; 12] {
        return Err(OpenError::Reserved);
    }
    let sections = Sections::find(bytes, &Header::read(record))?;

    // The network is checked against the frontend, the parts against the network, and the statistics
    // of embeddings against the parts.
    let frontend = described::frontend(&sections)?;
    let network = network::read(&sections)?;
    let model = Model {
        bytes,
        header: record,
        network,
        parts: described::part_records(&sections)?,
        frontend,
        patch_norm: described::patch_norm(&sections, &frontend)?,
        base_mean: described::base_mean(&sections)?,
        name: described::text(&sections, SectionKind::Name)?,
        provenance: described::text(&sections, SectionKind::Provenance)?,
        reference: described::fixed(&sections, SectionKind::Reference)?,
        cohort: described::cohort(&sections)?,
        version_counter: described::fixed(&sections, SectionKind::VersionCounter)?.map(
            |record: &[u8; field::version_counter::LEN]| field::version_counter::COUNT.get(record),
        ),
        signature: described::fixed(&sections, SectionKind::Signature)?,
    };
    network::check(&model)?;
    described::check_parts(&model)?;
    placement::check(&model)?;
    described::check_statistics(&model)?;
    Ok(model)
}

/// Takes the header of a file that has magic and version of this reader.
pub(super) fn header(bytes: &[u8]) -> Result<&[u8; Header::LEN], OpenError> {
    let found = bytes.len();
    // Checked even if the bytes are too short: a wrong magic tells more.
    if bytes.iter().zip(Header::MAGIC).any(|(&byte, m)| byte != m) {
        return Err(OpenError::Magic);
    }
    let record = bytes.first_chunk().ok_or(OpenError::Truncated {
        expected: Header::LEN,
        found,
    })?;
    let version = field::header::VERSION.get(record);
    if version != wire::VERSION {
        return Err(OpenError::Version(version));
    }
    Ok(record)
}

/// Returns the length that the header states, if there are so many bytes.
fn length(bytes: &[u8]) -> Result<usize, OpenError> {
    let found = bytes.len();
    let expected = field::header::FILE_LEN.get(header(bytes)?) as usize;
    if found < expected || expected < Header::LEN {
        return Err(OpenError::Truncated { expected, found });
    }
    Ok(expected)
}

fn check_checksum(
    bytes: &[u8],
    record: &[u8; Header::LEN],
    known: Option<u32>,
) -> Result<(), OpenError> {
    let expected = field::header::CHECKSUM.get(record);
    let found = known.unwrap_or_else(|| wire::checksum(bytes));
    if expected == found {
        Ok(())
    } else {
        Err(OpenError::Checksum { expected, found })
    }
}
