//! Colours of a spectrogram, on the terminal and on pages.

/// Returns one of 256 colours from near black over violet and orange to pale yellow. Their lightness
/// rises evenly, so that the picture reads the same without colour.
pub fn palette(level: u8) -> [u8; 3] {
    const STOPS: [[f32; 3]; 6] = [
        [8.0, 8.0, 24.0],
        [58.0, 20.0, 98.0],
        [132.0, 32.0, 107.0],
        [212.0, 72.0, 66.0],
        [250.0, 155.0, 40.0],
        [252.0, 250.0, 190.0],
    ];
    let last = (STOPS.len() - 1) as f32;
    let position = f32::from(level) / 255.0 * last;
    let stop = (position as usize).min(STOPS.len() - 2);
    let share = position - stop as f32;
    std::array::from_fn(|c| {
        (STOPS[stop][c] * (1.0 - share) + STOPS[stop + 1][c] * share).round() as u8
    })
}
