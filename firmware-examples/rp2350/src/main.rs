//! Teaches sounds to an RP2350 with an I2S microphone, a button and a light. See `README.md`.
#![no_std]
#![no_main]

mod microphone;
mod model;

use core::ops::Range;
use core::panic::PanicInfo;
use defmt_rtt as _;
use embassy_executor::{InterruptExecutor, Spawner};
use embassy_rp::flash::{Blocking, ERASE_SIZE, Flash};
use embassy_rp::gpio::{Input, Level, Output, Pull};
use embassy_rp::interrupt;
use embassy_rp::interrupt::{InterruptExt, Priority};
use embassy_rp::pac;
use embassy_rp::watchdog::{ResetReason, Watchdog};
use embassy_time::{Duration, Instant, Ticker};
use microphone::{Microphone, RING_LEN};
use model::{ARENA_LEN, EMBEDDING_DIM, FRONTEND, MODEL};
use mtslvr_device::{CLASSES, Device, EXAMPLES, Laps, Memory, Notice, Reason};
use mtslvr_runtime::fewshot::persist::{flash_len, store_scratch_len};
use mtslvr_runtime::link::NoSlot;
use mtslvr_runtime::listener::{Listener, ListenerConfig};
use mtslvr_runtime::model::Model;
use static_cell::ConstStaticCell;

/// Bytes of flash.
const FLASH_LEN: usize = 4096 * 1024;
/// Where in flash the device keeps what it is taught; `memory.x` leaves it free.
const STORE: Range<u32> = FLASH_LEN as u32 - 96 * 1024..FLASH_LEN as u32;
const LISTENER_LEN: usize = Listener::buffer_len(&FRONTEND, EMBEDDING_DIM, CLASSES);
const SCRATCH_LEN: usize = store_scratch_len(CLASSES, EXAMPLES, EMBEDDING_DIM);
const WATCHDOG: Duration = Duration::from_secs(mtslvr_tasks::WATCHDOG_SECONDS);
/// Milliseconds from one look at the microphone's ring to the next.
const COLLECT_MS: u64 = 10;

const _: () = {
    let needed = flash_len(CLASSES, EXAMPLES, EMBEDDING_DIM, ERASE_SIZE).unwrap();
    assert!(needed <= (STORE.end - STORE.start) as usize);
};

type DeviceMemory = Memory<ARENA_LEN, LISTENER_LEN, EMBEDDING_DIM, SCRATCH_LEN>;

static MEMORY: ConstStaticCell<DeviceMemory> = ConstStaticCell::new(Memory::new());
/// Runs what must not wait for the work in thread mode.
static URGENT: InterruptExecutor = InterruptExecutor::new();

// An interrupt handler calls its executor, which is unsafe from any other place.
#[interrupt]
#[allow(unsafe_code)]
unsafe fn SWI_IRQ_0() {
    // SAFETY: the one place from which it is called; the interrupt is enabled by `start`.
    unsafe { URGENT.on_interrupt() }
}

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    mtslvr_faults::guard_stack();
    let p = embassy_rp::init(Default::default());

    // The core's own reset would leave the DMA and the flash's interface as they are.
    mtslvr_faults::reset_by(|| pac::WATCHDOG.ctrl().modify(|w| w.set_trigger(true)));
    let mut watchdog = Watchdog::new(p.WATCHDOG);
    let starved = match watchdog.reset_reason() {
        Some(ResetReason::TimedOut) => Reason::try_from("the watchdog was not fed").ok(),
        _ => None,
    };
    watchdog.pause_on_debug(true);
    watchdog.start(WATCHDOG);

    let button = Input::new(p.PIN_14, Pull::Up);
    // The Pico 2's own light.
    let light = Output::new(p.PIN_25, Level::Low);
    let microphone = Microphone::start(
        p.PIO0,
        p.DMA_CH0,
        p.PIN_10,
        p.PIN_11,
        p.PIN_12,
        FRONTEND.sample_rate,
    );

    let reason = mtslvr_faults::last_words().or(starved);
    if let Some(reason) = reason {
        mtslvr_tasks::tell(Notice::<embassy_rp::flash::Error>::Restarted(reason));
    }
    let model = match Model::open(&MODEL.0) {
        Ok(model) => model,
        Err(error) => panic!("the model in flash: {error}"),
    };
    let flash = Flash::<_, Blocking, FLASH_LEN>::new_blocking(p.FLASH);
    let memory = MEMORY.take();
    let device = match Device::start(
        model,
        ListenerConfig::DEFAULT,
        memory,
        flash,
        STORE,
        NoSlot,
        mtslvr_tasks::tell,
    ) {
        Ok(device) => device,
        Err(error) => panic!("{error}"),
    };

    interrupt::SWI_IRQ_0.set_priority(Priority::P3);
    let urgent = URGENT.start(interrupt::SWI_IRQ_0);
    urgent.spawn(capture(microphone).expect("room for a task"));
    urgent.spawn(watch_button(button).expect("room for a task"));
    urgent.spawn(feed_watchdog(watchdog).expect("room for a task"));
    urgent.spawn(flash_light(light).expect("room for a task"));
    mtslvr_tasks::run(device, |reason| mtslvr_faults::restart(reason)).await
}

/// Keeps the reason over a restart, which tells it.
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    defmt::error!("{}", defmt::Display2Format(info));
    mtslvr_faults::panicked(info)
}

/// Collects what the DMA has written. It writes on without help, also while the flash is erased and
/// interrupts have to wait.
#[embassy_executor::task]
async fn capture(mut microphone: Microphone) {
    let mut laps = Laps::new(RING_LEN as u32, FRONTEND.sample_rate);
    let mut ticker = Ticker::every(Duration::from_millis(COLLECT_MS));
    loop {
        ticker.next().await;
        let samples = microphone.collect();
        let lost = laps.collected(Instant::now().as_micros(), samples.len() as u32);
        mtslvr_tasks::record(samples, lost);
    }
}

#[embassy_executor::task]
async fn watch_button(button: Input<'static>) {
    mtslvr_tasks::watch_button(|| button.is_low()).await
}

#[embassy_executor::task]
async fn feed_watchdog(mut watchdog: Watchdog) {
    mtslvr_tasks::feed_watchdog(|| watchdog.feed(WATCHDOG)).await
}

#[embassy_executor::task]
async fn flash_light(mut light: Output<'static>) {
    mtslvr_tasks::flash_light(|on| light.set_level(on.into())).await
}
