//! Teaches sounds to an nRF52840 with a PDM microphone, a button and a light. See `README.md`.
#![no_std]
#![no_main]

mod model;

use core::ops::Range;
use defmt_rtt as _;
use embassy_executor::{InterruptExecutor, Spawner};
use embassy_nrf::buffered_uarte::{self, BufferedUarte, BufferedUarteRx, BufferedUarteTx};
use embassy_nrf::config::{Config, HfclkSource};
use embassy_nrf::gpio::{Input, Level, Output, OutputDrive, Pull};
use embassy_nrf::interrupt;
use embassy_nrf::interrupt::{InterruptExt, Priority};
use embassy_nrf::nvmc::{Nvmc, PAGE_SIZE};
use embassy_nrf::pdm::{self, Frequency, Pdm, Ratio, SamplerState};
use embassy_nrf::uarte;
use embassy_nrf::wdt::{self, Watchdog, WatchdogHandle};
use embassy_nrf::{bind_interrupts, pac, peripherals};
use embassy_time::Instant;
use fixed::types::I7F1;
use model::{ARENA_LEN, EMBEDDING_DIM, FRONTEND, MODEL};
use mtslvr_device::{
    LinkMemory, Memory, Pace, Reason, listener_len, profile_len, scratch_len, store_len,
};
use mtslvr_runtime::link::{NoSlot, Session};
use mtslvr_runtime::listener::ListenerConfig;
use static_cell::ConstStaticCell;

/// Where in flash the device keeps what it is taught; `memory.x` leaves it free.
const STORE: Range<u32> = 0xe_8000..0x10_0000;
const LISTENER_LEN: usize = listener_len(&FRONTEND, EMBEDDING_DIM);
const SCRATCH_LEN: usize = scratch_len(EMBEDDING_DIM);
/// Samples that the microphone's DMA takes at once: 128 ms. While a page of flash is erased, for up
/// to 90 ms, the processor stands still; the next buffer is not full before it goes on.
const BLOCK: usize = 2_048;
/// Bytes on their way through the UART, in each direction: more than 20 ms of them.
const UART_LEN: usize = 256;
/// Gain of the microphone's signal, dB.
const GAIN: i8 = 15;

/// An embedding takes a quarter of a second here, or more: windows follow each other half as often as
/// by default, so that there is time for all of them.
const LISTENER: ListenerConfig = ListenerConfig {
    hop: 0.5,
    ..ListenerConfig::DEFAULT
};

const _: () = {
    // 1.28 MHz and one sample for 80 of its bits.
    assert!(
        FRONTEND.sample_rate == 16_000,
        "the PDM interface is set up for 16 kHz"
    );
    let needed = store_len(EMBEDDING_DIM, PAGE_SIZE);
    assert!(needed <= (STORE.end - STORE.start) as usize);
};

type DeviceMemory = Memory<ARENA_LEN, LISTENER_LEN, EMBEDDING_DIM, SCRATCH_LEN>;

static MEMORY: ConstStaticCell<DeviceMemory> = ConstStaticCell::new(Memory::new());
static LINK: ConstStaticCell<LinkMemory<{ profile_len(EMBEDDING_DIM) }>> =
    ConstStaticCell::new(LinkMemory::new());
static UART: ConstStaticCell<[[u8; UART_LEN]; 2]> = ConstStaticCell::new([[0; UART_LEN]; 2]);
static BLOCKS: ConstStaticCell<[[i16; BLOCK]; 2]> = ConstStaticCell::new([[0; BLOCK]; 2]);
/// Runs what must not wait for the work in thread mode.
static URGENT: InterruptExecutor = InterruptExecutor::new();

bind_interrupts!(struct Interrupts {
    PDM => pdm::InterruptHandler<peripherals::PDM>;
    UARTE0 => buffered_uarte::InterruptHandler<peripherals::UARTE0>;
});

// An interrupt handler calls its executor, which is unsafe from any other place.
#[interrupt]
#[allow(unsafe_code)]
unsafe fn EGU0_SWI0() {
    // SAFETY: the one place from which it is called; the interrupt is enabled by `start`.
    unsafe { URGENT.on_interrupt() }
}

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    mtslvr_faults::guard_stack();
    let mut config = Config::default();
    // The microphone's clock is made from it.
    config.hfclk_source = HfclkSource::ExternalXtal;
    let p = embassy_nrf::init(config);
    // Flash answers after two wait states; the cache, off after a reset, hides most of them.
    pac::NVMC.icachecnf().write(|w| w.set_cacheen(true));

    // What nobody feeds any more resets the part; so does a lockup, whose stack nobody could use.
    let resets = pac::POWER.resetreas().read();
    pac::POWER.resetreas().write_value(resets);
    let starved = match (resets.dog(), resets.lockup()) {
        (true, _) => mtslvr_tasks::starved(),
        (_, true) => Reason::try_from("the processor locked up").ok(),
        _ => None,
    };
    let mut config = wdt::Config::default();
    config.timeout_ticks = 32_768 * mtslvr_tasks::WATCHDOG_SECONDS as u32;
    config.action_during_debug_halt = wdt::HaltConfig::Pause;
    let Ok((_, [watchdog])) = Watchdog::try_new(p.WDT, config) else {
        panic!("the watchdog runs already, with other settings")
    };

    // Button 1 and LED 1 of the nRF52840-DK, both to ground.
    let button = Input::new(p.P0_11, Pull::Up);
    let light = Output::new(p.P0_13, Level::High, OutputDrive::Standard);
    let mut config = pdm::Config::default();
    config.frequency = Frequency::_1280k;
    config.ratio = Ratio::Ratio80;
    config.gain_left = I7F1::from_num(GAIN);
    let microphone = Pdm::new(p.PDM, Interrupts, p.P0_26, p.P0_27, config);

    // The debugger of the nRF52840-DK makes it a serial port of the computer.
    let [received, sent] = UART.take();
    let uart = BufferedUarte::new(
        p.UARTE0,
        p.TIMER1,
        p.PPI_CH0,
        p.PPI_CH1,
        p.PPI_GROUP0,
        p.P0_08,
        p.P0_06,
        Interrupts,
        // 115,200 baud, no parity.
        uarte::Config::default(),
        received,
        sent,
    );
    let (receiver, transmitter) = uart.split();

    let reason = mtslvr_faults::last_words().or(starved);
    let flash = Nvmc::new(p.NVMC);
    let memory = MEMORY.take();
    let model = mtslvr_tasks::open(&MODEL.0);
    let device = mtslvr_tasks::start(reason, model, LISTENER, memory, flash, STORE, NoSlot);
    let session = Session::new(LINK.take());

    interrupt::EGU0_SWI0.set_priority(Priority::P6);
    let urgent = URGENT.start(interrupt::EGU0_SWI0);
    urgent.spawn(capture(microphone).expect("room for a task"));
    urgent.spawn(watch_button(button).expect("room for a task"));
    urgent.spawn(feed_watchdog(watchdog).expect("room for a task"));
    urgent.spawn(flash_light(light).expect("room for a task"));
    urgent.spawn(receive(receiver).expect("room for a task"));
    urgent.spawn(answer(transmitter).expect("room for a task"));
    mtslvr_tasks::run(device, session, |reason| mtslvr_faults::restart(reason)).await
}

/// Records without a gap: the DMA fills one buffer while the other is taken.
#[embassy_executor::task]
async fn capture(mut microphone: Pdm<'static>) {
    let mut pace = Pace::new(BLOCK as u32, FRONTEND.sample_rate);
    let stopped = microphone.run_task_sampler(BLOCKS.take(), |samples| {
        let lost = pace.arrived(Instant::now().as_micros());
        mtslvr_tasks::record(samples.iter().copied(), lost * BLOCK as u32);
        SamplerState::Sampled
    });
    if let Err(error) = stopped.await {
        panic!("the PDM interface: {error:?}");
    }
}

#[embassy_executor::task]
async fn watch_button(button: Input<'static>) {
    mtslvr_tasks::watch_button(|| button.is_low()).await
}

#[embassy_executor::task]
async fn feed_watchdog(mut watchdog: WatchdogHandle) {
    mtslvr_tasks::feed_watchdog(|| watchdog.pet()).await
}

#[embassy_executor::task]
async fn flash_light(mut light: Output<'static>) {
    // It shines while its pin is low.
    mtslvr_tasks::flash_light(|on| light.set_level((!on).into())).await
}

#[embassy_executor::task]
async fn receive(line: BufferedUarteRx<'static>) {
    mtslvr_tasks::receive_from(line).await
}

#[embassy_executor::task]
async fn answer(line: BufferedUarteTx<'static>) {
    mtslvr_tasks::answer_over(line).await
}
