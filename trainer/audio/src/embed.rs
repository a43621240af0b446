//! Embeds recordings as they are decoded.

use super::error::AudioError;
use super::reader::Reader;
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip::{ClipEmbedder, ClipError, Levels};

/// Explains why a recording could not be embedded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError<E: std::error::Error + 'static> {
    /// The recording cannot be read.
    #[error(transparent)]
    Audio(AudioError),
    /// The features or the backbone failed.
    #[error(transparent)]
    Clip(ClipError<E>),
}

/// Embeds the recording that `reader` gives, at the rate of `backbone`'s features, and measures its
/// levels, in memory that does not grow with the recording. The result is that of
/// [`embed_clip`](mtslvr_runtime::clip::embed_clip) on all its samples, bit for bit.
///
/// # Errors
/// If the recording cannot be read to its end, the parameters of the features are out of their range,
/// or the backbone fails.
pub fn embed<B: Backbone>(
    backbone: &mut B,
    reader: Reader,
) -> Result<(Vec<f32>, Levels), EmbedError<B::Error>> {
    let (config, dim) = {
        let space = backbone.space();
        (*space.frontend(), space.dim())
    };
    let mut buffer = vec![0.0; ClipEmbedder::buffer_len(&config, dim)];
    let clip = ClipEmbedder::new(config, &mut buffer);
    let mut clip = clip.map_err(|error| EmbedError::Clip(error.into()))?;
    for piece in reader {
        let piece = piece.map_err(EmbedError::Audio)?;
        clip.push(backbone, &piece).map_err(EmbedError::Clip)?;
    }
    let levels = *clip.levels();
    let mut embedding = vec![0.0; dim];
    clip.finish(backbone, &mut embedding)
        .map_err(EmbedError::Clip)?;
    Ok((embedding, levels))
}
