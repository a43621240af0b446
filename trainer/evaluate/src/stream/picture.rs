//! Draws the trade-off of misses against false alarms.

use super::figures::LevelFigures;
use super::trial_shape::Taught;
use std::fmt::Write;

const WIDTH: f64 = 840.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = WIDTH - 250.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = HEIGHT - 56.0;
/// Ends of the axis of false alarms an hour, as powers of ten; lower rates are drawn at its beginning.
const DECADES: [f64; 2] = [-1.0, 3.5];

/// Colours that most eyes tell apart, in the order of [`Source`](super::Source).
const COLOURS: [&str; 3] = ["#0072b2", "#d55e00", "#009e73"];

/// Draws misses over false alarms an hour as an SVG document: a line for each of the streams at the
/// first level. A dot marks the default threshold, the shaded corner the aim: at most `aim` percent of
/// misses at one false alarm an hour.
pub fn trade_off(levels: &[LevelFigures], aim: f64) -> String {
    let mut svg = frame(aim);
    axes(&mut svg, levels.first().map_or(0.0, |level| level.snr));
    let first = levels.first().map(|level| level.snr);
    let shown = levels.iter().filter(|level| Some(level.snr) == first);
    for (index, level) in shown.enumerate() {
        line(&mut svg, level, index);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Place of a rate of false alarms on the logarithmic horizontal axis.
fn x(per_hour: f64) -> f64 {
    let decade = per_hour.max(1e-9).log10().clamp(DECADES[0], DECADES[1]);
    LEFT + (decade - DECADES[0]) / (DECADES[1] - DECADES[0]) * (RIGHT - LEFT)
}

/// Place of a percentage of misses on the vertical axis.
fn y(percent: f64) -> f64 {
    BOTTOM - percent / 100.0 * (BOTTOM - TOP)
}

/// Begins the document: its style, and the aim as a shaded corner.
fn frame(aim: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"Misses over false alarms an hour\">\n<style>text {{ font: 13px sans-serif; fill: #333 }} \
         .grid {{ stroke: #ddd }} .line {{ fill: none; stroke-width: 2.2 }}</style>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
         <rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#009e73\" opacity=\"0.15\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\">aim</text>\n",
        y(aim),
        x(1.0) - LEFT,
        BOTTOM - y(aim),
        LEFT + 6.0,
        BOTTOM - 8.0,
    )
}

/// Draws the grid, its numbers and the names of the axes; the background is `snr` dB below the sounds.
fn axes(svg: &mut String, snr: f32) {
    for percent in (0..=100).step_by(20) {
        let at = y(f64::from(percent));
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{percent} %</text>",
            LEFT - 8.0,
            at + 4.0
        );
    }
    for (per_hour, label) in [
        (0.1, "≤ 0.1"),
        (1.0, "1"),
        (10.0, "10"),
        (100.0, "100"),
        (1000.0, "1000"),
    ] {
        let at = x(per_hour);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            BOTTOM + 20.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">false alarms an hour, {:.0} dB</text>\
         <text transform=\"translate(16 {:.1}) rotate(-90)\" text-anchor=\"middle\">misses</text>",
        (LEFT + RIGHT) / 2.0,
        BOTTOM + 42.0,
        snr,
        (TOP + BOTTOM) / 2.0
    );
}

/// Draws the curve of `level`, its dot and its entry `index` in the legend.
fn line(svg: &mut String, level: &LevelFigures, index: usize) {
    let colour = COLOURS[level.source as usize];
    let dashes = match level.taught {
        Taught::InPlace => "",
        Taught::Clean => " stroke-dasharray=\"6 4\"",
        Taught::OtherMicrophone => " stroke-dasharray=\"2 3\"",
        Taught::OnceMore => " stroke-dasharray=\"8 3 2 3\"",
    };
    let points: Vec<String> = level
        .curve
        .iter()
        .map(|point| {
            format!(
                "{:.1},{:.1}",
                x(point.false_alarms_per_hour),
                y(point.misses)
            )
        })
        .collect();
    let label = 22.0 * index as f64 + TOP + 10.0;
    let _ = writeln!(
        svg,
        "<polyline class=\"line\" stroke=\"{colour}\"{dashes} points=\"{}\"/>\
         <circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"5\" fill=\"{colour}\"/>\
         <line class=\"line\" stroke=\"{colour}\"{dashes} x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{label}\" y2=\"{label}\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\">{}, {}</text>",
        points.join(" "),
        x(level.default.false_alarms_per_hour),
        y(level.default.misses),
        RIGHT + 14.0,
        RIGHT + 44.0,
        RIGHT + 52.0,
        label + 4.0,
        level.source.name(),
        level.taught.name(),
    );
}
