//! Any bytes are a cached recording of the key or none.

use mtslvr_audio::cached_samples;
use mtslvr_runtime::model::Crc32;

/// The key of [`cache_seed`].
const KEY: &str = "0123 16000 0.1.0";

/// Reads `bytes` as a cached recording, as they are and with the checksum put right.
pub fn cache_read(bytes: &[u8]) {
    use_it(bytes);
    if let Some((content, _)) = bytes.split_last_chunk::<4>() {
        let sum = Crc32::new().update(content).finish().to_le_bytes();
        use_it(&[content, &sum].concat());
    }
}

fn use_it(bytes: &[u8]) {
    if let Some(samples) = cached_samples(bytes, KEY) {
        assert!(samples.len() <= bytes.len() / 2);
        assert_eq!(samples.to_vec().len(), samples.len());
    }
}

/// A cached recording of three samples.
pub fn cache_seed() -> Vec<u8> {
    let mut bytes = b"mtslvr samples 3\n".to_vec();
    bytes.extend((KEY.len() as u32).to_le_bytes());
    bytes.extend(KEY.bytes());
    bytes.extend(0.25_f32.to_le_bytes());
    bytes.extend(3_u64.to_le_bytes());
    bytes.extend([1_i16, -2, 3].map(i16::to_le_bytes).concat());
    let sum = Crc32::new().update(&bytes).finish();
    bytes.extend(sum.to_le_bytes());
    assert!(
        cached_samples(&bytes, KEY).is_some(),
        "the format has changed"
    );
    bytes
}
