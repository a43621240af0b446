//! Names codecs in messages.

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known as id;

/// Names the codec of a track, and the profile of AAC.
pub(super) fn name(parameters: &AudioCodecParameters) -> String {
    let name = match parameters.codec {
        id::CODEC_ID_AAC => return aac_profile(parameters.extra_data.as_deref()),
        id::CODEC_ID_AC3 => "AC-3",
        id::CODEC_ID_EAC3 => "E-AC-3",
        id::CODEC_ID_AC4 => "AC-4",
        id::CODEC_ID_ADPCM_G722 => "G.722",
        id::CODEC_ID_ADPCM_G726 | id::CODEC_ID_ADPCM_G726LE => "G.726 ADPCM",
        id::CODEC_ID_ADPCM_IMA_QT | id::CODEC_ID_ADPCM_IMA_WAV => "IMA ADPCM",
        id::CODEC_ID_ADPCM_MS => "Microsoft ADPCM",
        id::CODEC_ID_ALAC => "ALAC of an unusual form",
        id::CODEC_ID_DCA => "DTS",
        id::CODEC_ID_FLAC => "FLAC of an unusual form",
        id::CODEC_ID_MONKEYS_AUDIO => "Monkey's Audio",
        id::CODEC_ID_MP1 => "MPEG layer I",
        id::CODEC_ID_MP2 => "MPEG layer II",
        id::CODEC_ID_MUSEPACK => "Musepack",
        id::CODEC_ID_OPUS => "Opus of more than two channels",
        id::CODEC_ID_PCM_ALAW => "A-law",
        id::CODEC_ID_PCM_MULAW => "µ-law",
        id::CODEC_ID_SPEEX => "Speex",
        id::CODEC_ID_TRUEHD => "TrueHD",
        id::CODEC_ID_TTA => "True Audio",
        id::CODEC_ID_VORBIS => "Vorbis of an unusual form",
        id::CODEC_ID_WAVPACK => "WavPack",
        id::CODEC_ID_WMA => "Windows Media Audio",
        other => return format!("an unknown codec ({other})"),
    };
    name.to_owned()
}

/// Names the object type in an AudioSpecificConfig (ISO/IEC 14496-3, table 1.17).
fn aac_profile(config: Option<&[u8]>) -> String {
    let kind = config.and_then(|config| {
        let first = *config.first()?;
        Some(match first >> 3 {
            31 => 32 + ((first & 7) << 3 | config.get(1)? >> 5),
            kind => kind,
        })
    });
    match kind {
        Some(1) => "AAC Main".to_owned(),
        Some(2) => "AAC-LC of an unusual form".to_owned(),
        Some(3) => "AAC-SSR".to_owned(),
        Some(4) => "AAC-LTP".to_owned(),
        Some(5) => "HE-AAC".to_owned(),
        Some(23) => "AAC-LD".to_owned(),
        Some(29) => "HE-AAC v2".to_owned(),
        Some(39) => "AAC-ELD".to_owned(),
        Some(42) => "xHE-AAC".to_owned(),
        Some(other) => format!("AAC of object type {other}"),
        None => "AAC".to_owned(),
    }
}
