//! Sessions with a device in memory.

use super::*;
use crate::link::frame::FrameReader;
use crate::link::{NoSlot, frame_buffer_len};
use crate::space::BackboneId;
use proptest::prelude::*;

const BLOCK: usize = 64;
const FRAME: usize = frame_buffer_len(BLOCK);
const PROFILE: usize = 1_000;

/// A device whose profile is any bytes, of which the first is not zero.
#[derive(Debug, Default)]
struct Device<S> {
    profile: Vec<u8>,
    imports: usize,
    slot: S,
}

impl<S: ModelSlot> Served for Device<S> {
    type Slot = S;

    fn describe(&self) -> Description<'_> {
        Description {
            version: 99,
            block: 99,
            profile_room: 99,
            model_room: 99,
            classes: 1,
            examples: 2,
            class_room: 3,
            example_room: 4,
            backbone: BackboneId::new([5; 32]),
            name: "a model",
        }
    }

    fn export(&mut self, out: &mut [u8]) -> Result<usize, Refusal> {
        let (found, room) = (self.profile.len() as u32, out.len() as u32);
        let out = out.get_mut(..self.profile.len());
        out.ok_or(Refusal::TooLong { found, room })?
            .copy_from_slice(&self.profile);
        Ok(self.profile.len())
    }

    fn import(&mut self, snapshot: &[u8]) -> Result<(), Refusal> {
        if snapshot.first() == Some(&0) {
            return Err(Refusal::Unreadable);
        }
        self.profile = snapshot.to_vec();
        self.imports += 1;
        Ok(())
    }

    fn sounds_can_follow(&mut self) -> bool {
        self.profile.is_empty()
    }

    fn slot(&mut self) -> &mut S {
        &mut self.slot
    }
}

/// A slot in memory.
#[derive(Debug, Default)]
struct Slot {
    sum: Option<Sum>,
    bytes: Vec<u8>,
    uses: usize,
}

impl ModelSlot for Slot {
    fn room(&self) -> u32 {
        5_000
    }

    fn begin(&mut self, sum: Sum) -> Result<u32, Refusal> {
        if self.sum != Some(sum) {
            self.sum = Some(sum);
            self.bytes.clear();
        }
        Ok(self.bytes.len() as u32)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Refusal> {
        assert_eq!(offset as usize, self.bytes.len());
        assert!(self.bytes.len().is_multiple_of(BLOCK_STEP));
        self.bytes.extend(bytes);
        Ok(())
    }

    fn finish(&mut self, _: Taught) -> Result<(), Refusal> {
        match (self.sum, Sum::of(&self.bytes)) {
            (Some(stated), Some(sum)) if sum.crc32 != stated.crc32 => Err(Refusal::Checksum {
                computed: sum.crc32,
                stated: stated.crc32,
            }),
            _ => {
                self.uses += 1;
                Ok(())
            }
        }
    }
}

/// Asks a session and hands the answer to `check`.
fn ask<T>(
    session: &mut Session<'_>,
    device: &mut impl Served,
    request: Request<'_>,
    check: impl FnOnce(Answer<'_>) -> T,
) -> T {
    let mut buffer = vec![0; frame_buffer_len(4_096)];
    let line = request.emit(42, &mut buffer).unwrap();
    let (last, first) = line.split_last().unwrap();
    assert!(
        first
            .iter()
            .all(|&byte| session.push(byte, device).is_none())
    );
    let answer = session.push(*last, device).expect("an answer");
    let mut reader = FrameReader::new(vec![0; frame_buffer_len(4_096)]);
    let (last, first) = answer.split_last().unwrap();
    assert!(first.iter().all(|&byte| reader.push(byte).is_none()));
    let frame = reader.push(*last).expect("a frame");
    assert_eq!(frame.sequence, 42);
    check(Answer::parse(&frame).expect("an answer that is known"))
}

fn refused(session: &mut Session<'_>, device: &mut impl Served, request: Request<'_>) -> Refusal {
    ask(session, device, request, |answer| match answer {
        Answer::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    })
}

fn have(session: &mut Session<'_>, device: &mut impl Served, request: Request<'_>) -> u32 {
    ask(session, device, request, |answer| match answer {
        Answer::Begun { have } | Answer::Written { have } => have,
        other => panic!("{other:?}"),
    })
}

fn finish(session: &mut Session<'_>, device: &mut impl Served) {
    ask(session, device, Request::Finish, |answer| {
        assert_eq!(answer, Answer::Finished);
    });
}

/// Gives `bytes` from `offset` on.
fn give(session: &mut Session<'_>, device: &mut impl Served, bytes: &[u8], mut offset: usize) {
    while offset < bytes.len() {
        let end = bytes.len().min(offset + BLOCK);
        let block = Request::Write {
            offset: offset as u32,
            bytes: &bytes[offset..end],
        };
        let have = have(session, device, block);
        assert_eq!(have as usize, end);
        offset = end;
    }
}

fn begin(object: Object, bytes: &[u8]) -> Request<'static> {
    let sum = Sum::of(bytes).unwrap();
    Request::Begin { object, sum }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + 1) as u8).collect()
}

#[test]
fn what_comes_in_pieces_is_answered_as_byte_for_byte() {
    let mut buffer = vec![0; frame_buffer_len(4_096)];
    let mut asked = Request::Offer.emit(1, &mut buffer).unwrap().to_vec();
    asked.extend_from_slice(Request::Offer.emit(2, &mut buffer).unwrap());
    let mut device = Device::<NoSlot>::default();
    let mut memory = SessionMemory::<FRAME, PROFILE>::new();
    let mut session = Session::new(&mut memory);
    let mut one_by_one = Vec::new();
    for &byte in &asked {
        one_by_one.extend(session.push(byte, &mut device).into_iter().flatten());
    }
    let mut memory = SessionMemory::<FRAME, PROFILE>::new();
    let mut session = Session::new(&mut memory);
    let (mut in_pieces, mut answers) = (Vec::new(), 0);
    for piece in asked.chunks(7) {
        session.exchange(piece, &mut device, |answer| {
            in_pieces.extend_from_slice(answer);
            answers += 1;
        });
    }
    assert_eq!(answers, 2);
    assert_eq!(in_pieces, one_by_one);
}

#[test]
fn a_device_describes_itself_and_its_session() {
    let mut memory = SessionMemory::<FRAME, PROFILE>::new();
    let mut session = Session::new(&mut memory);
    let mut device = Device::<Slot>::default();
    let greet = Request::Greet { version: 77 };
    ask(&mut session, &mut device, greet, |answer| {
        let Answer::Described(description) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(description.version, LINK_VERSION);
        assert_eq!(usize::from(description.block), BLOCK);
        assert_eq!(description.profile_room as usize, PROFILE);
        assert_eq!(description.model_room, 5_000);
        assert_eq!((description.classes, description.name), (1, "a model"));
    });
}

#[test]
fn a_profile_is_read_as_it_was_offered() {
    let mut memory = SessionMemory::<FRAME, PROFILE>::new();
    let mut session = Session::new(&mut memory);
    let mut device = Device::<NoSlot> {
        profile: bytes(150),
        ..Device::default()
    };
    let read = |offset| Request::Read { offset, len: 100 };
    assert_eq!(
        refused(&mut session, &mut device, read(0)),
        Refusal::NotBegun
    );
    let expected = device.profile.clone();
    ask(&mut session, &mut device, Request::Offer, |answer| {
        assert_eq!(answer, Answer::Offered(Sum::of(&expected).unwrap()));
    });
    // What is taught meanwhile comes with the next offer.
    device.profile = bytes(3);
    let mut got: Vec<u8> = Vec::new();
    while got.len() < expected.len() {
        ask(
            &mut session,
            &mut device,
            read(got.len() as u32),
            |answer| {
                let Answer::Block { offset, bytes } = answer else {
                    panic!("{answer:?}");
                };
                assert_eq!(offset as usize, got.len());
                assert!((1..=BLOCK).contains(&bytes.len()));
                got.extend(bytes);
            },
        );
    }
    assert_eq!(got, expected);
    let beyond = refused(&mut session, &mut device, read(151));
    assert_eq!(beyond, Refusal::UnknownRequest);

    device.profile = bytes(PROFILE + 1);
    let too_long = refused(&mut session, &mut device, Request::Offer);
    let (found, room) = (PROFILE as u32 + 1, PROFILE as u32);
    assert_eq!(too_long, Refusal::TooLong { found, room });
    assert_eq!(
        refused(&mut session, &mut device, read(0)),
        Refusal::NotBegun
    );
}

#[test]
fn a_profile_goes_on_from_what_has_come() {
    let mut memory = SessionMemory::<FRAME, PROFILE>::new();
    let mut session = Session::new(&mut memory);
    let mut device = Device::<NoSlot>::default();
    let bytes = bytes(300);
    let announce = begin(Object::Profile, &bytes);
    let not_begun = refused(&mut session, &mut device, Request::Finish);
    assert_eq!(not_begun, Refusal::NotBegun);

    assert_eq!(have(&mut session, &mut device, announce), 0);
    give(&mut session, &mut device, &bytes[..128], 0);
    let incomplete = Refusal::Incomplete {
        found: 128,
        expected: 300,
    };
    assert_eq!(
        refused(&mut session, &mut device, Request::Finish),
        incomplete
    );
    // A repeated block, and one ahead, change nothing.
    for offset in [0, 64, 192] {
        let block = Request::Write {
            offset,
            bytes: &[9; BLOCK],
        };
        assert_eq!(have(&mut session, &mut device, block), 128);
    }
    assert_eq!(have(&mut session, &mut device, announce), 128);
    give(&mut session, &mut device, &bytes, 128);
    assert_eq!(device.imports, 0);
    finish(&mut session, &mut device);
    assert_eq!(device.profile, bytes);
    // The answer was lost.
    finish(&mut session, &mut device);
    assert_eq!(device.imports, 1);
    // Pushed once more, over what was taught since then.
    device.profile.clear();
    assert_eq!(have(&mut session, &mut device, announce), 300);
    finish(&mut session, &mut device);
    assert_eq!(device.profile, bytes);
    // Another one begins anew.
    let other = begin(Object::Profile, &bytes[..299]);
    assert_eq!(have(&mut session, &mut device, other), 0);
}

#[test]
fn what_is_not_right_replaces_nothing() {
    let mut memory = SessionMemory::<FRAME, PROFILE>::new();
    let mut session = Session::new(&mut memory);
    let mut device = Device::<NoSlot>::default();
    let bytes = bytes(100);
    let announce = begin(Object::Profile, &bytes);
    assert_eq!(have(&mut session, &mut device, announce), 0);
    let mut wrong = bytes.clone();
    wrong[50] ^= 1;
    give(&mut session, &mut device, &wrong, 0);
    assert!(matches!(
        refused(&mut session, &mut device, Request::Finish),
        Refusal::Checksum { .. }
    ));
    // All of it has to come again.
    assert_eq!(have(&mut session, &mut device, announce), 0);

    let unreadable = [0; 40];
    let announce = begin(Object::Profile, &unreadable);
    assert_eq!(have(&mut session, &mut device, announce), 0);
    give(&mut session, &mut device, &unreadable, 0);
    let refusal = refused(&mut session, &mut device, Request::Finish);
    assert_eq!(refusal, Refusal::Unreadable);
    assert_eq!((device.profile.len(), device.imports), (0, 0));

    let long = vec![1; PROFILE + 1];
    let announce = begin(Object::Profile, &long);
    assert!(matches!(
        refused(&mut session, &mut device, announce),
        Refusal::TooLong { .. }
    ));
    let model = begin(Object::Model, &bytes);
    assert_eq!(refused(&mut session, &mut device, model), Refusal::NoSlot);
}

#[test]
fn blocks_have_whole_words_and_end_with_the_object() {
    let mut memory = SessionMemory::<FRAME, PROFILE>::new();
    let mut session = Session::new(&mut memory);
    let mut device = Device::<NoSlot>::default();
    let bytes = bytes(100);
    have(&mut session, &mut device, begin(Object::Profile, &bytes));
    for (offset, len) in [(0, 33), (0, 65), (96, 5), (u32::MAX, 32), (96, 128)] {
        let block = Request::Write {
            offset,
            bytes: &[1; 128][..len],
        };
        let refusal = refused(&mut session, &mut device, block);
        assert_eq!(refusal, Refusal::UnknownRequest, "{offset} {len}");
    }
}

#[test]
fn a_model_goes_on_after_a_restart() {
    let bytes = bytes(4_000);
    let mut device = Device::<Slot>::default();
    let announce = begin(Object::Model, &bytes);
    for (end, before) in [(1_024, 0), (2_048, 1_024), (4_000, 2_048)] {
        let mut memory = SessionMemory::<FRAME, PROFILE>::new();
        let mut session = Session::new(&mut memory);
        assert_eq!(have(&mut session, &mut device, announce), before);
        give(&mut session, &mut device, &bytes[..end], before as usize);
        if end == bytes.len() {
            finish(&mut session, &mut device);
            finish(&mut session, &mut device);
        }
    }
    assert_eq!((&device.slot.bytes, device.slot.uses), (&bytes, 1));
}

fn any_request() -> impl Strategy<Value = Vec<u8>> {
    let sums = prop_oneof![Just(96_u32), Just(100), any::<u32>()];
    let offsets = prop_oneof![Just(0_u32), Just(32), Just(64), Just(96), any::<u32>()];
    let request = (
        0..7_u8,
        sums,
        offsets,
        proptest::collection::vec(any::<u8>(), 0..100),
        any::<bool>(),
    );
    request.prop_map(|(kind, len, offset, bytes, profile)| {
        let request = match kind {
            0 => Request::Greet { version: 1 },
            1 => Request::Offer,
            2 => Request::Read { offset, len: 64 },
            3 => Request::Begin {
                object: match profile {
                    true => Object::Profile,
                    false => Object::Model,
                },
                sum: Sum { len, crc32: 1 },
            },
            4 => Request::Write {
                offset,
                bytes: &bytes[..bytes.len() & !31],
            },
            5 => Request::Write {
                offset,
                bytes: &bytes,
            },
            _ => Request::Finish,
        };
        let mut buffer = [0; frame_buffer_len(128)];
        request.emit(kind, &mut buffer).unwrap().to_vec()
    })
}

proptest! {
    #[test]
    fn any_requests_and_noise_are_answered_or_passed_over(
        requests in proptest::collection::vec(any_request(), 0..30),
        noise in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut memory = SessionMemory::<FRAME, PROFILE>::new();
        let mut session = Session::new(&mut memory);
        let mut device = Device::<Slot> { profile: bytes(150), ..Device::default() };
        for request in &requests {
            let answers = request.iter().filter(|&&b| session.push(b, &mut device).is_some());
            prop_assert!(answers.count() <= 1);
        }
        for byte in noise {
            session.push(byte, &mut device);
        }
        prop_assert!(device.profile == bytes(150), "nothing was finished");
    }
}
