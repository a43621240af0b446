//! Any bytes give samples or an error, and no more samples than there are bytes for.

use mtslvr_wav::WavReader;

/// Reads `bytes` as a WAV file, in two sizes of chunk.
pub fn wav_read(bytes: &[u8]) {
    let [fine, coarse] = [1, 333].map(|step| read(bytes, step));
    assert_eq!(fine, coarse, "the samples depend on the size of the chunks");
    assert!(fine.0.len() <= bytes.len() / 2);
}

/// The samples up to the first error, and whether there was one.
fn read(bytes: &[u8], step: usize) -> (Vec<i16>, bool) {
    let mut samples = Vec::new();
    let Ok(mut reader) = WavReader::open(bytes) else {
        return (samples, true);
    };
    let mut chunk = vec![0; step];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return (samples, false),
            Ok(count) => samples.extend(&chunk[..count]),
            // What came before the error in this chunk is not told apart from what did not.
            Err(_) => return (Vec::new(), true),
        }
    }
}
