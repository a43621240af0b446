//! Draws the spectrogram of the last seconds, two bands in a character.

use super::colour::{Colours, RESET};
use std::collections::VecDeque;

/// Frames that make one column.
const FRAMES: usize = 4;

/// Columns that are kept: more than a terminal is wide.
const KEPT: usize = 512;

/// Least range of levels shown, dB, so that faint noise does not fill the picture.
const LEAST_RANGE: f32 = 30.0;

/// The last columns, each the mean of a few frames.
#[derive(Debug)]
pub(super) struct Strip {
    mels: usize,
    /// dB of one unit of a feature.
    decibels: f32,
    columns: VecDeque<Vec<f32>>,
    /// The column being filled, and its frames so far.
    filling: (Vec<f32>, usize),
}

impl Strip {
    pub fn new(mels: usize, decibels: f32) -> Self {
        Self {
            mels,
            decibels,
            columns: VecDeque::new(),
            filling: (vec![0.0; mels], 0),
        }
    }

    /// Takes frames, `[frames][mels]`.
    pub fn push(&mut self, frames: &[f32]) {
        for frame in frames.chunks_exact(self.mels) {
            let (sum, count) = &mut self.filling;
            sum.iter_mut().zip(frame).for_each(|(sum, v)| *sum += v);
            *count += 1;
            if *count == FRAMES {
                let mean = sum.iter().map(|sum| sum / FRAMES as f32).collect();
                sum.fill(0.0);
                *count = 0;
                if self.columns.len() == KEPT {
                    self.columns.pop_front();
                }
                self.columns.push_back(mean);
            }
        }
    }

    /// Returns `rows` lines of `width` characters, high bands first, the newest column on the right.
    pub fn lines(&self, width: usize, rows: usize, colours: Colours) -> Vec<String> {
        let shown = self.columns.len().min(width);
        let columns = || self.columns.range(self.columns.len() - shown..);
        let all = columns().flatten().copied();
        let (low, high) = all.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| {
            (l.min(v), h.max(v))
        });
        let range = (high - low).max(LEAST_RANGE / self.decibels);
        // Bands from the top; without colours a character is one band.
        let bands = if colours == Colours::None {
            rows
        } else {
            2 * rows
        };
        let level = |column: &[f32], band: usize| {
            let edge = |band: usize| band * self.mels / bands;
            let from = edge(bands - 1 - band);
            let to = edge(bands - band).max(from + 1).min(self.mels);
            let own = &column[from..to];
            let mean = own.iter().sum::<f32>() / own.len().max(1) as f32;
            (255.0 * (mean - low) / range) as u8
        };
        (0..rows)
            .map(|row| {
                let mut line = " ".repeat(width - shown);
                let mut last = None;
                for column in columns() {
                    if colours == Colours::None {
                        const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
                        line.push(SHADES[usize::from(level(column, row)) * SHADES.len() / 256]);
                        continue;
                    }
                    let pair = (level(column, 2 * row), level(column, 2 * row + 1));
                    if last != Some(pair) {
                        colours.switch(&mut line, pair.0, pair.1);
                        last = Some(pair);
                    }
                    line.push('▀');
                }
                if last.is_some() {
                    line += RESET;
                }
                line
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_to_the_right_and_pitch_up() {
        let mut strip = Strip::new(8, 10.0);
        for _ in 0..FRAMES {
            strip.push(&[9.0, 9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        }
        for _ in 0..FRAMES {
            strip.push(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 9.0, 9.0]);
        }
        let lines = strip.lines(4, 4, Colours::None);
        assert_eq!(lines, ["   █", "    ", "    ", "  █ "]);
        let coloured = strip.lines(4, 2, Colours::True);
        for line in &coloured {
            assert_eq!(console::strip_ansi_codes(line), "  ▀▀");
        }
        assert!(
            coloured[0].contains("\x1b[38;2;252;250;190m"),
            "{coloured:?}"
        );
    }

    #[test]
    fn an_empty_or_narrow_strip_is_blank() {
        let mut strip = Strip::new(3, 10.0);
        assert_eq!(strip.lines(2, 1, Colours::Indexed), ["  "]);
        for _ in 0..KEPT * FRAMES + FRAMES {
            strip.push(&[1.0, f32::NAN, 2.0]);
        }
        assert_eq!(strip.columns.len(), KEPT);
        for (width, rows) in [(0, 4), (1, 1), (600, 9)] {
            for line in strip.lines(width, rows, Colours::None) {
                assert_eq!(console::measure_text_width(&line), width);
            }
        }
    }
}
