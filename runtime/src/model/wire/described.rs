//! The records of what describes a model: parts, frontend, cohort, signature.

use super::field::{cohort, form, frontend, part, signature};
use crate::frontend::{
    BandNorm, FloorRule, Framing, FrontendConfig, FrontendForm, MelScale, Spectrum,
};
use crate::space::PART_NAME_BYTES;

/// A part's record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartRecord {
    /// Tensor that holds the values.
    pub tensor: u16,
    /// Number of values.
    pub values: u16,
    /// Share in the similarity.
    pub share: f32,
    /// Bytes of the name.
    pub name_len: u8,
    /// Name, UTF-8, filled up with zeros.
    pub name: [u8; PART_NAME_BYTES],
}

impl PartRecord {
    /// Bytes of a record.
    pub const LEN: usize = part::LEN;

    /// Describes a part. `None` if the name is longer than [`PART_NAME_BYTES`].
    pub fn new(name: &str, tensor: u16, values: u16, share: f32) -> Option<Self> {
        let mut filled = [0; PART_NAME_BYTES];
        filled
            .get_mut(..name.len())?
            .copy_from_slice(name.as_bytes());
        Some(Self {
            tensor,
            values,
            share,
            name_len: name.len() as u8,
            name: filled,
        })
    }

    /// Reads a record, whatever its reserved field is.
    pub fn read(record: &[u8; part::LEN]) -> Self {
        Self {
            tensor: part::TENSOR.get(record),
            values: part::VALUES.get(record),
            share: part::SHARE.get(record),
            name_len: part::NAME_LEN.get(record),
            name: part::NAME.get(record),
        }
    }

    /// Finds the name in a record's bytes. `None` if it is too long or not UTF-8.
    pub fn name_in(record: &[u8; part::LEN]) -> Option<&str> {
        let end = part::NAME_AT + usize::from(part::NAME_LEN.get(record));
        core::str::from_utf8(record.get(part::NAME_AT..end)?).ok()
    }

    /// Writes the record.
    pub fn emit(&self) -> [u8; part::LEN] {
        let mut record = [0; part::LEN];
        part::TENSOR.set(&mut record, self.tensor);
        part::VALUES.set(&mut record, self.values);
        part::SHARE.set(&mut record, self.share);
        part::NAME_LEN.set(&mut record, self.name_len);
        part::NAME.set(&mut record, self.name);
        record
    }
}

/// Reads the frontend section, of a frontend of the plain form.
pub fn read_frontend(record: &[u8; frontend::LEN]) -> FrontendConfig {
    FrontendConfig {
        sample_rate: frontend::SAMPLE_RATE.get(record),
        window: frontend::WINDOW.get(record),
        hop: frontend::HOP.get(record),
        mels: frontend::MELS.get(record),
        frames: frontend::FRAMES.get(record),
        f_min: frontend::F_MIN.get(record),
        f_max: frontend::F_MAX.get(record),
        floor: frontend::FLOOR.get(record),
        mean: frontend::MEAN.get(record),
        scale: frontend::SCALE.get(record),
        form: FrontendForm::PLAIN,
    }
}

/// Reads the section of a frontend's form. `None` if it holds a number that is not known.
pub fn read_form(record: &[u8; form::LEN]) -> Option<FrontendForm> {
    let transform = form::TRANSFORM.get(record);
    Some(FrontendForm {
        transform: (transform > 0).then_some(transform),
        spectrum: Spectrum::from_number(form::SPECTRUM.get(record))?,
        mel_scale: MelScale::from_number(form::MEL_SCALE.get(record))?,
        band_norm: BandNorm::from_number(form::BAND_NORM.get(record))?,
        floor_rule: FloorRule::from_number(form::FLOOR_RULE.get(record))?,
        framing: Framing::from_number(form::FRAMING.get(record))?,
    })
}

/// Writes the section of a frontend's form.
pub fn emit_form(of: &FrontendForm) -> [u8; form::LEN] {
    let mut record = [0; form::LEN];
    form::TRANSFORM.set(&mut record, of.transform.unwrap_or(0));
    form::SPECTRUM.set(&mut record, of.spectrum as u8);
    form::MEL_SCALE.set(&mut record, of.mel_scale as u8);
    form::BAND_NORM.set(&mut record, of.band_norm as u8);
    form::FLOOR_RULE.set(&mut record, of.floor_rule as u8);
    form::FRAMING.set(&mut record, of.framing as u8);
    record
}

/// Writes the frontend section.
pub fn emit_frontend(config: &FrontendConfig) -> [u8; frontend::LEN] {
    let mut record = [0; frontend::LEN];
    frontend::SAMPLE_RATE.set(&mut record, config.sample_rate);
    frontend::WINDOW.set(&mut record, config.window);
    frontend::HOP.set(&mut record, config.hop);
    frontend::MELS.set(&mut record, config.mels);
    frontend::FRAMES.set(&mut record, config.frames);
    frontend::F_MIN.set(&mut record, config.f_min);
    frontend::F_MAX.set(&mut record, config.f_max);
    frontend::FLOOR.set(&mut record, config.floor);
    frontend::MEAN.set(&mut record, config.mean);
    frontend::SCALE.set(&mut record, config.scale);
    record
}

/// The first bytes of the cohort section. The directions follow, int8, one after the other, then their
/// rows of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CohortHeader {
    /// Number of directions.
    pub count: u16,
    /// Values of a direction.
    pub dim: u16,
    /// Weights of a direction: as many as there are parts, or 0.
    pub parts: u16,
}

impl CohortHeader {
    /// Bytes of the header.
    pub const LEN: usize = cohort::LEN;

    /// Reads the header, whatever its reserved field is.
    pub fn read(record: &[u8; cohort::LEN]) -> Self {
        Self {
            count: cohort::COUNT.get(record),
            dim: cohort::DIM.get(record),
            parts: cohort::PARTS.get(record),
        }
    }

    /// Writes the header.
    pub fn emit(&self) -> [u8; cohort::LEN] {
        let mut record = [0; cohort::LEN];
        cohort::COUNT.set(&mut record, self.count);
        cohort::DIM.set(&mut record, self.dim);
        cohort::PARTS.set(&mut record, self.parts);
        record
    }
}

/// The signature section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureRecord {
    /// Which key signed.
    pub key_id: [u8; 8],
    /// Ed25519 signature of the hash of the contents.
    pub signature: [u8; 64],
}

impl SignatureRecord {
    /// Bytes of the section.
    pub const LEN: usize = signature::LEN;

    /// Reads the section.
    pub fn read(record: &[u8; signature::LEN]) -> Self {
        Self {
            key_id: signature::KEY_ID.get(record),
            signature: signature::SIGNATURE.get(record),
        }
    }

    /// Writes the section.
    pub fn emit(&self) -> [u8; signature::LEN] {
        let mut record = [0; signature::LEN];
        signature::KEY_ID.set(&mut record, self.key_id);
        signature::SIGNATURE.set(&mut record, self.signature);
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_written() {
        let part = PartRecord::new("invariant", 1, 2, 0.5).unwrap();
        assert_eq!(PartRecord::read(&part.emit()), part);
        assert_eq!(PartRecord::name_in(&part.emit()), Some("invariant"));
        let long = "x".repeat(33);
        assert_eq!(PartRecord::new(&long, 1, 2, 0.5), None);
        let mut record = part.emit();
        crate::model::wire::field::part::NAME_LEN.set(&mut record, 33);
        assert_eq!(PartRecord::name_in(&record), None);

        let config = FrontendConfig {
            sample_rate: 1,
            window: 2,
            hop: 3,
            mels: 4,
            frames: 5,
            f_min: 6.0,
            f_max: 7.0,
            floor: 8.0,
            mean: 9.0,
            scale: 10.0,
            form: FrontendForm::PLAIN,
        };
        assert_eq!(read_frontend(&emit_frontend(&config)), config);
        let foreign = FrontendForm {
            transform: Some(512),
            spectrum: Spectrum::Magnitude,
            mel_scale: MelScale::Slaney,
            band_norm: BandNorm::Area,
            floor_rule: FloorRule::Least,
            framing: Framing::Centre,
        };
        for of in [FrontendForm::PLAIN, foreign] {
            assert_eq!(read_form(&emit_form(&of)), Some(of));
        }
        let mut record = emit_form(&foreign);
        form::MEL_SCALE.set(&mut record, 2);
        assert_eq!(read_form(&record), None);
        let cohort = CohortHeader {
            count: 1,
            dim: 2,
            parts: 3,
        };
        assert_eq!(CohortHeader::read(&cohort.emit()), cohort);
        let signature = SignatureRecord {
            key_id: [1; 8],
            signature: [2; 64],
        };
        assert_eq!(SignatureRecord::read(&signature.emit()), signature);
    }
}
