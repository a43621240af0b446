//! Transfers with a device in memory, over a line that loses, flips and adds bytes.

use super::{Client, Line, LinkError, Part, Patience};
use mtslvr_runtime::link::{
    Description, LINK_VERSION, ModelSlot, Object, Refusal, Served, Session, SessionMemory, Sum,
    Taught, frame_buffer_len,
};
use mtslvr_runtime::space::BackboneId;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const FRAME: usize = frame_buffer_len(256);
const PROFILE: usize = 20_000;

/// A device whose profile is any bytes.
#[derive(Debug, Default)]
struct Device {
    profile: Vec<u8>,
    slot: Slot,
}

/// A slot in memory.
#[derive(Debug, Default)]
struct Slot {
    sum: Option<Sum>,
    bytes: Vec<u8>,
    used: bool,
}

impl ModelSlot for Slot {
    fn room(&self) -> u32 {
        50_000
    }

    fn begin(&mut self, sum: Sum) -> Result<u32, Refusal> {
        if self.sum.replace(sum) != Some(sum) {
            self.bytes.clear();
        }
        Ok(self.bytes.len() as u32)
    }

    fn write(&mut self, _: u32, bytes: &[u8]) -> Result<(), Refusal> {
        self.bytes.extend(bytes);
        Ok(())
    }

    fn finish(&mut self, _: Taught) -> Result<(), Refusal> {
        self.used = true;
        Ok(())
    }
}

impl Served for Device {
    type Slot = Slot;

    fn describe(&self) -> Description<'_> {
        Description {
            classes: 1,
            examples: 2,
            class_room: 3,
            example_room: 4,
            ..Description::of(BackboneId::new([5; 32]), "a model")
        }
    }

    fn export(&mut self, out: &mut [u8]) -> Result<usize, Refusal> {
        out[..self.profile.len()].copy_from_slice(&self.profile);
        Ok(self.profile.len())
    }

    fn import(&mut self, snapshot: &[u8]) -> Result<(), Refusal> {
        if snapshot.first() == Some(&0xff) {
            return Err(Refusal::OtherBackbone);
        }
        self.profile = snapshot.to_vec();
        Ok(())
    }

    fn sounds_can_follow(&mut self) -> bool {
        true
    }

    fn slot(&mut self) -> &mut Slot {
        &mut self.slot
    }
}

/// A line to a device in memory.
struct MemoryLine {
    session: Session<'static>,
    device: Device,
    coming: VecDeque<u8>,
    /// One of so many bytes is lost, and one flipped; none if it is zero.
    fault: u64,
    state: u64,
    /// Bytes after which the line breaks.
    breaks_after: usize,
    sent: usize,
    silent: bool,
}

impl MemoryLine {
    fn to(device: Device) -> Self {
        let memory = Box::leak(Box::new(SessionMemory::<FRAME, PROFILE>::new()));
        Self {
            session: Session::new(memory),
            device,
            coming: VecDeque::new(),
            fault: 0,
            state: 1,
            breaks_after: usize::MAX,
            sent: 0,
            silent: false,
        }
    }

    /// Returns what becomes of a byte on the way.
    fn carried(&mut self, byte: u8) -> Vec<u8> {
        // Knuth's linear congruential generator; the upper bits are the random ones.
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let random = self.state >> 33;
        match self.fault {
            0 => vec![byte],
            fault => match random % fault {
                0 => vec![],
                1 => vec![byte ^ (1 << (random >> 20 & 7))],
                2 => vec![byte, (random >> 10) as u8],
                _ => vec![byte],
            },
        }
    }
}

impl Line for MemoryLine {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        for &byte in bytes {
            self.sent += 1;
            if self.sent > self.breaks_after {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            for byte in self.carried(byte) {
                let answer = self.session.push(byte, &mut self.device);
                let answer = answer.map(<[u8]>::to_vec).unwrap_or_default();
                for byte in answer {
                    let carried = self.carried(byte);
                    self.coming.extend(carried);
                }
            }
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<usize> {
        let count = self.coming.len().min(buffer.len());
        if count == 0 || self.silent {
            std::thread::sleep(wait);
            return Ok(0);
        }
        for (byte, came) in buffer.iter_mut().zip(self.coming.drain(..count)) {
            *byte = came;
        }
        Ok(count)
    }
}

static GO_ON: AtomicBool = AtomicBool::new(false);

fn client(line: MemoryLine) -> Client<'static, MemoryLine> {
    let patience = Patience {
        answer: Duration::from_millis(1),
        finish: Duration::from_millis(1),
        tries: 100,
        ..Patience::default()
    };
    Client::new(line, patience, &GO_ON)
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * i / 7 + i) as u8).collect()
}

#[test]
fn a_device_describes_itself() {
    let mut client = client(MemoryLine::to(Device::default()));
    let device = client.greet().unwrap();
    assert_eq!((device.model.as_str(), device.classes), ("a model", 1));
    assert_eq!(device.profile_room as usize, PROFILE);
    assert_eq!(client.repeats(), 0);
}

#[test]
fn objects_come_whole_through_a_bad_line() {
    let (profile, model) = (bytes(9_001), bytes(30_000));
    let mut line = MemoryLine::to(Device::default());
    line.fault = 700;
    let mut client = client(line);
    let device = client.greet().unwrap();
    client
        .give(&device, Object::Profile, &profile, |_, _| {})
        .unwrap();
    let pulled = client.pull(&device, &mut Part::default(), |_, _| {});
    assert!(pulled.unwrap() == profile);
    client
        .give(&device, Object::Model, &model, |_, _| {})
        .unwrap();
    assert!(client.repeats() > 10, "{} repeats", client.repeats());
    let line = client.into_line();
    assert!(line.device.profile == profile);
    assert!(line.device.slot.bytes == model && line.device.slot.used);
}

#[test]
fn a_transfer_goes_on_where_the_line_broke() {
    let model = bytes(30_000);
    let mut line = MemoryLine::to(Device::default());
    line.breaks_after = 20_000;
    let mut first = client(line);
    let device = first.greet().unwrap();
    let broken = first.give(&device, Object::Model, &model, |_, _| {});
    assert!(matches!(broken, Err(LinkError::Line(_))), "{broken:?}");

    let mut line = first.into_line();
    assert!(!line.device.slot.used);
    line.breaks_after = usize::MAX;
    let had = line.device.slot.bytes.len();
    assert!((15_000..20_000).contains(&had), "{had}");
    let mut again = client(line);
    let device = again.greet().unwrap();
    let mut seen = Vec::new();
    let given = again
        .give(&device, Object::Model, &model, |there, _| seen.push(there))
        .unwrap();
    assert_eq!(given.had as usize, had);
    assert_eq!(given.sent as usize, model.len() - had);
    assert_eq!(seen.first(), Some(&(had as u64)));
    assert_eq!(seen.last(), Some(&(model.len() as u64)));
    assert!(again.into_line().device.slot.used);
}

#[test]
fn a_profile_goes_on_where_the_line_broke_if_it_is_still_the_same() {
    let profile = bytes(9_001);
    for taught_meanwhile in [false, true] {
        let mut line = MemoryLine::to(Device {
            profile: profile.clone(),
            ..Device::default()
        });
        line.breaks_after = 400;
        let mut first = client(line);
        let device = first.greet().unwrap();
        let mut part = Part::default();
        let broken = first.pull(&device, &mut part, |_, _| {});
        assert!(matches!(broken, Err(LinkError::Line(_))), "{broken:?}");
        let had = part.len();
        assert!((2_000..9_000).contains(&had), "{had}");

        let mut line = first.into_line();
        line.breaks_after = usize::MAX;
        line.device.profile[0] ^= u8::from(taught_meanwhile);
        let there = line.device.profile.clone();
        let mut part = Part::from_bytes(&part.to_bytes());
        let mut again = client(line);
        let device = again.greet().unwrap();
        let mut seen = Vec::new();
        let pulled = again.pull(&device, &mut part, |have, _| seen.push(have));
        assert!(pulled.unwrap() == there);
        let begun = if taught_meanwhile { 0 } else { had as u64 };
        assert_eq!(seen[0], begun);
        assert!(part.is_empty());
    }
}

#[test]
fn a_refusal_is_told() {
    let mut client = client(MemoryLine::to(Device::default()));
    let device = client.greet().unwrap();
    let mut give = |object, bytes: &[u8]| match client.give(&device, object, bytes, |_, _| {}) {
        Err(LinkError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    let refused = give(Object::Profile, &[0xff; 100]);
    assert_eq!(refused, Refusal::OtherBackbone);
    let too_long = Refusal::TooLong {
        found: 50_001,
        room: 50_000,
    };
    assert_eq!(give(Object::Model, &bytes(50_001)), too_long);
}

#[test]
fn a_silent_line_and_a_stop_end_the_wait() {
    let mut line = MemoryLine::to(Device::default());
    line.silent = true;
    let mut client = client(line);
    assert!(matches!(client.greet(), Err(LinkError::NoAnswer(_))));

    let stop = AtomicBool::new(false);
    let patience = Patience::default();
    let mut client = Client::new(MemoryLine::to(Device::default()), patience, &stop);
    let device = client.greet().unwrap();
    let given = client.give(&device, Object::Profile, &bytes(5_000), |there, _| {
        if there > 2_000 {
            stop.store(true, Ordering::Relaxed);
        }
    });
    assert!(matches!(given, Err(LinkError::Stopped)), "{given:?}");
    assert!(client.into_line().device.profile.is_empty());
}

/// A device that speaks another version: only the first bytes of its answer are known.
struct OtherVersion(VecDeque<u8>);

impl Line for OtherVersion {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        use mtslvr_runtime::link::frame::{FrameReader, FrameWriter};
        let mut reader = FrameReader::new([0; 64]);
        for &byte in bytes {
            let Some(frame) = reader.push(byte) else {
                continue;
            };
            let mut buffer = [0; 64];
            let mut answer = FrameWriter::new(&mut buffer, frame.kind | 0x80, frame.sequence);
            answer.put(&(LINK_VERSION + 1).to_le_bytes());
            answer.put(b"new");
            self.0.extend(answer.finish().unwrap());
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], _: Duration) -> io::Result<usize> {
        io::Read::read(&mut self.0, buffer)
    }
}

#[test]
fn another_version_is_told() {
    let mut client = Client::new(OtherVersion(VecDeque::new()), Patience::default(), &GO_ON);
    let greeted = client.greet();
    let found = LINK_VERSION + 1;
    assert!(matches!(greeted, Err(LinkError::Version { found: f }) if f == found));
}
