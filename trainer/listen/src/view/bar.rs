//! Draws a bar as wide as its value, in eighths of a character.

/// Draws a bar of `width` characters, filled by `share`, 0 to 1, from the left.
pub(super) fn bar(share: f32, width: usize) -> String {
    const PARTS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    // `as` saturates, and makes 0 of a NaN.
    let eighths = ((share.clamp(0.0, 1.0) * (8 * width) as f32).round() as usize).min(8 * width);
    let mut text = "█".repeat(eighths / 8);
    if eighths < 8 * width {
        text.push(PARTS[eighths % 8]);
        text.extend(std::iter::repeat_n(' ', width - eighths / 8 - 1));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn every_bar_is_as_wide_as_asked() {
        assert_eq!(bar(0.0, 3), "   ");
        assert_eq!(bar(0.5, 3), "█▌ ");
        assert_eq!(bar(1.0, 3), "███");
        assert_eq!(bar(7.0, 2), "██");
        assert_eq!(bar(f32::NAN, 2), "  ");
        for eighth in 0..=40 {
            assert_eq!(bar(eighth as f32 / 40.0, 5).chars().count(), 5);
        }
    }
}
