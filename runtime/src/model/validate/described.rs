//! Checks the sections beside the network: frontend, parts, statistics, texts.

use crate::fewshot::is_direction;
use crate::frontend::{FrontendConfig, FrontendConfigError, PatchMean, PatchNorm};
use crate::model::cohort::Cohort;
use crate::model::error::OpenError;
use crate::model::sections::Sections;
use crate::model::view::{Model, read_reference};
use crate::model::wire::{CohortHeader, PartRecord, SectionKind, field, read_form, read_frontend};
use crate::space::PartsError;

/// Reads the frontend, whose parameters must make one.
pub(super) fn frontend(sections: &Sections<'_>) -> Result<FrontendConfig, OpenError> {
    let kind = SectionKind::Frontend;
    let record = fixed(sections, kind)?.ok_or(OpenError::MissingSection(kind))?;
    let mut config = read_frontend(record);
    if let Some(record) = fixed(sections, SectionKind::FrontendForm)? {
        if field::form::RESERVED.get(record) != [0; 9] {
            return Err(OpenError::Reserved);
        }
        let form = read_form(record).ok_or(FrontendConfigError::Form);
        config.form = form.map_err(OpenError::Frontend)?;
    }
    config.validate().map_err(OpenError::Frontend)?;
    Ok(config)
}

/// Takes what is done to a patch, if the file says that anything is.
pub(super) fn patch_norm<'a>(
    sections: &Sections<'a>,
    frontend: &FrontendConfig,
) -> Result<Option<PatchNorm<'a>>, OpenError> {
    let kind = SectionKind::PatchNorm;
    let Some(section) = sections.optional(kind) else {
        return Ok(None);
    };
    let (record, bands) = section
        .split_first_chunk::<{ field::patch_norm::LEN }>()
        .ok_or(OpenError::SectionLen(kind))?;
    if field::patch_norm::RESERVED.get(record) != [0; 15] {
        return Err(OpenError::Reserved);
    }
    let mean = PatchMean::from_number(field::patch_norm::MEAN.get(record));
    let norm = PatchNorm {
        mean: mean.ok_or(OpenError::PatchNorm)?,
        bands: bytemuck::try_cast_slice(bands).map_err(|_| OpenError::SectionLen(kind))?,
    };
    match norm.fits(frontend.mels.into()) {
        true => Ok(Some(norm)),
        false => Err(OpenError::PatchNorm),
    }
}

/// Takes a section of a fixed length, if the file has it.
pub(super) fn fixed<'a, const LEN: usize>(
    sections: &Sections<'a>,
    kind: SectionKind,
) -> Result<Option<&'a [u8; LEN]>, OpenError> {
    let Some(section) = sections.optional(kind) else {
        return Ok(None);
    };
    let record = section.try_into();
    record.map(Some).map_err(|_| OpenError::SectionLen(kind))
}

/// Takes a section of text; empty where the file has none.
pub(super) fn text<'a>(sections: &Sections<'a>, kind: SectionKind) -> Result<&'a str, OpenError> {
    let bytes = sections.optional(kind).unwrap_or(&[]);
    core::str::from_utf8(bytes).map_err(|_| OpenError::Text)
}

/// Takes the base mean, of any length.
pub(super) fn base_mean<'a>(sections: &Sections<'a>) -> Result<&'a [f32], OpenError> {
    let kind = SectionKind::BaseMean;
    let bytes = sections.required(kind)?;
    bytemuck::try_cast_slice(bytes).map_err(|_| OpenError::SectionLen(kind))
}

/// Takes the records of parts, as many as there are.
pub(super) fn part_records<'a>(
    sections: &Sections<'a>,
) -> Result<&'a [[u8; PartRecord::LEN]], OpenError> {
    let kind = SectionKind::Parts;
    match sections.required(kind)?.as_chunks() {
        (records, []) => Ok(records),
        _ => Err(OpenError::SectionLen(kind)),
    }
}

/// Takes the cohort, if the file has one.
pub(super) fn cohort<'a>(sections: &Sections<'a>) -> Result<Option<Cohort<'a>>, OpenError> {
    let kind = SectionKind::Cohort;
    let Some(section) = sections.optional(kind) else {
        return Ok(None);
    };
    let (record, contents) = section
        .split_first_chunk()
        .ok_or(OpenError::SectionLen(kind))?;
    if field::cohort::RESERVED.get(record) != [0; 10] {
        return Err(OpenError::Reserved);
    }
    let header = CohortHeader::read(record);
    let (dim, parts) = (usize::from(header.dim), usize::from(header.parts));
    let len = usize::from(header.count).saturating_mul(dim);
    let (directions, weights) = contents
        .split_at_checked(len)
        .ok_or(OpenError::SectionLen(kind))?;
    let cohort = Cohort::new(bytemuck::cast_slice(directions), dim);
    let cohort = cohort.ok_or(OpenError::SectionLen(kind))?;
    if parts == 0 && weights.is_empty() {
        return Ok(Some(cohort));
    }
    if weights.len() != cohort.len() * parts {
        return Err(OpenError::SectionLen(kind));
    }
    let weighted = cohort.with_weights(weights, parts);
    weighted.map(Some).ok_or(OpenError::Statistics)
}

/// Checks that the parts describe an embedding, and that each is as long as the tensor that holds it.
pub(super) fn check_parts(model: &Model<'_>) -> Result<(), OpenError> {
    for (index, record) in model.parts.iter().enumerate() {
        if field::part::RESERVED.get(record) != [0; 7] {
            return Err(OpenError::Reserved);
        }
        // Zero behind the name, so that equal parts have equal records.
        let name = field::part::NAME.get(record);
        let filling = name.get(field::part::NAME_LEN.get(record).into()..);
        if filling.is_none_or(|filling| filling.iter().any(|&byte| byte != 0)) {
            return Err(OpenError::Parts(PartsError::Name));
        }
        let tensor = model.tensor(field::part::TENSOR.get(record).into());
        let values = usize::from(field::part::VALUES.get(record));
        if tensor.is_none_or(|tensor| tensor.shape.len() != values) {
            return Err(OpenError::PartTensor { part: index as u16 });
        }
    }
    model.read_parts().map(drop).map_err(OpenError::Parts)
}

/// Checks that the statistics of embeddings are as long as an embedding, finite, in range and in
/// order.
pub(super) fn check_statistics(model: &Model<'_>) -> Result<(), OpenError> {
    let dim = model.parts().dim();
    if model.base_mean.len() != dim {
        return Err(OpenError::SectionLen(SectionKind::BaseMean));
    }
    let parts = model.parts.len();
    let misfit = |cohort: Cohort<'_>| {
        let weights = cohort.weights_of(0).len();
        cohort.dim() != dim || weights != 0 && weights != parts
    };
    if model.cohort.is_some_and(misfit) {
        return Err(OpenError::SectionLen(SectionKind::Cohort));
    }
    // Checked after the length, so that a part is never looked for beyond a direction's end.
    let parts = model.parts();
    let mut directions = model.cohort.iter().flat_map(Cohort::iter);
    if !directions.all(|direction| is_direction(direction, &parts)) {
        return Err(OpenError::Statistics);
    }
    let finite = model.base_mean.iter().all(|mean| mean.is_finite());
    let reference = model.reference.map(read_reference);
    if !finite || reference.is_some_and(|reference| reference.is_none()) {
        return Err(OpenError::Statistics);
    }
    Ok(())
}
