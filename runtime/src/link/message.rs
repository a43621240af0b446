//! The messages: what a host asks and a device answers.

use super::description::Description;
use super::frame::{Frame, FrameWriter};
use super::refusal::Refusal;
use crate::bytes::Reader;
use crate::model::Sum;

/// Bit by which the kind of an answer differs from that of its request.
const ANSWER: u8 = 0x80;
/// Kind of a refusal, whatever the request.
const REFUSED: u8 = 0xff;

/// Kinds of requests.
mod kind {
    pub const GREET: u8 = 0x01;
    pub const OFFER: u8 = 0x02;
    pub const READ: u8 = 0x03;
    pub const BEGIN: u8 = 0x04;
    pub const WRITE: u8 = 0x05;
    pub const FINISH: u8 = 0x06;
}

/// Something that is transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Object {
    /// A snapshot of all that was taught, as `SNAPSHOT.md` describes it.
    Profile = 1,
    /// A packed model, as `FORMAT.md` describes it.
    Model = 2,
}

impl Object {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Profile, Self::Model]
            .into_iter()
            .find(|object| *object as u8 == byte)
    }
}

impl Sum {
    fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            len: number(reader)?,
            crc32: number(reader)?,
        })
    }

    fn emit(self, out: &mut FrameWriter<'_>) {
        out.put(&self.len.to_le_bytes());
        out.put(&self.crc32.to_le_bytes());
    }
}

/// A request of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Asks the device to describe itself.
    Greet {
        /// Version of the protocol that the host speaks.
        version: u16,
    },
    /// Asks for the sum of the device's profile, which stays the same until the next [`Self::Offer`] or
    /// [`Self::Begin`].
    Offer,
    /// Asks for a block of the profile that was offered.
    Read {
        /// Its first byte.
        offset: u32,
        /// Its length.
        len: u16,
    },
    /// Announces an object for the device.
    Begin {
        /// Its kind.
        object: Object,
        /// Its bytes.
        sum: Sum,
    },
    /// Gives a block of the object that was announced.
    Write {
        /// Its first byte.
        offset: u32,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// Asks the device to use the object, all of which was given.
    Finish,
}

/// An answer of the device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer<'a> {
    /// The device describes itself.
    Described(Description<'a>),
    /// The device has a profile of these bytes.
    Offered(Sum),
    /// A block of the profile.
    Block {
        /// Its first byte.
        offset: u32,
        /// Its bytes; fewer than asked for at the end.
        bytes: &'a [u8],
    },
    /// The device takes the object.
    Begun {
        /// Bytes of it that the device has already.
        have: u32,
    },
    /// The device took the block, if it is the next one.
    Written {
        /// Bytes of the object that the device has now.
        have: u32,
    },
    /// The device uses the object.
    Finished,
    /// The device does not do what was asked.
    Refused(Refusal),
}

impl<'a> Request<'a> {
    /// Reads the request in `frame`; `None` if it is none that is known.
    pub fn parse(frame: &Frame<'a>) -> Option<Self> {
        let mut reader = Reader::new(frame.message);
        let request = match frame.kind {
            kind::GREET => Self::Greet {
                version: short(&mut reader)?,
            },
            kind::OFFER => Self::Offer,
            kind::READ => Self::Read {
                offset: number(&mut reader)?,
                len: short(&mut reader)?,
            },
            kind::BEGIN => Self::Begin {
                object: Object::from_byte(reader.record::<1>()?[0])?,
                sum: Sum::parse(&mut reader)?,
            },
            kind::WRITE => Self::Write {
                offset: number(&mut reader)?,
                bytes: rest(&mut reader),
            },
            kind::FINISH => Self::Finish,
            _ => return None,
        };
        reader.rest().is_empty().then_some(request)
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Greet { .. } => kind::GREET,
            Self::Offer => kind::OFFER,
            Self::Read { .. } => kind::READ,
            Self::Begin { .. } => kind::BEGIN,
            Self::Write { .. } => kind::WRITE,
            Self::Finish => kind::FINISH,
        }
    }

    /// Tells whether a frame of `kind` is an answer to this request: its own, or a refusal.
    pub const fn is_answered_by(&self, kind: u8) -> bool {
        kind == REFUSED || kind == self.kind() | ANSWER
    }

    /// Writes the request into `buffer` as a frame and returns it; `None` if the buffer is too short: see
    /// [`frame_buffer_len`](super::frame_buffer_len).
    pub fn emit<'b>(&self, sequence: u8, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let mut out = FrameWriter::new(buffer, self.kind(), sequence);
        match *self {
            Self::Greet { version } => out.put(&version.to_le_bytes()),
            Self::Offer | Self::Finish => {}
            Self::Read { offset, len } => {
                out.put(&offset.to_le_bytes());
                out.put(&len.to_le_bytes());
            }
            Self::Begin { object, sum } => {
                out.put(&[object as u8]);
                sum.emit(&mut out);
            }
            Self::Write { offset, bytes } => {
                out.put(&offset.to_le_bytes());
                out.put(bytes);
            }
        }
        out.finish()
    }
}

impl<'a> Answer<'a> {
    /// Reads the answer in `frame`; `None` if it is none that is known.
    pub fn parse(frame: &Frame<'a>) -> Option<Self> {
        let mut reader = Reader::new(frame.message);
        if frame.kind == REFUSED {
            let refusal = Refusal::parse(&mut reader)?;
            return reader.rest().is_empty().then_some(Self::Refused(refusal));
        }
        let answer = match frame.kind.checked_sub(ANSWER)? {
            kind::GREET => Self::Described(Description::parse(rest(&mut reader))?),
            kind::OFFER => Self::Offered(Sum::parse(&mut reader)?),
            kind::READ => Self::Block {
                offset: number(&mut reader)?,
                bytes: rest(&mut reader),
            },
            kind::BEGIN => Self::Begun {
                have: number(&mut reader)?,
            },
            kind::WRITE => Self::Written {
                have: number(&mut reader)?,
            },
            kind::FINISH => Self::Finished,
            _ => return None,
        };
        reader.rest().is_empty().then_some(answer)
    }

    const fn kind(&self) -> u8 {
        let request = match self {
            Self::Described(_) => kind::GREET,
            Self::Offered(_) => kind::OFFER,
            Self::Block { .. } => kind::READ,
            Self::Begun { .. } => kind::BEGIN,
            Self::Written { .. } => kind::WRITE,
            Self::Finished => kind::FINISH,
            Self::Refused(_) => return REFUSED,
        };
        request | ANSWER
    }

    /// Writes the answer into `buffer` as a frame and returns it; `None` if the buffer is too short: see
    /// [`frame_buffer_len`](super::frame_buffer_len).
    pub fn emit<'b>(&self, sequence: u8, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let mut out = FrameWriter::new(buffer, self.kind(), sequence);
        match *self {
            Self::Described(description) => description.emit(&mut out),
            Self::Offered(sum) => sum.emit(&mut out),
            Self::Block { offset, bytes } => {
                out.put(&offset.to_le_bytes());
                out.put(bytes);
            }
            Self::Begun { have } | Self::Written { have } => out.put(&have.to_le_bytes()),
            Self::Finished => {}
            Self::Refused(refusal) => refusal.emit(&mut out),
        }
        out.finish()
    }
}

fn short(reader: &mut Reader<'_>) -> Option<u16> {
    reader.record().copied().map(u16::from_le_bytes)
}

pub(super) fn number(reader: &mut Reader<'_>) -> Option<u32> {
    reader.record().copied().map(u32::from_le_bytes)
}

fn rest<'a>(reader: &mut Reader<'a>) -> &'a [u8] {
    let rest = reader.rest();
    *reader = Reader::new(&[]);
    rest
}

#[cfg(test)]
mod tests {
    use super::super::frame::FrameReader;
    use super::super::{LINK_VERSION, frame_buffer_len};
    use super::*;
    use crate::space::BackboneId;

    /// Hands `line` to `check` as the frame that it is.
    fn with_frame(line: &[u8], check: impl FnOnce(Frame<'_>)) {
        let mut reader = FrameReader::new(vec![0; 2048]);
        let (last, first) = line.split_last().unwrap();
        assert!(first.iter().all(|&byte| reader.push(byte).is_none()));
        check(reader.push(*last).expect("a frame"));
    }

    #[test]
    fn requests_come_back() {
        let sum = Sum::of(b"123456789").unwrap();
        assert_eq!((sum.len, sum.crc32), (9, 0xCBF4_3926));
        for request in [
            Request::Greet {
                version: LINK_VERSION,
            },
            Request::Offer,
            Request::Read {
                offset: 70_000,
                len: 1_024,
            },
            Request::Begin {
                object: Object::Profile,
                sum,
            },
            Request::Begin {
                object: Object::Model,
                sum,
            },
            Request::Write {
                offset: 64,
                bytes: &[0, 1, 2],
            },
            Request::Finish,
        ] {
            let mut buffer = [0; frame_buffer_len(32)];
            let line = request.emit(200, &mut buffer).unwrap();
            with_frame(line, |frame| {
                assert_eq!(frame.sequence, 200);
                assert_eq!(Request::parse(&frame), Some(request));
                assert_eq!(Answer::parse(&frame), None);
            });
        }
    }

    #[test]
    fn answers_come_back() {
        let description = Description {
            version: LINK_VERSION,
            block: 512,
            profile_room: 24_000,
            model_room: 458_752,
            classes: 3,
            examples: 9,
            class_room: 8,
            example_room: 64,
            backbone: BackboneId::new([7; 32]),
            name: "edge-s",
        };
        let sum = Sum { len: 1, crc32: 2 };
        for answer in [
            Answer::Described(description),
            Answer::Offered(sum),
            Answer::Block {
                offset: 64,
                bytes: &[0, 1, 2],
            },
            Answer::Begun { have: 3 },
            Answer::Written { have: 4 },
            Answer::Finished,
            Answer::Refused(Refusal::TooLong { found: 5, room: 6 }),
        ] {
            let mut buffer = [0; frame_buffer_len(32)];
            let line = answer.emit(9, &mut buffer).unwrap();
            with_frame(line, |frame| {
                assert_eq!(Answer::parse(&frame), Some(answer));
                let refused = matches!(answer, Answer::Refused(_));
                let finished = answer == Answer::Finished;
                let fits = Request::Finish.is_answered_by(frame.kind);
                assert_eq!(fits, refused || finished);
                assert_eq!(Request::parse(&frame), None);
            });
        }
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let name = "ä".repeat(40);
        let name = format!("a{name}");
        let description = Description::of(BackboneId::new([0; 32]), &name);
        let mut buffer = [0; frame_buffer_len(0)];
        let line = Answer::Described(description).emit(0, &mut buffer).unwrap();
        with_frame(line, |frame| match Answer::parse(&frame) {
            Some(Answer::Described(parsed)) => assert_eq!(parsed.name, &name[..63]),
            other => panic!("{other:?}"),
        });
    }

    #[test]
    fn messages_of_a_wrong_length_are_none() {
        let message = [1; 80];
        for kind in 0..=255 {
            for len in 0..80 {
                let frame = Frame {
                    kind,
                    sequence: 0,
                    message: &message[..len],
                };
                let fits = match kind {
                    kind::GREET => len == 2,
                    kind::OFFER | kind::FINISH => len == 0,
                    kind::READ => len == 6,
                    kind::BEGIN => len == 9,
                    kind::WRITE => len >= 4,
                    _ => false,
                };
                assert_eq!(Request::parse(&frame).is_some(), fits, "{kind} {len}");
            }
        }
    }
}
