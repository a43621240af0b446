//! Captures the system's default microphone through cpal.

use super::{CaptureError, Chunk};
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{Data, Error, ErrorKind, FromSample, SampleFormat, SizedSample, SupportedStreamConfig};
use mtslvr_audio::StreamResampler;
use std::sync::mpsc::SyncSender;

/// Most chunks that may wait, ten seconds or more. Beyond it sound is lost, so that memory does not
/// grow.
pub(super) const WAITING: usize = 1024;

/// An open microphone; dropping it closes it.
pub(super) struct Microphone {
    _stream: cpal::Stream,
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
        let stream = match config.sample_format() {
            SampleFormat::F32 => stream::<f32>(&device, &config, rate, chunks),
            SampleFormat::I16 => stream::<i16>(&device, &config, rate, chunks),
            SampleFormat::U16 => stream::<u16>(&device, &config, rate, chunks),
            SampleFormat::I32 => stream::<i32>(&device, &config, rate, chunks),
            SampleFormat::U8 => stream::<u8>(&device, &config, rate, chunks),
            other => {
                return Err(CaptureError::Microphone {
                    action: "used",
                    reason: format!("its samples are {other}, expected integers or f32"),
                });
            }
        };
        let stream = stream.map_err(failed("opened"))?;
        stream.play().map_err(failed("started"))?;
        Ok(Self { _stream: stream })
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
    chunks: SyncSender<Chunk>,
) -> Result<cpal::Stream, Error>
where
    T: SizedSample,
    f32: FromSample<T>,
{
    let channels = usize::from(config.channels()).max(1);
    let mut resampler = StreamResampler::new(config.sample_rate(), rate);
    let failures = chunks.clone();
    let on_data = move |data: &Data, _: &cpal::InputCallbackInfo| {
        let samples = data.as_slice::<T>().unwrap_or(&[]);
        let mono = samples.chunks_exact(channels).map(|frame| {
            let sum: f32 = frame.iter().map(|s| s.to_sample::<f32>()).sum();
            sum / channels as f32
        });
        let due = resampler.push(&mono.collect::<Vec<f32>>());
        if !due.is_empty() {
            // The queue is full only if nobody has listened for seconds.
            let _ = chunks.try_send(Ok(due));
        }
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
