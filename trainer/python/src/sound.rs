//! Sounds as Python gives them: paths of recordings, or samples in arrays of NumPy.

use crate::error::Error;
use anyhow::{Context, Result};
use mtslvr_audio::{AudioError, MAX_MAGNITUDE, Reader, load, resample};
use mtslvr_listen::capture::Take;
use mtslvr_listen::profile::{Recording, SourceClip};
use mtslvr_pack::OpenedBackbone;
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip::embed_clip;
use numpy::{PyReadonlyArray1, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

/// Rates of samples that are converted, Hz.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// A sound.
#[derive(Debug)]
pub enum Sound {
    /// A recording.
    File(PathBuf),
    /// Samples of one channel, full scale at 1, and their rate in Hz.
    Samples(Vec<f32>, u32),
}

impl Sound {
    /// Takes a path or an array; `rate` belongs to an array.
    pub fn new(sound: &Bound<'_, PyAny>, rate: Option<u32>) -> PyResult<Self> {
        if let Ok(path) = sound.extract::<PathBuf>() {
            if let Some(rate) = rate {
                return Err(Error::new_err(format!(
                    "{}: rate={rate} is given beside a path; a recording states its own rate, so leave rate out",
                    path.display()
                )));
            }
            return Ok(Self::File(path));
        }
        let samples = samples(sound)?;
        let Some(rate) = rate else {
            return Err(Error::new_err(
                "samples are given without their rate; expected rate=HZ, such as rate=16000",
            ));
        };
        Ok(Self::Samples(samples, checked_rate(rate)?))
    }

    /// Returns all samples at `rate` Hz.
    pub fn samples(&self, rate: u32) -> Result<Cow<'_, [f32]>, AudioError> {
        Ok(match self {
            Self::File(path) => load(path, rate)?.into(),
            Self::Samples(samples, own) if *own == rate => samples.into(),
            Self::Samples(samples, own) => resample(samples, *own, rate).into(),
        })
    }

    /// Embeds all of it, a recording in memory that does not grow with it.
    pub fn embed(&self, engine: &mut OpenedBackbone) -> Result<Vec<f32>> {
        let rate = engine.space().frontend().sample_rate;
        match self {
            Self::File(path) => Ok(mtslvr_audio::embed(engine, Reader::open(path, rate)?)?.0),
            Self::Samples(..) => {
                embed_clip(engine, &self.samples(rate)?).with_context(|| self.to_string())
            }
        }
    }

    /// Measures and embeds its main sound, or all of it if it is used `whole`.
    pub fn recording(&self, engine: &mut OpenedBackbone, whole: bool) -> Result<Recording> {
        let frontend = *engine.space().frontend();
        let rate = frontend.sample_rate;
        Ok(match self {
            Self::File(path) if whole => Recording::read(engine, Reader::open(path, rate)?)?,
            _ if whole => {
                Recording::new(engine, &self.samples(rate)?).with_context(|| self.to_string())?
            }
            _ => {
                let samples = self.samples(rate)?;
                let take = Take::new(&samples, &frontend)?;
                Recording::of_main_sound(engine, &samples, &take)
                    .with_context(|| self.to_string())?
            }
        })
    }

    /// Describes the recording that an example was made of, for the list beside a profile.
    pub fn source(&self, recording: &Recording) -> Option<SourceClip> {
        match self {
            Self::File(path) => SourceClip::of(path).ok()?.with_cut_of(recording),
            Self::Samples(..) => None,
        }
    }
}

/// Names it in messages.
impl fmt::Display for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Samples(samples, rate) => {
                write!(f, "an array of {} samples at {rate} Hz", samples.len())
            }
        }
    }
}

/// Checks a rate.
pub fn checked_rate(rate: u32) -> PyResult<u32> {
    if RATES.contains(&rate) {
        return Ok(rate);
    }
    let (least, most) = (RATES.start(), RATES.end());
    Err(Error::new_err(format!(
        "rate={rate}: expected {least} to {most} Hz"
    )))
}

/// Takes the samples of an array of one channel.
pub fn samples(array: &Bound<'_, PyAny>) -> PyResult<Vec<f32>> {
    let found = array.cast::<PyUntypedArray>().map_err(|_| {
        let kind = array.get_type();
        PyTypeError::new_err(format!(
            "a sound is of type {kind}; expected a path (str or os.PathLike) or a NumPy array of float32"
        ))
    })?;
    if found.ndim() != 1 {
        return Err(Error::new_err(format!(
            "the samples are an array of {} dimensions; expected one, [samples]: of stereo, take one channel or the \
             mean of both",
            found.ndim()
        )));
    }
    let samples: Vec<f32> = if let Ok(array) = array.extract::<PyReadonlyArray1<'_, f32>>() {
        array.as_array().to_vec()
    } else if let Ok(array) = array.extract::<PyReadonlyArray1<'_, f64>>() {
        array
            .as_array()
            .iter()
            .map(|&sample| sample as f32)
            .collect()
    } else {
        return Err(PyTypeError::new_err(format!(
            "the samples are {}; expected float32 with full scale at 1 (divide int16 by 32768)",
            found.dtype()
        )));
    };
    // Written so that a NaN fails too.
    let valid = |sample: &f32| sample.abs() <= MAX_MAGNITUDE;
    match samples.iter().position(|sample| !valid(sample)) {
        None => Ok(samples),
        Some(index) => Err(Error::new_err(format!(
            "sample {index} is {}; expected numbers with full scale at 1, and none beyond {MAX_MAGNITUDE}",
            samples[index]
        ))),
    }
}
