//! Asks a device, as often as it takes.

use super::error::LinkError;
use super::line::Line;
use super::part::Part;
use mtslvr_runtime::link::frame::{Frame, FrameReader};
use mtslvr_runtime::link::{
    Answer, BLOCK_STEP, Description, LINK_VERSION, MAX_BLOCK, Object, Refusal, Request, Sum,
    frame_buffer_len,
};
use mtslvr_runtime::space::BackboneId;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Kind of the answer to a greeting, the one that every version has.
const GREETED: u8 = 0x81;
/// Longest that a line is listened to without looking whether to stop.
const LOOK: Duration = Duration::from_millis(100);
/// How often a transfer begins anew before it is given up.
const ATTEMPTS: u32 = 3;
/// Longest profile that is taken from a device, bytes.
const MOST_PROFILE: u32 = 64 << 20;

/// How long a device may take, and how often it is asked.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Time for an answer, beside what the line takes for the bytes.
    pub answer: Duration,
    /// Time for the answer to *finish*: the device checks everything and writes to its flash.
    pub finish: Duration,
    /// Time that a byte takes on the line.
    pub byte: Duration,
    /// Number of times that a request is made.
    pub tries: u32,
}

impl Patience {
    /// Returns the patience for a line of `baud` bits a second, of which ten carry a byte.
    pub fn at_baud(baud: u32) -> Self {
        Self {
            byte: Duration::from_secs(10) / baud.max(1),
            ..Self::default()
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(1),
            finish: Duration::from_secs(3),
            byte: Duration::ZERO,
            tries: 10,
        }
    }
}

/// A device that has described itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The backbone in use.
    pub backbone: BackboneId,
    /// Name of its model; may be empty.
    pub model: String,
    /// Classes that it was taught.
    pub classes: u16,
    /// Examples of all of them.
    pub examples: u16,
    /// Most classes.
    pub class_room: u16,
    /// Most examples.
    pub example_room: u16,
    /// Bytes of the longest profile that it takes.
    pub profile_room: u32,
    /// Bytes of the longest model that it takes; zero if it takes none.
    pub model_room: u32,
    /// Most bytes of a block.
    block: u16,
}

impl Device {
    fn new(description: &Description<'_>) -> Self {
        Self {
            backbone: description.backbone,
            model: description.name.to_owned(),
            classes: description.classes,
            examples: description.examples,
            class_room: description.class_room,
            example_room: description.example_room,
            profile_room: description.profile_room,
            model_room: description.model_room,
            block: description.block,
        }
    }

    /// Returns the bytes of a block, which are whole words.
    fn block(&self) -> usize {
        let block = usize::from(self.block).min(MAX_BLOCK);
        (block - block % BLOCK_STEP).max(BLOCK_STEP)
    }
}

/// Account of an object that was given to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// Bytes that the device had already.
    pub had: u32,
    /// Bytes that were sent.
    pub sent: u64,
}

/// The host's side of the link.
#[derive(Debug)]
pub struct Client<'s, L> {
    line: L,
    reader: FrameReader<Vec<u8>>,
    request: Vec<u8>,
    answer: Received,
    sequence: u8,
    patience: Patience,
    repeats: u64,
    stop: &'s AtomicBool,
}

/// A frame, out of the line's buffer.
#[derive(Debug, Default)]
struct Received {
    kind: u8,
    sequence: u8,
    message: Vec<u8>,
}

impl Received {
    fn frame(&self) -> Frame<'_> {
        Frame {
            kind: self.kind,
            sequence: self.sequence,
            message: &self.message,
        }
    }
}

impl<'s, L: Line> Client<'s, L> {
    /// Begins on `line`, until `stop` is set.
    pub fn new(line: L, patience: Patience, stop: &'s AtomicBool) -> Self {
        let len = frame_buffer_len(MAX_BLOCK);
        Self {
            line,
            reader: FrameReader::new(vec![0; len]),
            request: vec![0; len],
            answer: Received::default(),
            // Answers to somebody who asked before have other numbers, most likely.
            sequence: Instant::now().elapsed().subsec_nanos() as u8 ^ std::process::id() as u8,
            patience,
            repeats: 0,
            stop,
        }
    }

    /// Returns how often a request had to be made again.
    pub fn repeats(&self) -> u64 {
        self.repeats
    }

    /// Gives the line back.
    pub fn into_line(self) -> L {
        self.line
    }

    /// Asks the device to describe itself.
    ///
    /// # Errors
    /// [`LinkError`]; [`LinkError::Version`] if it speaks another version of the protocol.
    pub fn greet(&mut self) -> Result<Device, LinkError> {
        let request = Request::Greet {
            version: LINK_VERSION,
        };
        match self.ask(request)? {
            Answer::Described(description) => Ok(Device::new(&description)),
            _ => Err(LinkError::Unreadable),
        }
    }

    /// Takes the device's profile, and tells `progress` the bytes that have come, and all of them. Begins with the
    /// `part` that came before a transfer broke off; on an error `part` is what has come until then.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn pull(
        &mut self,
        device: &Device,
        part: &mut Part,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Vec<u8>, LinkError> {
        for _ in 0..ATTEMPTS {
            let Answer::Offered(sum) = self.ask(Request::Offer)? else {
                return Err(LinkError::Unreadable);
            };
            let (found, room) = (sum.len, MOST_PROFILE);
            if found > room {
                return Err(Refusal::TooLong { found, room }.into());
            }
            part.of(sum);
            match self.read_offered(device, sum.len, part, &mut progress) {
                // The device was started again, or somebody else asked for another transfer.
                Err(LinkError::Refused(Refusal::NotBegun)) => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    if let Some(profile) = part.take() {
                        return Ok(profile);
                    }
                    // What came before may have been of another profile with this sum.
                }
            }
        }
        Err(LinkError::Unsettled(ATTEMPTS))
    }

    fn read_offered(
        &mut self,
        device: &Device,
        len: u32,
        part: &mut Part,
        progress: &mut impl FnMut(u64, u64),
    ) -> Result<(), LinkError> {
        while part.len() < len as usize {
            progress(part.len() as u64, len.into());
            let left = len as usize - part.len();
            let request = Request::Read {
                offset: part.len() as u32,
                len: device.block().min(left) as u16,
            };
            match self.ask(request)? {
                Answer::Block { offset, bytes }
                    if offset as usize == part.len() && (1..=left).contains(&bytes.len()) =>
                {
                    part.extend(bytes);
                }
                _ => return Err(LinkError::Contradicted),
            }
        }
        progress(len.into(), len.into());
        Ok(())
    }

    /// Gives the device `bytes` to use as `object`, from where an earlier transfer of the same bytes ended, and
    /// tells `progress` the bytes that are there, and all of them.
    ///
    /// # Errors
    /// [`LinkError`]; the device then uses what it used before.
    pub fn give(
        &mut self,
        device: &Device,
        object: Object,
        bytes: &[u8],
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Given, LinkError> {
        let sum = Sum::of(bytes).ok_or(LinkError::TooLong(bytes.len()))?;
        let mut given = None;
        for _ in 0..ATTEMPTS {
            let Answer::Begun { have } = self.ask(Request::Begin { object, sum })? else {
                return Err(LinkError::Unreadable);
            };
            let given = given.get_or_insert(Given { had: have, sent: 0 });
            match self.write_from(device, have, bytes, given, &mut progress) {
                // The device was started again, or has to have all of it once more.
                Err(LinkError::Refused(Refusal::NotBegun | Refusal::Checksum { .. })) => {}
                result => return result.map(|()| *given),
            }
        }
        Err(LinkError::Unsettled(ATTEMPTS))
    }

    fn write_from(
        &mut self,
        device: &Device,
        mut have: u32,
        bytes: &[u8],
        given: &mut Given,
        progress: &mut impl FnMut(u64, u64),
    ) -> Result<(), LinkError> {
        let mut stuck = 0;
        while let Some(rest) = bytes.get(have as usize..).filter(|rest| !rest.is_empty()) {
            progress(have.into(), bytes.len() as u64);
            let block = &rest[..rest.len().min(device.block())];
            given.sent += block.len() as u64;
            let request = Request::Write {
                offset: have,
                bytes: block,
            };
            let Answer::Written { have: now } = self.ask(request)? else {
                return Err(LinkError::Unreadable);
            };
            // Wherever the device is, it goes on from there; but on it must go.
            stuck = if now > have { 0 } else { stuck + 1 };
            if stuck > self.patience.tries {
                return Err(LinkError::Unsettled(stuck));
            }
            have = now;
        }
        progress(bytes.len() as u64, bytes.len() as u64);
        match self.ask(Request::Finish)? {
            Answer::Finished => Ok(()),
            _ => Err(LinkError::Unreadable),
        }
    }

    /// Makes a request until there is an answer to it.
    fn ask(&mut self, request: Request<'_>) -> Result<Answer<'_>, LinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut buffer = std::mem::take(&mut self.request);
        let line = request.emit(self.sequence, &mut buffer);
        let asked = match line {
            Some(line) => self.ask_with(line, &request),
            None => Err(LinkError::TooLong(buffer.len())),
        };
        self.request = buffer;
        asked?;
        if let Some(found) = self.other_version() {
            return Err(LinkError::Version { found });
        }
        match Answer::parse(&self.answer.frame()) {
            Some(Answer::Refused(refusal)) => Err(refusal.into()),
            Some(answer) => Ok(answer),
            None => Err(LinkError::Unreadable),
        }
    }

    /// Returns the version of the answer, if it is to a greeting and another than this.
    fn other_version(&self) -> Option<u16> {
        let version = self.answer.message.first_chunk()?;
        let version = u16::from_le_bytes(*version);
        (self.answer.kind == GREETED && version != LINK_VERSION).then_some(version)
    }

    /// Sends `line` until a frame with its number comes, and keeps that.
    fn ask_with(&mut self, line: &[u8], request: &Request<'_>) -> Result<(), LinkError> {
        let answer = match request {
            Request::Finish => self.patience.finish,
            _ => self.patience.answer,
        };
        let bytes = line.len() + frame_buffer_len(MAX_BLOCK);
        let on_the_line = self.patience.byte.saturating_mul(bytes as u32);
        for again in 0..self.patience.tries.max(1) {
            self.repeats += u64::from(again > 0);
            self.line.send(line)?;
            let until = Instant::now() + answer + on_the_line;
            if self.hear(request, until)? {
                return Ok(());
            }
        }
        Err(LinkError::NoAnswer(
            self.patience.answer * self.patience.tries,
        ))
    }

    /// Listens for the answer; false if none comes in time.
    fn hear(&mut self, request: &Request<'_>, until: Instant) -> Result<bool, LinkError> {
        let mut buffer = [0; 1024];
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(LinkError::Stopped);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let count = self.line.receive(&mut buffer, left.min(LOOK))?;
            for &byte in &buffer[..count] {
                let Some(frame) = self.reader.push(byte) else {
                    continue;
                };
                // Others are late answers to requests that were made again.
                if frame.sequence == self.sequence && request.is_answered_by(frame.kind) {
                    self.answer.kind = frame.kind;
                    self.answer.sequence = frame.sequence;
                    self.answer.message.clear();
                    self.answer.message.extend(frame.message);
                    return Ok(true);
                }
            }
        }
    }
}
