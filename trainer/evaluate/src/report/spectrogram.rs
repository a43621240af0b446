//! Draws a log-mel spectrogram as a picture for a page.

use super::escape::base64;
use mtslvr_listen::view::palette;

/// Draws frames (`frames x mels`, row-major in time) as a PNG, time to the right and low bands at
/// the bottom, and returns it as a data URI. The colours span the values found.
pub fn data_uri(frames: &[f32], mels: usize) -> String {
    let width = frames.len() / mels.max(1);
    let finite = frames.iter().copied().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| {
        (l.min(v), h.max(v))
    });
    let span = (high - low).max(1e-6);
    let mut pixels = Vec::with_capacity(width * mels);
    for band in (0..mels).rev() {
        for frame in 0..width {
            let level = (frames[frame * mels + band] - low) / span;
            pixels.push((255.0 * level) as u8);
        }
    }
    format!(
        "data:image/png;base64,{}",
        base64(&indexed_png(&pixels, width as u32, mels as u32))
    )
}

/// Encodes a palette PNG; `pixels` are row-major from the top.
fn indexed_png(pixels: &[u8], width: u32, height: u32) -> Vec<u8> {
    if pixels.is_empty() {
        return indexed_png(&[0], 1, 1);
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    let colours: Vec<u8> = (0..=u8::MAX).flat_map(palette).collect();
    encoder.set_palette(colours);
    let mut image = encoder
        .write_header()
        .expect("a PNG header of at least one pixel can be written to memory");
    image
        .write_image_data(pixels)
        .expect("there is one byte a pixel");
    drop(image);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_reads_back() {
        // Two frames of three bands; the loudest is the low band of the second frame.
        let frames = [0.0, 0.5, 0.0, 1.0, 0.0, 0.0];
        let pixels = [0, 0, 127, 0, 0, 255];
        let bytes = indexed_png(&pixels, 2, 3);
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes))
            .read_info()
            .unwrap();
        let mut read = [0; 6];
        reader.next_frame(&mut read).unwrap();
        assert_eq!(read, pixels);
        let uri = data_uri(&frames, 3);
        assert_eq!(uri, format!("data:image/png;base64,{}", base64(&bytes)));
    }

    #[test]
    fn an_empty_or_level_picture_is_still_one() {
        assert!(data_uri(&[], 4).starts_with("data:image/png"));
        assert!(data_uri(&[f32::NAN, 1.0], 2).starts_with("data:image/png"));
    }
}
