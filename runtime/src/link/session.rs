//! The device's side of the link: bytes in, bytes out.

use super::description::Description;
use super::frame::FrameReader;
use super::message::{Answer, Object, Request};
use super::refusal::Refusal;
use super::served::{ModelSlot, Served, Taught};
use super::{BLOCK_STEP, LINK_VERSION, frame_buffer_len, largest_block};
use crate::model::Sum;

/// Memory that a [`Session`] works in, in one piece for a `static`: `FRAME` bytes for a frame in each direction
/// ([`frame_buffer_len`]), and `PROFILE` for a profile on its way
/// ([`longest_snapshot`](crate::fewshot::persist::longest_snapshot)).
#[derive(Debug)]
pub struct SessionMemory<const FRAME: usize, const PROFILE: usize> {
    received: [u8; FRAME],
    answer: [u8; FRAME],
    profile: [u8; PROFILE],
}

impl<const FRAME: usize, const PROFILE: usize> SessionMemory<FRAME, PROFILE> {
    /// Makes empty memory. One that is too short for any frame does not compile.
    pub const fn new() -> Self {
        const { assert!(FRAME >= frame_buffer_len(BLOCK_STEP), "no room for a frame") };
        Self {
            received: [0; FRAME],
            answer: [0; FRAME],
            profile: [0; PROFILE],
        }
    }
}

impl<const FRAME: usize, const PROFILE: usize> Default for SessionMemory<FRAME, PROFILE> {
    fn default() -> Self {
        Self::new()
    }
}

/// A device's side of the link. It reads no clock and waits for nothing.
///
/// ```
/// # use mtslvr_runtime::link::{Answer, Description, NoSlot, Refusal, Request, Served};
/// use mtslvr_runtime::link::{LINK_VERSION, Session, SessionMemory, frame_buffer_len};
/// # use mtslvr_runtime::space::BackboneId;
/// # struct Device(NoSlot);
/// # impl Served for Device {
/// #     type Slot = NoSlot;
/// #     fn describe(&self) -> Description<'_> {
/// #         Description::of(BackboneId::new([0; 32]), "")
/// #     }
/// #     fn export(&mut self, _: &mut [u8]) -> Result<usize, Refusal> { Ok(0) }
/// #     fn import(&mut self, _: &[u8]) -> Result<(), Refusal> { Ok(()) }
/// #     fn sounds_can_follow(&mut self) -> bool { true }
/// #     fn slot(&mut self) -> &mut NoSlot { &mut self.0 }
/// # }
/// # let mut device = Device(NoSlot);
/// let mut memory = SessionMemory::<{ frame_buffer_len(512) }, 2048>::new();
/// let mut session = Session::new(&mut memory);
///
/// // Bytes from a UART or from USB, as they come.
/// let mut asked = [0; frame_buffer_len(0)];
/// let line = Request::Greet { version: LINK_VERSION }.emit(1, &mut asked).unwrap();
/// session.exchange(line, &mut device, |answer| {
///     // Bytes for the UART or for USB.
///     assert!(answer.len() > 52);
/// });
/// ```
#[derive(Debug)]
pub struct Session<'b> {
    reader: FrameReader<&'b mut [u8]>,
    answer: &'b mut [u8],
    profile: &'b mut [u8],
    /// Most bytes of a block.
    block: usize,
    transfer: Transfer,
}

/// The object that is on its way.
#[derive(Clone, Copy, Debug)]
enum Transfer {
    None,
    /// The device's profile, to the host.
    Offered(Sum),
    /// From the host.
    Begun {
        object: Object,
        sum: Sum,
        /// Bytes that have come.
        have: u32,
        /// The device uses it.
        finished: bool,
    },
}

impl<'b> Session<'b> {
    /// Begins in `memory`.
    pub fn new<const FRAME: usize, const PROFILE: usize>(
        memory: &'b mut SessionMemory<FRAME, PROFILE>,
    ) -> Self {
        Self {
            reader: FrameReader::new(&mut memory.received),
            answer: &mut memory.answer,
            profile: &mut memory.profile,
            block: largest_block(FRAME),
            transfer: Transfer::None,
        }
    }

    /// Takes bytes from the line, as they come, and gives `line` the bytes of each answer. An answer that is lost is
    /// asked for again.
    pub fn exchange(
        &mut self,
        bytes: &[u8],
        served: &mut impl Served,
        mut line: impl FnMut(&[u8]),
    ) {
        for &byte in bytes {
            if let Some(answer) = self.push(byte, served) {
                line(answer);
            }
        }
    }

    /// Takes the next byte from the line. If it ends a request, `served` does what is asked, and the bytes of the
    /// answer are returned, all of which are for the line.
    pub fn push(&mut self, byte: u8, served: &mut impl Served) -> Option<&[u8]> {
        let frame = self.reader.push(byte)?;
        let sequence = frame.sequence;
        let request = Request::parse(&frame);
        let mut work = Work {
            block: self.block,
            profile: self.profile,
            transfer: &mut self.transfer,
        };
        let answer = match request {
            Some(request) => work.answer(request, served),
            None => Err(Refusal::UnknownRequest),
        };
        let answer = answer.unwrap_or_else(Answer::Refused);
        answer.emit(sequence, self.answer)
    }
}

/// A session's part beside the frames: answers are made from it.
struct Work<'w> {
    /// Most bytes of a block.
    block: usize,
    profile: &'w mut [u8],
    transfer: &'w mut Transfer,
}

impl<'w> Work<'w> {
    fn answer<'a>(
        &'a mut self,
        request: Request<'_>,
        served: &'a mut impl Served,
    ) -> Result<Answer<'a>, Refusal> {
        match request {
            // A host of another version sees that from the answer.
            Request::Greet { .. } => Ok(self.describe(served)),
            Request::Offer => self.offer(served),
            Request::Read { offset, len } => self.read(offset, len),
            Request::Begin { object, sum } => self.begin(object, sum, served),
            Request::Write { offset, bytes } => self.write(offset, bytes, served),
            Request::Finish => self.finish(served),
        }
    }

    fn describe<'a>(&self, served: &'a mut impl Served) -> Answer<'a> {
        let model_room = served.slot().room();
        Answer::Described(Description {
            version: LINK_VERSION,
            block: self.block as u16,
            profile_room: self.profile_room(),
            model_room,
            ..served.describe()
        })
    }

    fn profile_room(&self) -> u32 {
        u32::try_from(self.profile.len()).unwrap_or(u32::MAX)
    }

    fn offer(&mut self, served: &mut impl Served) -> Result<Answer<'static>, Refusal> {
        *self.transfer = Transfer::None;
        let len = served.export(self.profile)?;
        let exported = self.profile.get(..len).and_then(Sum::of);
        let sum = exported.ok_or(Refusal::Unreadable)?;
        *self.transfer = Transfer::Offered(sum);
        Ok(Answer::Offered(sum))
    }

    fn read(&self, offset: u32, len: u16) -> Result<Answer<'_>, Refusal> {
        let Transfer::Offered(sum) = *self.transfer else {
            return Err(Refusal::NotBegun);
        };
        let offered = &self.profile[..sum.len as usize];
        let rest = offered.get(offset as usize..);
        let rest = rest.ok_or(Refusal::UnknownRequest)?;
        let bytes = &rest[..rest.len().min(len.into()).min(self.block)];
        Ok(Answer::Block { offset, bytes })
    }

    fn begin(
        &mut self,
        object: Object,
        sum: Sum,
        served: &mut impl Served,
    ) -> Result<Answer<'static>, Refusal> {
        let room = match object {
            Object::Profile => self.profile_room(),
            Object::Model => served.slot().room(),
        };
        if object == Object::Model && room == 0 {
            return Err(Refusal::NoSlot);
        }
        let found = sum.len;
        if found > room {
            return Err(Refusal::TooLong { found, room });
        }
        let have = match (object, *self.transfer) {
            (Object::Model, _) => {
                *self.transfer = Transfer::None;
                served.slot().begin(sum)?.min(found)
            }
            (
                Object::Profile,
                Transfer::Begun {
                    object: Object::Profile,
                    sum: before,
                    have,
                    ..
                },
            ) if before == sum => have,
            (Object::Profile, _) => 0,
        };
        *self.transfer = Transfer::Begun {
            object,
            sum,
            have,
            finished: false,
        };
        Ok(Answer::Begun { have })
    }

    fn write(
        &mut self,
        offset: u32,
        bytes: &[u8],
        served: &mut impl Served,
    ) -> Result<Answer<'static>, Refusal> {
        let Transfer::Begun {
            object, sum, have, ..
        } = self.transfer
        else {
            return Err(Refusal::NotBegun);
        };
        let end = usize::try_from(offset)
            .ok()
            .and_then(|offset| offset.checked_add(bytes.len()))
            .and_then(|end| u32::try_from(end).ok());
        let end = end.filter(|&end| end <= sum.len && bytes.len() <= self.block);
        let end = end.ok_or(Refusal::UnknownRequest)?;
        if !bytes.len().is_multiple_of(BLOCK_STEP) && end != sum.len {
            return Err(Refusal::UnknownRequest);
        }
        // A block that has come already, or one ahead, changes nothing: the answer says where to go on.
        if offset == *have {
            match object {
                Object::Profile => {
                    self.profile[offset as usize..end as usize].copy_from_slice(bytes);
                }
                Object::Model => served.slot().write(offset, bytes)?,
            }
            *have = end;
        }
        Ok(Answer::Written { have: *have })
    }

    fn finish(&mut self, served: &mut impl Served) -> Result<Answer<'static>, Refusal> {
        let Transfer::Begun {
            object,
            sum,
            have,
            finished,
        } = self.transfer
        else {
            return Err(Refusal::NotBegun);
        };
        if *finished {
            return Ok(Answer::Finished);
        }
        if *have != sum.len {
            return Err(Refusal::Incomplete {
                found: *have,
                expected: sum.len,
            });
        }
        match object {
            Object::Profile => {
                let snapshot = &self.profile[..sum.len as usize];
                let computed = Sum::of(snapshot).map_or(!sum.crc32, |sum| sum.crc32);
                if computed != sum.crc32 {
                    // None of it can be told to be right.
                    *have = 0;
                    return Err(Refusal::Checksum {
                        computed,
                        stated: sum.crc32,
                    });
                }
                served.import(snapshot)?;
            }
            Object::Model => {
                let taught = Taught::of(served);
                served.slot().finish(taught)?;
            }
        }
        *finished = true;
        Ok(Answer::Finished)
    }
}

#[cfg(test)]
mod tests;
