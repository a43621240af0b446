//! Cortex-M: SysTick counts the core's clock, in which an instruction takes a nanosecond; at 25 MHz
//! one tick is 40 instructions.

use crate::CLOCK_MHZ;
use core::sync::atomic::{AtomicU32, Ordering};
use cortex_m::peripheral::{SYST, syst::SystClkSource};
use cortex_m_rt::exception;

/// Instructions in a microsecond.
const PER_MICROSECOND: u64 = 1_000;
/// SysTick counts 24 bits down.
const PERIOD: u64 = 1 << 24;

/// How often SysTick has passed zero since it was started.
static WRAPS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    // Nobody else writes it, and Armv6-M could not add in one step.
    WRAPS.store(
        WRAPS.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
}

/// The running counter.
#[derive(Debug)]
pub struct Instructions(());

impl Instructions {
    /// Takes SysTick and starts it; `None` if it is taken already.
    pub fn start() -> Option<Self> {
        let mut systick = cortex_m::Peripherals::take()?.SYST;
        systick.set_clock_source(SystClkSource::Core);
        systick.set_reload(PERIOD as u32 - 1);
        systick.clear_current();
        systick.enable_interrupt();
        systick.enable_counter();
        Some(Self(()))
    }

    /// Instructions since the start, in steps of one tick.
    pub fn now(&self) -> u64 {
        loop {
            let before = WRAPS.load(Ordering::Relaxed);
            let left = u64::from(SYST::get_current());
            // A wrap in between would pair the new count with the old number of wraps.
            if WRAPS.load(Ordering::Relaxed) == before {
                let passed = (PERIOD - left) % PERIOD;
                let ticks = u64::from(before) * PERIOD + passed;
                return ticks * PER_MICROSECOND / CLOCK_MHZ;
            }
        }
    }
}
