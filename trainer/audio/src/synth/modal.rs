//! A struck body as a bank of decaying resonators.

use super::event::{BRIGHTNESS, Event, KNOBS, OWN, PITCH};
use super::knobs::Knobs;
use std::f32::consts::TAU;

const MATERIAL: usize = OWN;
const BODY: usize = OWN + 1;
const SPREAD: usize = OWN + 2;
const RING: usize = OWN + 3;
const DAMPING: usize = OWN + 4;
const HARDNESS: usize = OWN + 5;
const SCRAPE: usize = OWN + 6;
const PLACE: usize = OWN + 7;

/// Resonators, a whole number of vector registers.
const MODES: usize = 16;

/// Ratios of a body's modes to its lowest.
#[derive(Clone, Copy, Debug)]
enum Body {
    /// Free bar: (2n + 1)^2.
    Bar,
    /// Round membrane: zeros of Bessel functions, well fitted by a root law from the second on.
    Membrane,
    /// Stiff plate, dense.
    Plate,
    /// Tube or string: whole ratios.
    Tube,
    /// Bell: pairs that beat.
    Bell,
}

impl Body {
    fn ratio(self, mode: usize) -> f32 {
        let n = mode as f32;
        match self {
            Self::Bar => ((2.0 * n + 3.0) / 3.0).powi(2),
            Self::Membrane => 1.0 + 0.59 * n.powf(0.85),
            Self::Plate => 1.0 + 0.75 * n + 0.11 * n * n,
            Self::Tube => n + 1.0,
            Self::Bell => {
                let pair = (mode / 2) as f32;
                (1.0 + 0.83 * pair + 0.06 * pair * pair) * (1.0 + 0.004 * (mode % 2) as f32)
            }
        }
    }
}

pub(super) fn render(knobs: &Knobs<KNOBS>, context: &mut Event<'_>, event: &mut [f32]) {
    let rate = context.rate;
    let pitch = knobs.ratio(PITCH, 60.0, 2500.0) * context.transpose;
    let body = knobs.choice(
        BODY,
        &[
            Body::Bar,
            Body::Membrane,
            Body::Plate,
            Body::Tube,
            Body::Bell,
        ],
    );
    let spread = knobs.linear(SPREAD, 0.85, 1.15);
    // Seconds until the lowest mode has fallen by 60 dB; higher ones fall sooner by their ratio to
    // this power (metal little, wood much).
    let ring = knobs.ratio(RING, 0.04, 3.0);
    let damping = knobs.linear(DAMPING, 0.1, 1.3) * knobs.linear(MATERIAL, 0.5, 1.2);
    let slope = knobs.linear(BRIGHTNESS, 1.6, 0.0);
    let place = knobs.linear(PLACE, 0.05, 0.5);

    // y[n] = gain x[n] + a y[n-1] + b y[n-2], a pair of poles for each mode.
    let (mut gain, mut a, mut b) = ([0.0f32; MODES], [0.0f32; MODES], [0.0f32; MODES]);
    for mode in 0..MODES {
        let ratio = body.ratio(mode).powf(spread);
        // The ear's small differences between one blow and the next.
        let frequency = pitch * ratio * (1.0 + 0.002 * context.noise.normal());
        if frequency > 0.46 * rate {
            continue;
        }
        let seconds = ring * ratio.powf(-damping);
        let radius = (-6.9 / (seconds * rate)).exp();
        let angle = TAU * frequency / rate;
        a[mode] = 2.0 * radius * angle.cos();
        b[mode] = -radius * radius;
        let struck = (TAU * place * (mode + 1) as f32 * 0.5).sin().abs() + 0.05;
        let touch = 1.0 + 0.2 * context.noise.normal();
        gain[mode] = angle.sin() * ratio.powf(-slope) * struck * touch;
    }

    // The mallet: a bump as long as it is soft, and some scraping.
    let contact = (rate * knobs.ratio(HARDNESS, 0.004, 0.0002)) as usize + 1;
    let scrape = 0.5 * knobs.beyond(SCRAPE, 0.4);
    let scraped = (rate * 0.01) as usize;
    let (mut last, mut before) = ([0.0f32; MODES], [0.0f32; MODES]);
    for (index, sample) in event.iter_mut().enumerate() {
        let mut blow = 0.0;
        if index < contact {
            blow = 2.0 * (std::f32::consts::PI * (index as f32 + 0.5) / contact as f32).sin();
        }
        if index < scraped {
            blow += scrape * context.noise.normal();
        }
        let mut sum = 0.0;
        let mut now = [0.0f32; MODES];
        for mode in 0..MODES {
            now[mode] = gain[mode] * blow + a[mode] * last[mode] + b[mode] * before[mode];
        }
        for value in now {
            sum += value;
        }
        (before, last) = (last, now);
        *sample = sum;
    }
}
