//! The metrics as TensorBoard reads them: an event file in TFRecord framing.
//!
//! A record is its length (64 bits, little-endian), the masked CRC-32C of these eight bytes, the
//! data, and the masked CRC-32C of the data. The data is an `Event` message (tensorflow's
//! `core/util/event.proto`), of which scalars need five fields.

use super::metrics::MetricsRow;
use anyhow::{Context, Result};
use prost::Message;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// TensorBoard takes every file whose name holds `tfevents`.
pub const FILE: &str = "events.out.tfevents.mtslvr";

/// One entry of the file: the version of the form, which comes first, or scalars of a step.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// Appends rows of metrics to an event file.
#[derive(Debug)]
pub struct EventLog {
    file: File,
    /// Time at which training would have begun, had it run in one piece until now.
    begun: f64,
}

impl EventLog {
    /// Writes the file anew, with the rows that a resumed run already has.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn open(path: &Path, rows: &[MetricsRow]) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let trained = rows.last().map_or(0.0, |row| row.seconds);
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut log = Self {
            file,
            begun: now.map_or(0.0, |now| now.as_secs_f64()) - trained,
        };
        log.write(&Event {
            wall_time: log.begun,
            file_version: Some("brain.Event:2".into()),
            ..Event::default()
        })?;
        for row in rows {
            log.add(row)?;
        }
        Ok(log)
    }

    /// Appends a row; values that are not numbers are left out.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn add(&mut self, row: &MetricsRow) -> Result<()> {
        let finite = row.values().into_iter().filter(|(_, v)| v.is_finite());
        let value = finite.map(|(tag, value)| Value {
            tag,
            simple_value: Some(value as f32),
        });
        self.write(&Event {
            wall_time: self.begun + row.seconds,
            step: row.step as i64,
            summary: Some(Summary {
                value: value.collect(),
            }),
            ..Event::default()
        })
    }

    fn write(&mut self, event: &Event) -> Result<()> {
        let record = framed(&event.encode_to_vec());
        self.file
            .write_all(&record)
            .with_context(|| format!("cannot append to {FILE}"))
    }
}

fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked(crc32c(&length)).to_le_bytes());
    record.extend(data);
    record.extend(masked(crc32c(data)).to_le_bytes());
    record
}

/// TFRecord's mask, so that data which holds CRCs of its own keeps a good one.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli: reflected, polynomial 0x82F63B78), bit by bit: an event has few bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_standards() {
        // RFC 3720, appendix B.4, and the usual check value.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    /// Reads the file by the form's description.
    fn events(path: &Path) -> Vec<Event> {
        let (bytes, mut at, mut events) = (std::fs::read(path).unwrap(), 0, Vec::new());
        while at < bytes.len() {
            let part = |from: usize, len: usize| &bytes[from..from + len];
            let length = u64::from_le_bytes(part(at, 8).try_into().unwrap()) as usize;
            let checked = |from: usize, len: usize| {
                let found = u32::from_le_bytes(part(from + len, 4).try_into().unwrap());
                assert_eq!(found, masked(crc32c(part(from, len))));
            };
            checked(at, 8);
            checked(at + 12, length);
            events.push(Event::decode(part(at + 12, length)).unwrap());
            at += 16 + length;
        }
        events
    }

    #[test]
    fn a_resumed_file_holds_every_row_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let row = |step| MetricsRow {
            step,
            seconds: step as f64,
            loss: 0.5,
            few_shot: f64::NAN,
            ..MetricsRow::default()
        };
        let mut log = EventLog::open(&path, &[]).unwrap();
        log.add(&row(20)).unwrap();
        log.add(&row(40)).unwrap();
        let mut log = EventLog::open(&path, &[row(20)]).unwrap();
        log.add(&row(40)).unwrap();
        let events = events(&path);
        assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
        let steps: Vec<i64> = events[1..].iter().map(|event| event.step).collect();
        assert_eq!(steps, [20, 40]);
        assert!((events[2].wall_time - events[1].wall_time - 20.0).abs() < 1e-3);
        let values = &events[1].summary.as_ref().unwrap().value;
        let loss = values.iter().find(|value| value.tag == "loss").unwrap();
        assert_eq!(loss.simple_value, Some(0.5));
        assert!(values.iter().all(|value| value.tag != "few_shot"));
    }
}
