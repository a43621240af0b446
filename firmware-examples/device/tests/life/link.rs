//! A program on a host at the other end of a line, while the device listens.

use super::bench::*;
use mtslvr_device::{CLASSES, EXAMPLES, FRAME_LEN, Notice};
use mtslvr_runtime::fewshot::persist::longest_snapshot;
use mtslvr_runtime::link::frame::FrameReader;
use mtslvr_runtime::link::{Answer, LINK_VERSION, Object, Request, Session, SessionMemory, Sum};
use mtslvr_simulated_flash::FlashFault;

type LinkMemory = SessionMemory<FRAME_LEN, { longest_snapshot(CLASSES, EXAMPLES, DIM) }>;

fn session() -> Session<'static> {
    Session::new(Box::leak(Box::new(LinkMemory::new())))
}

/// Asks the device, whose microphone gets `sound` meanwhile: the request comes in pieces between its samples. Returns
/// what the device tells, and what `take` makes of its answer.
fn ask<T>(
    bench: &mut Bench,
    session: &mut Session<'static>,
    request: Request<'_>,
    sound: &[i16],
    take: impl FnOnce(Answer<'_>) -> T,
) -> (Heard, T) {
    let mut buffer = vec![0; FRAME_LEN];
    let bytes = request.emit(7, &mut buffer).unwrap();
    let (mut told, mut answer) = (Vec::new(), Vec::new());
    let pieces = 8;
    let mut sound = sound.chunks(sound.len().div_ceil(pieces).max(1));
    for piece in bytes.chunks(bytes.len().div_ceil(pieces)) {
        let line = |bytes: &[u8]| answer.extend_from_slice(bytes);
        let device = &mut bench.device;
        device.exchange(session, piece, line, |notice| told.push(notice));
        told.extend(bench.play(sound.next().unwrap_or_default()));
    }
    told.extend(sound.flat_map(|rest| bench.play(rest)));
    let mut reader = FrameReader::new(vec![0; FRAME_LEN]);
    let (last, first) = answer.split_last().expect("an answer");
    assert!(first.iter().all(|&byte| reader.push(byte).is_none()));
    let frame = reader.push(*last).expect("a frame");
    let answer = Answer::parse(&frame).expect("an answer that is known");
    (told, take(answer))
}

/// Asks a device in a silent place.
fn answer<T>(
    bench: &mut Bench,
    session: &mut Session<'static>,
    request: Request<'_>,
    take: impl FnOnce(Answer<'_>) -> T,
) -> T {
    let (told, answer) = ask(bench, session, request, &[], take);
    assert_eq!(told, []);
    answer
}

fn pull(bench: &mut Bench, session: &mut Session<'static>) -> Vec<u8> {
    let sum = answer(bench, session, Request::Offer, |answer| match answer {
        Answer::Offered(sum) => sum,
        other => panic!("{other:?}"),
    });
    let mut profile = Vec::new();
    while profile.len() < sum.len as usize {
        let read = Request::Read {
            offset: profile.len() as u32,
            len: 512,
        };
        answer(bench, session, read, |answer| match answer {
            Answer::Block { bytes, .. } => profile.extend_from_slice(bytes),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(Sum::of(&profile), Some(sum));
    profile
}

/// Pushes a profile; returns what the device tells at the end, while it hears `sound`.
fn push(
    bench: &mut Bench,
    session: &mut Session<'static>,
    profile: &[u8],
    sound: &[i16],
) -> (Heard, bool) {
    let begin = Request::Begin {
        object: Object::Profile,
        sum: Sum::of(profile).unwrap(),
    };
    assert!(answer(bench, session, begin, |answer| matches!(
        answer,
        Answer::Begun { have: 0 }
    )));
    for (block, bytes) in profile.chunks(512).enumerate() {
        let offset = block as u32 * 512;
        let have = offset + bytes.len() as u32;
        let write = Request::Write { offset, bytes };
        answer(bench, session, write, |answer| {
            assert!(matches!(answer, Answer::Written { have: found } if found == have));
        });
    }
    let finished = |answer: Answer<'_>| matches!(answer, Answer::Finished);
    ask(bench, session, Request::Finish, sound, finished)
}

#[test]
fn profiles_go_to_a_device_and_come_back() {
    let (mut taught, _) = Bench::start(blank_flash());
    taught.hear(&siren());
    assert_eq!(taught.short(), enrolled("sound 1", 1));
    let mut line = session();
    let greet = Request::Greet {
        version: LINK_VERSION,
    };
    let found = answer(&mut taught, &mut line, greet, |answer| match answer {
        Answer::Described(found) => (found.classes, found.block, usize::from(found.class_room)),
        other => panic!("{other:?}"),
    });
    assert_eq!(found, (1, 512, CLASSES));
    let profile = pull(&mut taught, &mut line);

    let (mut bench, _) = Bench::start(blank_flash());
    bench.hear(&motor());
    bench.short();
    let mut line = session();
    let (told, finished) = push(&mut bench, &mut line, &profile, &[]);
    let (sounds, examples) = (1, 1);
    assert_eq!(
        (told, finished),
        (vec![Notice::Ready { sounds, examples }], true)
    );
    assert_eq!(pull(&mut bench, &mut line), profile);
    assert_eq!(names(&bench.hear(&siren())), ["sound 1"]);
    let (mut bench, _) = bench.restart();
    assert_eq!(names(&bench.hear(&motor())), [""; 0]);
}

/// A sound that is heard while requests come and go is recognised, and the button does its work.
#[test]
fn the_device_listens_while_it_is_asked() {
    let (mut bench, _) = Bench::start(blank_flash());
    bench.hear(&siren());
    bench.short();
    let mut line = session();
    let mut profile = Vec::new();
    let sound = [siren(), vec![0; RATE]].concat();
    let (told, sum) = ask(
        &mut bench,
        &mut line,
        Request::Offer,
        &sound,
        |answer| match answer {
            Answer::Offered(sum) => sum,
            other => panic!("{other:?}"),
        },
    );
    assert_eq!(names(&told), ["sound 1"]);
    // Half of a request, and the line is quiet for as long as it takes to enrol.
    let mut buffer = vec![0; FRAME_LEN];
    let read = Request::Read {
        offset: 0,
        len: 512,
    };
    let bytes = read.emit(8, &mut buffer).unwrap().to_vec();
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    let nothing = |notice: Notice<FlashFault>| panic!("{notice:?}");
    let mut answered = Vec::new();
    let mut reply = |bytes: &[u8]| answered.extend_from_slice(bytes);
    bench.device.exchange(&mut line, first, &mut reply, nothing);
    assert_eq!(bench.short(), enrolled("sound 1", 2));
    bench.device.exchange(&mut line, rest, &mut reply, nothing);
    let mut reader = FrameReader::new(vec![0; FRAME_LEN]);
    let frames = answered.iter().filter(|&&byte| match reader.push(byte) {
        Some(frame) => {
            match Answer::parse(&frame) {
                Some(Answer::Block { bytes, .. }) => profile.extend_from_slice(bytes),
                other => panic!("{other:?}"),
            }
            true
        }
        None => false,
    });
    assert_eq!(frames.count(), 1);
    // What was offered before the press, all of one piece.
    let offset = profile.len() as u32;
    let rest = Request::Read { offset, len: 512 };
    answer(&mut bench, &mut line, rest, |answer| match answer {
        Answer::Block { bytes, .. } => profile.extend_from_slice(bytes),
        other => panic!("{other:?}"),
    });
    assert_eq!(Sum::of(&profile), Some(sum));
    // The device is given back what it knew, in the middle of a sound.
    let (told, finished) = push(&mut bench, &mut line, &profile, &sound);
    let (sounds, examples) = (1, 1);
    assert!(finished);
    assert!(
        told.contains(&Notice::Ready { sounds, examples }),
        "{told:?}"
    );
    assert!(
        told.iter()
            .any(|notice| matches!(notice, Notice::Heard { .. })),
        "{told:?}"
    );
}
