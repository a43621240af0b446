//! Captures the system's default microphone through cpal.

use super::{CaptureError, Chunk};
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{Data, Error, ErrorKind, FromSample, SampleFormat, SizedSample, SupportedStreamConfig};
use mtslvr_audio::StreamResampler;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::SyncSender;

/// Chunks of a second: a device may give its samples one by one.
const CHUNKS_PER_SECOND: usize = 50;

/// Most chunks that may wait, ten seconds. Beyond it sound is lost, so that memory does not grow.
pub(super) const WAITING: usize = 10 * CHUNKS_PER_SECOND;

/// An open microphone; dropping it closes it.
pub(super) struct Microphone {
    _stream: cpal::Stream,
    /// Samples that found the queue full.
    lost: Arc<AtomicU64>,
}

impl std::fmt::Debug for Microphone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Microphone").finish_non_exhaustive()
    }
}

impl Microphone {
    /// Opens the default microphone, which then sends mono chunks at `rate` Hz.
    pub fn open(rate: u32, chunks: SyncSender<Chunk>) -> Result<Self, CaptureError> {
        let failed = |action| {
            move |error: Error| CaptureError::Microphone {
                action,
                reason: error.to_string(),
            }
        };
        let device = cpal::default_host().default_input_device();
        let device = device.ok_or_else(|| CaptureError::Microphone {
            action: "found",
            reason: "the system names no default input device".to_owned(),
        })?;
        let config = config(&device, rate).map_err(failed("asked for its formats"))?;
        let lost = Arc::default();
        let queue = Queue {
            chunks,
            due: Vec::new(),
            chunk: rate as usize / CHUNKS_PER_SECOND,
            lost: Arc::clone(&lost),
        };
        let stream = match config.sample_format() {
            SampleFormat::F32 => stream::<f32>(&device, &config, rate, queue),
            SampleFormat::I16 => stream::<i16>(&device, &config, rate, queue),
            SampleFormat::U16 => stream::<u16>(&device, &config, rate, queue),
            SampleFormat::I32 => stream::<i32>(&device, &config, rate, queue),
            SampleFormat::U8 => stream::<u8>(&device, &config, rate, queue),
            other => {
                return Err(CaptureError::Microphone {
                    action: "used",
                    reason: format!("its samples are {other}, expected integers or f32"),
                });
            }
        };
        let stream = stream.map_err(failed("opened"))?;
        stream.play().map_err(failed("started"))?;
        Ok(Self {
            _stream: stream,
            lost,
        })
    }

    /// Returns the samples that were lost so far, because nobody took those before them.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}

/// Samples on their way to the listener.
struct Queue {
    chunks: SyncSender<Chunk>,
    due: Vec<f32>,
    /// Least samples of a chunk.
    chunk: usize,
    lost: Arc<AtomicU64>,
}

impl Queue {
    fn push(&mut self, samples: &[f32]) {
        self.due.extend_from_slice(samples);
        if self.due.len() < self.chunk {
            return;
        }
        let due = std::mem::take(&mut self.due);
        let count = due.len() as u64;
        // The queue is full only if nobody has listened for seconds.
        if self.chunks.try_send(Ok(due)).is_err() {
            self.lost.fetch_add(count, Relaxed);
        }
    }
}

/// Returns a format of the device at `rate`, with few channels, if it has one; otherwise its default.
fn config(device: &cpal::Device, rate: u32) -> Result<SupportedStreamConfig, Error> {
    let known = |format| matches!(format, SampleFormat::F32 | SampleFormat::I16);
    let mut at_rate: Vec<_> = device
        .supported_input_configs()?
        .filter(|range| known(range.sample_format()))
        .filter_map(|range| range.try_with_sample_rate(rate))
        .collect();
    at_rate.sort_by_key(SupportedStreamConfig::channels);
    match at_rate.into_iter().next() {
        Some(config) => Ok(config),
        None => device.default_input_config(),
    }
}

fn stream<T>(
    device: &cpal::Device,
    config: &SupportedStreamConfig,
    rate: u32,
    mut queue: Queue,
) -> Result<cpal::Stream, Error>
where
    T: SizedSample,
    f32: FromSample<T>,
{
    let channels = usize::from(config.channels()).max(1);
    let mut resampler = StreamResampler::new(config.sample_rate(), rate);
    let failures = queue.chunks.clone();
    let on_data = move |data: &Data, _: &cpal::InputCallbackInfo| {
        let samples = data.as_slice::<T>().unwrap_or(&[]);
        let mono = samples.chunks_exact(channels).map(|frame| {
            let sum: f32 = frame.iter().map(|s| s.to_sample::<f32>()).sum();
            sum / channels as f32
        });
        queue.push(&resampler.push(&mono.collect::<Vec<f32>>()));
    };
    let on_error = move |error: Error| match error.kind() {
        // The stream goes on after these errors.
        ErrorKind::DeviceChanged | ErrorKind::Xrun | ErrorKind::RealtimeDenied => {}
        _ => {
            let _ = failures.try_send(Err(CaptureError::Microphone {
                action: "heard any longer",
                reason: error.to_string(),
            }));
        }
    };
    let format = config.sample_format();
    device.build_input_stream_raw((*config).into(), format, on_data, on_error, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn samples_that_come_singly_wait_together_and_are_counted_when_nobody_takes_them() {
        let (chunks, taken) = sync_channel(2);
        let lost = Arc::default();
        let mut queue = Queue {
            chunks,
            due: Vec::new(),
            chunk: 4,
            lost: Arc::clone(&lost),
        };
        for n in 0..13_u8 {
            queue.push(&[f32::from(n)]);
        }
        // The last one waits for three more.
        assert_eq!(lost.load(Relaxed), 4);
        let heard: Vec<f32> = taken.try_iter().flat_map(Result::unwrap).collect();
        assert_eq!(heard, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    }
}
