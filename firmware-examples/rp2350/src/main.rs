//! Teaches sounds to an RP2350 with an I2S microphone, a button and a light. See `README.md`.
#![no_std]
#![no_main]

mod microphone;
mod model;
mod places;

use core::cell::RefCell;
use defmt_rtt as _;
use embassy_executor::{InterruptExecutor, Spawner};
use embassy_rp::bind_interrupts;
use embassy_rp::flash::{Blocking, Flash};
use embassy_rp::gpio::{Input, Level, Output, Pull};
use embassy_rp::interrupt;
use embassy_rp::interrupt::{InterruptExt, Priority};
use embassy_rp::pac;
use embassy_rp::peripherals::{FLASH, UART0};
use embassy_rp::uart::{
    self, BufferedInterruptHandler, BufferedUart, BufferedUartRx, BufferedUartTx,
};
use embassy_rp::watchdog::{ResetReason, Watchdog};
use embassy_time::{Duration, Instant, Ticker};
use microphone::{Microphone, RING_LEN};
use model::{ARENA_LEN, EMBEDDING_DIM, FRONTEND};
use mtslvr_device::{
    ClipMemory, ClipPlaces, Laps, LinkMemory, Memory, Notice, Places, SharedFlash, listener_len,
    profile_len, scratch_len,
};
use mtslvr_runtime::link::{LinkedSlots, Session};
use mtslvr_runtime::listener::ListenerConfig;
use mtslvr_runtime::model::slots::{ModelSlots, Start};
use places::{FLASH_LEN, LONGEST_CLIP, Mapped};
use static_cell::{ConstStaticCell, StaticCell};

const LISTENER_LEN: usize = listener_len(&FRONTEND, EMBEDDING_DIM);
const SCRATCH_LEN: usize = scratch_len(EMBEDDING_DIM);
const WATCHDOG: Duration = Duration::from_secs(mtslvr_tasks::WATCHDOG_SECONDS);
/// Bytes on their way through the UART, in each direction: more than 20 ms of them.
const UART_LEN: usize = 256;
/// Milliseconds from one look at the microphone's ring to the next.
const COLLECT_MS: u64 = 10;

type DeviceMemory = Memory<ARENA_LEN, LISTENER_LEN, EMBEDDING_DIM, SCRATCH_LEN>;

static MEMORY: ConstStaticCell<DeviceMemory> = ConstStaticCell::new(Memory::new());
static CLIPS: ConstStaticCell<ClipMemory<LONGEST_CLIP>> = ConstStaticCell::new(ClipMemory::new());
/// The flash, of which the models and what the device was taught have ranges of their own.
static SHARED: StaticCell<RefCell<Flash<'static, FLASH, Blocking, FLASH_LEN>>> = StaticCell::new();
static LINK: ConstStaticCell<LinkMemory<{ profile_len(EMBEDDING_DIM) }>> =
    ConstStaticCell::new(LinkMemory::new());
static UART: ConstStaticCell<[[u8; UART_LEN]; 2]> = ConstStaticCell::new([[0; UART_LEN]; 2]);
/// Runs what must not wait for the work in thread mode.
static URGENT: InterruptExecutor = InterruptExecutor::new();

bind_interrupts!(struct Interrupts {
    UART0_IRQ => BufferedInterruptHandler<UART0>;
});

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
        Some(ResetReason::TimedOut) => mtslvr_tasks::starved(),
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

    let [received, sent] = UART.take();
    let uart = BufferedUart::new(
        p.UART0,
        p.PIN_0,
        p.PIN_1,
        Interrupts,
        sent,
        received,
        // 115,200 baud, no parity.
        uart::Config::default(),
    );
    let (transmitter, receiver) = uart.split();

    let reason = mtslvr_faults::last_words().or(starved);
    let flash = SharedFlash(SHARED.init(RefCell::new(Flash::new_blocking(p.FLASH))));
    let mut slots = ModelSlots::new(flash.clone(), places::slots()).expect("ranges of whole pages");
    let started = match slots.start(|_, range| Mapped::open(range)) {
        Ok(started) => started,
        Err(error) => panic!("{error}"),
    };
    if let Some(notice) = Notice::<embassy_rp::flash::Error>::of_model(started.how, slots.update())
    {
        mtslvr_tasks::tell(notice);
    }
    let device = mtslvr_tasks::start(
        reason,
        started.model,
        ListenerConfig::DEFAULT,
        MEMORY.take(),
        flash,
        Places {
            sounds: places::sounds(started.slot),
            clips: Some(ClipPlaces::new(places::CLIPS, CLIPS.take())),
            on_trial: matches!(started.how, Start::Trial { .. }),
        },
        LinkedSlots {
            slots,
            owner: Mapped,
        },
    );
    let session = Session::new(LINK.take());

    interrupt::SWI_IRQ_0.set_priority(Priority::P3);
    let urgent = URGENT.start(interrupt::SWI_IRQ_0);
    urgent.spawn(capture(microphone).expect("room for a task"));
    urgent.spawn(watch_button(button).expect("room for a task"));
    urgent.spawn(feed_watchdog(watchdog).expect("room for a task"));
    urgent.spawn(flash_light(light).expect("room for a task"));
    urgent.spawn(receive(receiver).expect("room for a task"));
    urgent.spawn(answer(transmitter).expect("room for a task"));
    mtslvr_tasks::run(device, session, |reason| mtslvr_faults::restart(reason)).await
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

#[embassy_executor::task]
async fn receive(line: BufferedUartRx) {
    mtslvr_tasks::receive_from(line).await
}

#[embassy_executor::task]
async fn answer(line: BufferedUartTx) {
    mtslvr_tasks::answer_over(line).await
}
