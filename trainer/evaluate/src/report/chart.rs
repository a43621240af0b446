//! Draws charts in SVG. Colours come from the page's classes, so they follow light and dark.

use super::data::{Curve, EmbeddingMap};
use super::escape::Escaped;
use crate::results::SetResult;
use std::fmt::Write;

/// Colours of the page's `k0..` classes before they repeat.
const COLOURS: usize = 10;

/// A linear scale from values to a range of pixels.
struct Scale {
    from: f64,
    per_unit: f64,
    start: f64,
}

impl Scale {
    fn new([low, high]: [f64; 2], start: f64, end: f64) -> Self {
        let span = if high - low > 1e-12 { high - low } else { 1.0 };
        Self {
            from: low,
            per_unit: (end - start) / span,
            start,
        }
    }

    fn at(&self, value: f64) -> f64 {
        self.start + (value - self.from) * self.per_unit
    }
}

/// Returns round values within `low..=high` in about `count` steps of 1, 2 or 5 times a power of ten.
fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let rough = ((high - low) / count as f64).max(1e-12);
    let magnitude = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * magnitude);
    let step = step.into_iter().find(|s| *s >= rough).unwrap_or(magnitude);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}

/// Writes a number without needless digits.
fn short(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 {
        return format!("{value:.0e}");
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn bounds(values: impl Iterator<Item = f64>) -> Option<[f64; 2]> {
    values.filter(|v| v.is_finite()).fold(None, |b, v| match b {
        None => Some([v, v]),
        Some([low, high]) => Some([low.min(v), high.max(v)]),
    })
}

/// Number of points from which on a curve is drawn as measured (thin) with its running mean (strong). A
/// shorter curve is drawn as measured.
pub(super) const SMOOTHED: usize = 20;

/// Draws one curve. `None` if fewer than two points are finite.
pub(super) fn curve(curve: &Curve) -> Option<String> {
    const WIDTH: f64 = 460.0;
    const HEIGHT: f64 = 230.0;
    let finite = |p: &&[f64; 2]| p[0].is_finite() && p[1].is_finite();
    let points: Vec<[f64; 2]> = curve.points.iter().filter(finite).copied().collect();
    if points.len() < 2 {
        return None;
    }
    let x_range = bounds(points.iter().map(|p| p[0]))?;
    let mut y_range = bounds(points.iter().map(|p| p[1]))?;
    let margin = 0.06 * (y_range[1] - y_range[0]).max(1e-9);
    y_range = [y_range[0] - margin, y_range[1] + margin];
    let x = Scale::new(x_range, 46.0, WIDTH - 10.0);
    let y = Scale::new(y_range, HEIGHT - 34.0, 10.0);
    let mut svg = format!(
        r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name} over {over}">"#,
        name = Escaped(&curve.name),
        over = Escaped(&curve.over),
    );
    for tick in ticks(y_range[0], y_range[1], 4) {
        let at = y.at(tick);
        let _ = write!(
            svg,
            r#"<line class="grid" x1="46" x2="{:.1}" y1="{at:.1}" y2="{at:.1}"/><text class="tick" x="40" y="{:.1}" text-anchor="end">{}</text>"#,
            WIDTH - 10.0,
            at + 4.0,
            short(tick)
        );
    }
    for tick in ticks(x_range[0], x_range[1], 6) {
        let at = x.at(tick);
        let _ = write!(
            svg,
            r#"<text class="tick" x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            HEIGHT - 18.0,
            short(tick)
        );
    }
    let _ = write!(
        svg,
        r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
        (46.0 + WIDTH - 10.0) / 2.0,
        HEIGHT - 3.0,
        Escaped(&curve.over)
    );
    let path = |points: &[[f64; 2]]| {
        let pairs = points
            .iter()
            .map(|p| format!("{:.1},{:.1}", x.at(p[0]), y.at(p[1])));
        pairs.collect::<Vec<_>>().join(" ")
    };
    let mut line = |class: &str, points: &[[f64; 2]]| {
        let path = path(points);
        let _ = write!(svg, r#"<polyline class="{class}" points="{path}"/>"#);
    };
    if points.len() < SMOOTHED {
        line("line", &points);
    } else {
        line("raw", &points);
        line("line", &running_mean(&points, points.len() / 30 + 1));
    }
    svg.push_str("</svg>");
    Some(svg)
}

/// Returns the mean over `reach` neighbours on each side, fewer at the ends.
fn running_mean(points: &[[f64; 2]], reach: usize) -> Vec<[f64; 2]> {
    let mean = |i: usize| {
        let near = &points[i.saturating_sub(reach)..(i + reach + 1).min(points.len())];
        near.iter().map(|p| p[1]).sum::<f64>() / near.len() as f64
    };
    (0..points.len()).map(|i| [points[i][0], mean(i)]).collect()
}

/// Width that a chart is drawn for. The page shows the one that fits its own width, so that labels keep
/// their size.
#[derive(Clone, Copy)]
enum Screen {
    Wide,
    Narrow,
}

impl Screen {
    /// Draws a chart for every width; `draw` gets the chart's and the class for its `svg`.
    fn all(draw: impl Fn(Self, &str) -> String) -> String {
        draw(Self::Wide, "on-wide") + &draw(Self::Narrow, "on-narrow")
    }

    /// Returns `wide` or `narrow`.
    fn choose<T>(self, wide: T, narrow: T) -> T {
        match self {
            Self::Wide => wide,
            Self::Narrow => narrow,
        }
    }

    /// Returns the width of the drawing; a unit is about a CSS pixel.
    fn width(self) -> f64 {
        self.choose(940.0, 370.0)
    }
}

/// Draws accuracies with their intervals, a row for each name and result: a model beside its controls,
/// and chance.
pub(super) fn accuracies(rows: &[(String, &SetResult)]) -> String {
    Screen::all(|screen, class| accuracies_on(screen, class, rows))
}

/// Draws the accuracies for a screen. On a narrow one, a row's name stands above its marks.
fn accuracies_on(screen: Screen, class: &str, rows: &[(String, &SetResult)]) -> String {
    let width = screen.width();
    let row = screen.choose(46.0, 66.0);
    let left = screen.choose(150.0, 12.0);
    let height = row * rows.len() as f64 + 34.0;
    let x = Scale::new([0.0, 100.0], left, width - 20.0);
    let mut svg = format!(
        r#"<svg class="{class}" viewBox="0 0 {width} {height}" role="img" aria-label="Accuracies beside those of the controls">"#
    );
    for tick in [0, 20, 40, 60, 80, 100] {
        let at = x.at(f64::from(tick));
        let _ = write!(
            svg,
            r#"<line class="grid" x1="{at:.1}" x2="{at:.1}" y1="4" y2="{:.1}"/><text class="tick" x="{at:.1}" y="{:.1}" text-anchor="middle">{tick} %</text>"#,
            height - 26.0,
            height - 10.0
        );
    }
    for (i, (name, set)) in rows.iter().enumerate() {
        let top = 8.0 + row * i as f64;
        let middle = top + screen.choose(row / 2.0, 42.0);
        let (at, y, anchor) =
            screen.choose((138.0, middle + 4.0, "end"), (left, top + 14.0, "start"));
        let _ = write!(
            svg,
            r#"<text class="label" x="{at}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#,
            Escaped(name)
        );
        let chance = x.at(100.0 / set.ways.max(1) as f64);
        let _ = write!(
            svg,
            r#"<line class="chance" x1="{chance:.1}" x2="{chance:.1}" y1="{:.1}" y2="{:.1}"/>"#,
            middle - 16.0,
            middle + 16.0
        );
        let mut mark = |offset: f64, kind: &str, mean: f64, ci95: f64| {
            let (at, y) = (x.at(mean), middle + offset);
            let _ = write!(
                svg,
                r#"<g class="{kind}"><line x1="{:.1}" x2="{:.1}" y1="{y:.1}" y2="{y:.1}"/><circle cx="{at:.1}" cy="{y:.1}" r="4.5"/></g>"#,
                x.at(mean - ci95),
                x.at(mean + ci95)
            );
        };
        mark(-10.0, "model", set.accuracy, set.ci95);
        mark(0.0, "mfcc", set.mfcc, set.mfcc_ci95);
        if let Some(random) = set.random {
            mark(10.0, "random", random, set.random_ci95.unwrap_or(0.0));
        }
    }
    svg.push_str("</svg>");
    svg
}

/// Draws clips as points coloured by class; enrolled examples are stars with an outline, sounds never
/// enrolled are small crosses.
pub(super) fn embedding_map(map: &EmbeddingMap) -> Option<String> {
    let x_range = bounds(map.points.iter().map(|p| p.x))?;
    let y_range = bounds(map.points.iter().map(|p| p.y))?;
    let drawn = Screen::all(|screen, class| map_on(screen, class, map, x_range, y_range));
    Some(drawn + &map_legend(map))
}

fn map_on(
    screen: Screen,
    class: &str,
    map: &EmbeddingMap,
    x_range: [f64; 2],
    y_range: [f64; 2],
) -> String {
    let (width, height) = (screen.width(), screen.choose(520.0, 400.0));
    let x = Scale::new(x_range, 24.0, width - 24.0);
    let y = Scale::new(y_range, height - 36.0, 20.0);
    let mut svg = format!(
        r#"<svg class="{class}" viewBox="0 0 {width} {height}" role="img" aria-label="Map of the embeddings by {}"><rect class="frame" x="0.5" y="0.5" width="{}" height="{}" rx="6"/>"#,
        Escaped(&map.model),
        width - 1.0,
        height - 1.0
    );
    let _ = write!(
        svg,
        r#"<text class="tick" x="{}" y="{}" text-anchor="end">principal component 1: {:.0} % of the variance</text><text class="tick" x="16" y="{}" transform="rotate(-90 16 {})">component 2: {:.0} %</text>"#,
        width - 12.0,
        height - 10.0,
        100.0 * map.explained[0],
        height - 40.0,
        height - 40.0,
        100.0 * map.explained[1],
    );
    // Enrolled examples come last, so that they lie on top.
    let mut points: Vec<_> = map.points.iter().collect();
    points.sort_by_key(|p| (p.enrolled, p.class.is_some()));
    for point in points {
        let (cx, cy) = (x.at(point.x), y.at(point.y));
        let _ = match point.class {
            None => write!(
                svg,
                r#"<path class="stranger" d="M{:.1} {:.1}l6 6m0 -6l-6 6"/>"#,
                cx - 3.0,
                cy - 3.0
            ),
            Some(class) if point.enrolled => write!(
                svg,
                r#"<polygon class="enrolled k{}" points="{}"/>"#,
                class % COLOURS,
                star(cx, cy)
            ),
            Some(class) => write!(
                svg,
                r#"<circle class="k{}" cx="{cx:.1}" cy="{cy:.1}" r="4.5"/>"#,
                class % COLOURS
            ),
        };
    }
    svg.push_str("</svg>");
    svg
}

fn map_legend(map: &EmbeddingMap) -> String {
    let mut svg = String::from("<ul class=\"legend\">");
    for (class, name) in map.classes.iter().enumerate() {
        let _ = write!(
            svg,
            r#"<li><svg viewBox="0 0 12 12"><circle class="k{}" cx="6" cy="6" r="5"/></svg>{}</li>"#,
            class % COLOURS,
            Escaped(name)
        );
    }
    if map.points.iter().any(|p| p.enrolled) {
        let _ = write!(
            svg,
            r#"<li><svg viewBox="0 0 24 24"><polygon class="enrolled" points="{}"/></svg>the enrolled example</li>"#,
            star(12.0, 12.0)
        );
    }
    if map.points.iter().any(|p| p.class.is_none()) {
        svg.push_str(r#"<li><svg viewBox="0 0 12 12"><path class="stranger" d="M2 2l8 8m0 -8l-8 8"/></svg>never enrolled</li>"#);
    }
    svg.push_str("</ul>");
    svg
}

fn star(cx: f64, cy: f64) -> String {
    let corner = |i: i32| {
        let radius = if i % 2 == 0 { 11.0 } else { 4.8 };
        let angle = f64::from(i) * std::f64::consts::PI / 5.0;
        format!(
            "{:.1},{:.1}",
            cx + radius * angle.sin(),
            cy - radius * angle.cos()
        )
    };
    (0..10).map(corner).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(0.0, 10.0, 5), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks(-0.3, 0.26, 5), [-0.2, 0.0, 0.2]);
        assert!(ticks(3.0, 3.0, 4).len() <= 1);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.0, 2.0, 0.25, 1500.0, 2e-5].map(short),
            ["0", "2", "0.25", "1500", "2e-5"]
        );
    }

    #[test]
    fn charts_are_drawn_for_wide_and_narrow_pages_and_name_their_model() {
        let map = EmbeddingMap {
            classes: vec!["hum".into()],
            model: "shipped <edge-s>".into(),
            points: vec![],
            explained: [0.5, 0.2],
        };
        assert_eq!(embedding_map(&map), None);
        let point = |x| crate::report::MapPoint {
            x,
            y: -x,
            class: Some(0),
            enrolled: false,
        };
        let points = vec![point(0.0), point(1.0)];
        let svg = embedding_map(&EmbeddingMap { points, ..map }).unwrap();
        assert_eq!(
            svg.matches("embeddings by shipped &lt;edge-s&gt;").count(),
            2
        );
        // Each class once in each drawing and once in the legend, which stands once.
        assert_eq!(svg.matches("class=\"k0\"").count(), 2 * 2 + 1);
        let set = crate::example::set("a", 61.0, Some(25.0));
        let svg = accuracies(&[("first".to_owned(), &set)]);
        for screen in ["on-wide", "on-narrow"] {
            assert_eq!(svg.matches(&format!("<svg class=\"{screen}\"")).count(), 1);
        }
        assert_eq!(svg.matches(">first</text>").count(), 2);
    }

    #[test]
    fn a_curve_leaves_out_what_is_not_finite() {
        let points = (0..30).map(|i| [f64::from(i), if i == 3 { f64::NAN } else { 1.0 }]);
        let drawn = Curve {
            name: "loss <a>".into(),
            over: "step".into(),
            points: points.collect(),
        };
        let svg = curve(&drawn).unwrap();
        assert!(
            !svg.contains("NaN") && svg.contains("loss &lt;a&gt;"),
            "{svg}"
        );
        let nothing = Curve {
            points: vec![[0.0, f64::INFINITY]],
            ..drawn
        };
        assert!(curve(&nothing).is_none());
    }
}
