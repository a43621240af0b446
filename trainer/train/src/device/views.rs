//! Makes the views of a step on a device, out of recordings in its memory: what the host draws, as words, and the
//! kernels of `views.cu`.

use super::backend::{Address, Argument, Backend, Element, Launch};
use super::losses::BatchAddresses;
use super::tape::{Work, blocks};
use crate::augment::interpolate::Interpolator;
use crate::augment::phase_vocoder::{frame_length, frame_window};
use crate::augment::tilt::SECTIONS;
use crate::augment::{OPERATORS, time_masking};
use anyhow::{Result, ensure};
use bytemuck::{Pod, Zeroable};
use mtslvr_audio::Samples;
use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};

/// Longest transform of the vocoder, longest window of the features, and most frames among which a mask looks for quiet
/// ones, as `views.cu` has them.
const MOST_VOCODER: usize = 1024;
const MOST_WINDOW: usize = 1024;
const MOST_FRAMES: usize = 256;
/// Blocks that share the frames of a view.
const FEATURE_BLOCKS: usize = 8;

/// An operator that was drawn: `Operation` in `views.cu`, word by word.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct DrawnWords {
    pub(crate) kind: i32,
    pub(crate) told: f32,
    pub(crate) value: f32,
    pub(crate) second: f32,
    pub(crate) seed: [u32; 2],
    pub(crate) sizes: [i32; 4],
    pub(crate) places: [i32; time_masking::DRAWS],
}

impl DrawnWords {
    /// No operator: those behind it do not run either.
    pub(crate) const NONE: Self = Self {
        kind: -1,
        told: 0.0,
        value: 0.0,
        second: 0.0,
        seed: [0; 2],
        sizes: [0; 4],
        places: [0; time_masking::DRAWS],
    };
}

/// A sound in the store: `Sound` in `views.cu`.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct SoundWords {
    pub(crate) from: [u32; 2],
    pub(crate) length: i32,
    pub(crate) first: i32,
    pub(crate) step: f32,
}

impl SoundWords {
    /// The first sample of the store, over and over, silent.
    const SILENCE: Self = Self {
        from: [0; 2],
        length: 1,
        first: 0,
        step: 0.0,
    };
}

/// A view that was drawn: `View` in `views.cu`.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct ViewWords {
    pub(crate) sound: SoundWords,
    pub(crate) window: i32,
    pub(crate) background: i32,
    pub(crate) behind: SoundWords,
    pub(crate) seed: [u32; 2],
    pub(crate) snr: f32,
    pub(crate) snr_db: f32,
    pub(crate) decay: f32,
    pub(crate) tilted: i32,
    pub(crate) gain: f32,
    pub(crate) zeros: [f32; SECTIONS],
    pub(crate) poles: [f32; SECTIONS],
    pub(crate) level: f32,
    pub(crate) of_peak: i32,
    pub(crate) operations: [DrawnWords; OPERATORS],
}

impl ViewWords {
    /// Kinds of a background.
    pub(crate) const SOUND_BEHIND: i32 = 1;
    pub(crate) const NOISE_BEHIND: i32 = 2;

    /// A silent view.
    pub(crate) const SILENCE: Self = Self {
        sound: SoundWords::SILENCE,
        window: -1,
        background: 0,
        behind: SoundWords::SILENCE,
        seed: [0; 2],
        snr: 0.0,
        snr_db: 0.0,
        decay: 0.0,
        tilted: 0,
        gain: 1.0,
        zeros: [0.0; SECTIONS],
        poles: [0.0; SECTIONS],
        level: 0.0,
        of_peak: 0,
        operations: [DrawnWords::NONE; OPERATORS],
    };
}

/// Splits a number into the words of `views.cu`.
pub(crate) fn words(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

/// `ViewSizes` in `views.cu`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct ViewSizes {
    samples: i32,
    padded: i32,
    scratch: i32,
    vocoder: i32,
    noise: i32,
    turns: i32,
}

/// `FeatureSizes` in `views.cu`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct FeatureSizes {
    window: i32,
    hop: i32,
    mels: i32,
    frames: i32,
    padded: i32,
    turns: i32,
    floor: f32,
    mean: f32,
    scale: f32,
}

/// Sounds that views are made of, and how.
#[derive(Clone, Debug)]
pub(crate) struct ViewSource<'s> {
    pub(crate) frontend: FrontendConfig,
    pub(crate) clips: &'s [Samples],
    /// Places behind the recordings for sounds that are made while training, as long as a view.
    pub(crate) made: usize,
    /// Most samples that an operator makes of a view before it is cut.
    pub(crate) longest: usize,
    /// Answers of each teacher to all windows, and the values of one answer.
    pub(crate) told: Vec<(&'s [f32], usize)>,
}

impl ViewSource<'_> {
    /// Says why a device cannot make the views, if it cannot.
    pub(crate) fn obstacle(&self) -> Option<String> {
        let FrontendConfig {
            sample_rate,
            window,
            form,
            ..
        } = self.frontend;
        let samples = self.frontend.patch_samples();
        let vocoder = frame_length(sample_rate);
        if form != FrontendForm::PLAIN {
            Some("the frontend has a form of its own".into())
        } else if usize::from(window) > MOST_WINDOW {
            Some(format!(
                "frontend.window is {window}, and a GPU takes {MOST_WINDOW} at most"
            ))
        } else if vocoder > MOST_VOCODER {
            Some(format!(
                "frontend.sample_rate is {sample_rate}, and a GPU takes 20480 at most"
            ))
        } else if time_masking::frames_of(samples, sample_rate) > MOST_FRAMES {
            Some(format!(
                "a view is {:.1} s long, and a GPU takes 5 s at most",
                samples as f64 / f64::from(sample_rate)
            ))
        } else {
            None
        }
    }

    /// Returns the first sample of each clip in the store, and that of the first made sound.
    pub(crate) fn places(&self) -> Vec<u64> {
        let mut sum = 0;
        let mut places = vec![0];
        for clip in self.clips {
            sum += clip.len() as u64;
            places.push(sum);
        }
        places
    }

    /// Length of the transform that coloured noise comes from.
    fn noise(&self) -> usize {
        self.frontend.patch_samples().next_power_of_two().max(2)
    }

    /// Values of the scratch memory of a view.
    fn scratch(&self) -> usize {
        let samples = self.frontend.patch_samples();
        let filled = samples + 4 * time_masking::ORDER;
        self.longest
            .max(4 * self.noise())
            .max(filled)
            .next_multiple_of(64)
    }

    /// Returns the bytes of a device's memory that the recordings, the answers and `views` views take.
    pub(crate) fn bytes(&self, views: usize) -> usize {
        let samples = self.frontend.patch_samples();
        let stored = *self.places().last().expect("has a last") as usize + self.made * samples;
        let told: usize = self.told.iter().map(|(rows, _)| rows.len()).sum();
        2 * stored + 4 * told + 4 * views * (2 * samples.next_multiple_of(64) + self.scratch())
    }
}

/// The memory of a device from which views are made.
#[derive(Debug)]
pub(crate) struct DeviceViews {
    views: usize,
    samples: usize,
    plans: Address,
    store: Address,
    /// First sample of the first made sound.
    made: u64,
    work: Vec<(Launch, &'static str)>,
}

impl DeviceViews {
    /// Brings recordings and tables to the device; `views` views become `patches`, with the labels of `batch`.
    ///
    /// # Errors
    /// If the device has too little memory, or the views cannot be made there ([`ViewSource::obstacle`]).
    pub(crate) fn new(
        device: &dyn Backend,
        source: &ViewSource<'_>,
        views: usize,
        patches: Address,
        batch: &BatchAddresses,
    ) -> Result<Self> {
        ensure!(source.obstacle().is_none(), "no device makes these views");
        ensure!(
            source.told.len() == batch.lessons.len(),
            "{} teachers are brought to {} lessons",
            source.told.len(),
            batch.lessons.len()
        );
        let frontend = &source.frontend;
        let samples = frontend.patch_samples();
        let (padded, scratch, noise) = (
            samples.next_multiple_of(64),
            source.scratch(),
            source.noise(),
        );
        let vocoder = frame_length(frontend.sample_rate);
        let window = usize::from(frontend.window);
        let turns = noise.max(vocoder).max(window);
        let upload = |bytes: &[u8]| -> Result<Address> {
            let at = device.allocate(bytes.len())?;
            device.upload(at, bytes)?;
            Ok(at)
        };
        let numbers = |values: &[f32]| upload(bytemuck::cast_slice(values));
        let floats = |count: usize| device.allocate(count * Element::F32.bytes());

        let places = source.places();
        let made = *places.last().expect("has a last");
        let store = device.allocate(2 * (made as usize + source.made * samples))?;
        for (clip, place) in source.clips.iter().zip(&places) {
            let bytes = bytemuck::cast_slice(clip.values());
            device.upload(store.plus(2 * *place as usize), bytes)?;
        }
        let silence = vec![ViewWords::SILENCE; views];
        let plans = upload(bytemuck::cast_slice(&silence))?;
        let (sounds, work) = (floats(views * 2 * padded)?, floats(views * scratch)?);
        let kernels = Interpolator::new().kernels.concat();
        let turn = numbers(&table_of_turns(turns))?;
        let view_sizes = ViewSizes {
            samples: samples as i32,
            padded: padded as i32,
            scratch: scratch as i32,
            vocoder: vocoder as i32,
            noise: noise as i32,
            turns: turns as i32,
        };
        let feature_sizes = FeatureSizes {
            window: window as i32,
            hop: frontend.hop.into(),
            mels: frontend.mels.into(),
            frames: frontend.frames.into(),
            padded: padded as i32,
            turns: turns as i32,
            floor: frontend.floor,
            mean: frontend.mean,
            scale: frontend.scale,
        };
        let bands = frontend.band_tables();
        let first_bins: Vec<i32> = bands.first_bins.iter().map(|&bin| bin.into()).collect();
        let make = Launch {
            kernel: "make_views",
            element: Element::F32,
            columns: views,
            rows: 1,
            arguments: vec![
                plans.into(),
                store.into(),
                numbers(&frame_window(vocoder))?.into(),
                numbers(&kernels)?.into(),
                turn.into(),
                sounds.into(),
                work.into(),
                batch.labels.into(),
                batch.parameters.into(),
                batch.snr.into(),
                upload(bytemuck::bytes_of(&view_sizes))?.into(),
            ],
        };
        let features = Launch {
            kernel: "log_mel",
            element: Element::F32,
            columns: views,
            rows: FEATURE_BLOCKS,
            arguments: vec![
                sounds.into(),
                patches.into(),
                numbers(&hann(window))?.into(),
                turn.into(),
                upload(bytemuck::cast_slice(&first_bins))?.into(),
                numbers(bands.slopes.as_flattened())?.into(),
                upload(bytemuck::bytes_of(&feature_sizes))?.into(),
            ],
        };
        let mut launches = vec![(make, "make_views"), (features, "log_mel")];
        for (&(rows, dim), &(targets, counted)) in source.told.iter().zip(&batch.lessons) {
            let arguments: [Argument; 6] = [
                plans.into(),
                numbers(rows)?.into(),
                targets.into(),
                counted.into(),
                views.into(),
                dim.into(),
            ];
            let launch = Launch {
                kernel: "lesson_rows",
                element: Element::F32,
                columns: blocks(views * dim),
                rows: 1,
                arguments: arguments.to_vec(),
            };
            launches.push((launch, "lesson_rows"));
        }
        Ok(Self {
            views,
            samples,
            plans,
            store,
            made,
            work: launches,
        })
    }

    /// Returns what makes the patches of the views that were brought last.
    pub(crate) fn work(&self) -> impl Iterator<Item = Work> {
        let launches = self.work.iter().cloned();
        launches.map(|(launch, name)| Work::new(name, move |device| device.launch(&launch)))
    }

    /// Brings sounds that were made, each with its place, and then the views of a step.
    ///
    /// # Errors
    /// If there are other numbers of them than of views, or the device fails.
    pub(crate) fn bring(
        &self,
        device: &dyn Backend,
        views: &[ViewWords],
        made: &[(usize, Samples)],
    ) -> Result<()> {
        ensure!(
            views.len() == self.views,
            "{} views are brought to a step of {}",
            views.len(),
            self.views
        );
        for (place, sound) in made {
            let at = self.made as usize + place * self.samples;
            device.upload(
                self.store.plus(2 * at),
                bytemuck::cast_slice(sound.values()),
            )?;
        }
        device.upload(self.plans, bytemuck::cast_slice(views))
    }
}

/// `exp(-2 pi i k / count)`, real and imaginary parts in turn.
fn table_of_turns(count: usize) -> Vec<f32> {
    (0..count)
        .flat_map(|k| {
            let angle = -std::f64::consts::TAU * k as f64 / count as f64;
            [angle.cos() as f32, angle.sin() as f32]
        })
        .collect()
}

/// The periodic Hann window of the features.
fn hann(length: usize) -> Vec<f32> {
    (0..length)
        .map(|n| {
            let sine = (std::f64::consts::PI * n as f64 / length as f64).sin();
            (sine * sine) as f32
        })
        .collect()
}
