//! A frontend as text: lines `key = value`, a subset of TOML.
//!
//! The metadata entry `mtslvr.frontend` and a frontend file given by hand for a foreign model are one format:
//!
//! ```toml
//! sample_rate = 16000   # Hz
//! window = 512          # samples, power of two
//! hop = 256             # samples
//! mels = 40
//! frames = 61           # of a patch
//! f_min = 60            # Hz
//! f_max = 7800          # Hz
//! floor = 1e-6          # added to the mel power before the logarithm
//! mean = -6.5           # subtracted from the log-mel value ...
//! scale = 0.25          # ... which is then multiplied by this
//! layout = "time-mel"   # order of the patch's axes in the ONNX input; or "mel-time"
//! # What follows may be left out, and says then:
//! log = "ln"            # or "log10", or "db": ten times that, twenty times of magnitudes
//! transform = 512       # length of the transform; as long as the window
//! spectrum = "power"    # or "magnitude"
//! mel_scale = "htk"     # or "slaney"
//! band_norm = "peak"    # or "area"
//! floor_rule = "added"  # or "least": what is below the floor is raised to it
//! framing = "begin"     # or "centre"
//! patch_mean = "none"   # or "patch", or "band": that mean of the patch is subtracted
//! band_mean = [0, 0.5]  # then a number for each band is subtracted ...
//! band_scale = [1, 2]   # ... and the result multiplied by another
//! ```

use super::{MetadataError, number};
use crate::builder::OwnedPatchNorm;
use core::f64::consts::LN_10;
use core::fmt::Write;
use mtslvr_runtime::frontend::{
    BandNorm, FloorRule, Framing, FrontendConfig, FrontendForm, MelScale, PatchMean, Spectrum,
};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Keys that every description has, in the order in which they are written.
const NEEDED: [&str; 10] = [
    "sample_rate",
    "window",
    "hop",
    "mels",
    "frames",
    "f_min",
    "f_max",
    "floor",
    "mean",
    "scale",
];
/// Keys that may be left out.
const OPTIONAL: [&str; 11] = [
    "layout",
    "log",
    "transform",
    "spectrum",
    "mel_scale",
    "band_norm",
    "floor_rule",
    "framing",
    "patch_mean",
    "band_mean",
    "band_scale",
];

/// Returns the known keys, for a message.
pub(super) fn known() -> String {
    [&NEEDED[..], &OPTIONAL[..]].concat().join(", ")
}

/// Order of the two axes of a patch in an ONNX graph's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `[batch, 1, frames, mels]`, what this project exports.
    #[default]
    TimeMel,
    /// `[batch, 1, mels, frames]`, the usual order of spectrogram images.
    MelTime,
}

impl Layout {
    const ALL: [Self; 2] = [Self::TimeMel, Self::MelTime];

    fn name(self) -> &'static str {
        match self {
            Self::TimeMel => "time-mel",
            Self::MelTime => "mel-time",
        }
    }
}

/// Logarithm of a description. A packed model knows the natural one only, and has another mean and scale.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    Natural,
    Ten,
    Decibel,
}

impl Log {
    const ALL: [Self; 3] = [Self::Natural, Self::Ten, Self::Decibel];

    fn name(self) -> &'static str {
        match self {
            Self::Natural => "ln",
            Self::Ten => "log10",
            Self::Decibel => "db",
        }
    }

    /// Returns what a natural logarithm is multiplied by to be this one.
    fn factor(self, spectrum: Spectrum) -> f64 {
        match (self, spectrum) {
            (Self::Natural, _) => 1.0,
            (Self::Ten, _) => LN_10.recip(),
            (Self::Decibel, Spectrum::Power) => 10.0 / LN_10,
            (Self::Decibel, Spectrum::Magnitude) => 20.0 / LN_10,
        }
    }
}

/// The frontend's parameters and the layout of the graph's input.
#[derive(Clone, Debug, PartialEq)]
pub struct FrontendDescription {
    /// Parameters of the features.
    pub config: FrontendConfig,
    /// Order of the patch's axes in the graph's input.
    pub layout: Layout,
    /// Norm of a patch of the features before the network reads it, if there is one.
    pub norm: Option<OwnedPatchNorm>,
}

/// The lines of a description.
struct Lines<'t>(BTreeMap<&'static str, Cow<'t, str>>);

impl<'t> Lines<'t> {
    fn read(text: &'t str) -> Result<Self, MetadataError> {
        let mut values = BTreeMap::new();
        let mut lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim())
            .filter(|line| !line.is_empty() && *line != "[frontend]");
        while let Some(line) = lines.next() {
            let (key, value) = line
                .split_once('=')
                .ok_or_else(|| MetadataError::Line(line.to_owned()))?;
            let key = key.trim();
            let known = NEEDED.into_iter().chain(OPTIONAL).find(|it| *it == key);
            let known = known.ok_or_else(|| MetadataError::UnknownKey(key.to_owned()))?;
            let mut value = Cow::Borrowed(value.trim().trim_matches(['"', '\'']));
            // A list may go over several lines.
            while value.starts_with('[') && !value.ends_with(']') {
                let more = lines.next();
                let more = more.ok_or_else(|| MetadataError::Line(line.to_owned()))?;
                value.to_mut().push_str(more);
            }
            values.insert(known, value);
        }
        Ok(Self(values))
    }

    fn needed(&self, key: &'static str) -> Result<&str, MetadataError> {
        self.0
            .get(key)
            .map(|value| &**value)
            .ok_or(MetadataError::MissingKey(key))
    }

    fn whole(&self, key: &'static str) -> Result<u16, MetadataError> {
        number(key, self.needed(key)?, "a whole number")
    }

    fn real(&self, key: &'static str) -> Result<f32, MetadataError> {
        number(key, self.needed(key)?, "a number")
    }

    /// Returns the choice that a key names, and the first one where the key is not there.
    fn choice<T: Copy>(
        &self,
        key: &'static str,
        all: &[T],
        name: fn(T) -> &'static str,
    ) -> Result<T, MetadataError> {
        let Some(found) = self.0.get(key) else {
            return Ok(all[0]);
        };
        let chosen = all.iter().copied().find(|&choice| name(choice) == found);
        chosen.ok_or_else(|| {
            let names: Vec<String> = all.iter().map(|&it| format!("\"{}\"", name(it))).collect();
            MetadataError::Value {
                key: key.to_owned(),
                found: found.to_string(),
                expected: names.join(" or "),
            }
        })
    }

    /// Returns a list of a number for each of `mels` bands; `None` where the key is not there.
    fn bands(&self, key: &'static str, mels: usize) -> Result<Option<Vec<f32>>, MetadataError> {
        let Some(found) = self.0.get(key) else {
            return Ok(None);
        };
        let wrong = |found: String| MetadataError::Value {
            key: key.to_owned(),
            found,
            expected: format!("a list of {mels} numbers, one for each band: [0.1, 0.2, ...]"),
        };
        let inside = found.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let inside = inside.ok_or_else(|| wrong(found.to_string()))?;
        let values = inside.trim().trim_end_matches(',').split(',');
        let values = values
            .map(|value| number(key, value.trim(), "a list of numbers"))
            .collect::<Result<Vec<f32>, _>>()?;
        match values.len() == mels {
            true => Ok(Some(values)),
            false => Err(wrong(format!("a list of {}", values.len()))),
        }
    }

    fn norm(&self, mels: usize) -> Result<Option<OwnedPatchNorm>, MetadataError> {
        let mean = self.choice("patch_mean", &PatchMean::ALL, PatchMean::name)?;
        let means = self.bands("band_mean", mels)?;
        let scales = self.bands("band_scale", mels)?;
        if mean == PatchMean::None && means.is_none() && scales.is_none() {
            return Ok(None);
        }
        let bands = match (&means, &scales) {
            (None, None) => Vec::new(),
            _ => {
                let means = means.unwrap_or_else(|| vec![0.0; mels]);
                let scales = scales.unwrap_or_else(|| vec![1.0; mels]);
                means
                    .into_iter()
                    .zip(scales)
                    .map(<[f32; 2]>::from)
                    .collect()
            }
        };
        let norm = OwnedPatchNorm { mean, bands };
        match norm.as_norm().fits(mels) {
            true => Ok(Some(norm)),
            false => Err(MetadataError::Value {
                key: "band_mean` or `band_scale".to_owned(),
                found: "out of range".to_owned(),
                expected: "numbers from -1e4 to 1e4, a scale not 0".to_owned(),
            }),
        }
    }

    fn form(&self) -> Result<FrontendForm, MetadataError> {
        let transform = match self.0.contains_key("transform") {
            true => Some(self.whole("transform")?),
            false => None,
        };
        Ok(FrontendForm {
            transform,
            spectrum: self.choice("spectrum", Spectrum::ALL, Spectrum::name)?,
            mel_scale: self.choice("mel_scale", MelScale::ALL, MelScale::name)?,
            band_norm: self.choice("band_norm", BandNorm::ALL, BandNorm::name)?,
            floor_rule: self.choice("floor_rule", FloorRule::ALL, FloorRule::name)?,
            framing: self.choice("framing", Framing::ALL, Framing::name)?,
        })
    }
}

impl FrontendDescription {
    /// Describes features in this project's own layout, which are not normalised further.
    pub fn plain(config: FrontendConfig) -> Self {
        Self {
            config,
            layout: Layout::TimeMel,
            norm: None,
        }
    }

    /// Reads a description.
    ///
    /// # Errors
    /// [`MetadataError`] if a line is not `key = value`, a key is unknown or missing, a value is not of its
    /// key's kind, or the values together are no usable front end.
    pub fn parse(text: &str) -> Result<Self, MetadataError> {
        let lines = Lines::read(text)?;
        let form = lines.form()?;
        let factor = lines
            .choice("log", &Log::ALL, Log::name)?
            .factor(form.spectrum);
        let sample_rate = lines.needed("sample_rate")?;
        let config = FrontendConfig {
            sample_rate: number("sample_rate", sample_rate, "a whole number")?,
            window: lines.whole("window")?,
            hop: lines.whole("hop")?,
            mels: lines.whole("mels")?,
            frames: lines.whole("frames")?,
            f_min: lines.real("f_min")?,
            f_max: lines.real("f_max")?,
            floor: lines.real("floor")?,
            // (factor * ln x - mean) * scale = (ln x - mean / factor) * (scale * factor)
            mean: (f64::from(lines.real("mean")?) / factor) as f32,
            scale: (f64::from(lines.real("scale")?) * factor) as f32,
            form,
        };
        config.validate().map_err(MetadataError::Frontend)?;
        let layout = lines.choice("layout", &Layout::ALL, Layout::name)?;
        let norm = lines.norm(config.mels.into())?;
        Ok(Self {
            config,
            layout,
            norm,
        })
    }

    /// Returns the text that [`Self::parse`] reads back to the same bits.
    pub fn write(&self) -> String {
        let c = &self.config;
        let mut text = String::new();
        let mut line = |key: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key} = {value}");
        };
        for (key, value) in NEEDED.iter().zip([
            c.sample_rate.to_string(),
            c.window.to_string(),
            c.hop.to_string(),
            c.mels.to_string(),
            c.frames.to_string(),
            // `Debug` of a float is the shortest text that reads back to the same bits.
            format!("{:?}", c.f_min),
            format!("{:?}", c.f_max),
            format!("{:?}", c.floor),
            format!("{:?}", c.mean),
            format!("{:?}", c.scale),
        ]) {
            line(key, value);
        }
        line("layout", format!("\"{}\"", self.layout.name()));
        if let Some(len) = c.form.transform {
            line("transform", len.to_string());
        }
        let (form, plain) = (choices(&c.form), choices(&FrontendForm::PLAIN));
        for ((key, name), (_, plain)) in form.into_iter().zip(plain) {
            if name != plain {
                line(key, format!("\"{name}\""));
            }
        }
        if let Some(norm) = &self.norm {
            line("patch_mean", format!("\"{}\"", norm.mean.name()));
            for (at, key) in ["band_mean", "band_scale"].into_iter().enumerate() {
                if !norm.bands.is_empty() {
                    let values: Vec<f32> = norm.bands.iter().map(|band| band[at]).collect();
                    line(key, format!("{values:?}"));
                }
            }
        }
        text
    }
}

/// Returns the choices of a form as keys and names.
fn choices(form: &FrontendForm) -> [(&'static str, &'static str); 5] {
    [
        ("spectrum", form.spectrum.name()),
        ("mel_scale", form.mel_scale.name()),
        ("band_norm", form.band_norm.name()),
        ("floor_rule", form.floor_rule.name()),
        ("framing", form.framing.name()),
    ]
}

#[cfg(test)]
pub(super) mod tests;
