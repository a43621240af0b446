//! Teaches sounds to an ESP32-C3 with an I2S microphone, a button and a light. See `README.md`.
#![no_std]
#![no_main]

mod microphone;
mod model;

use core::fmt;
use core::ops::Range;
use core::panic::PanicInfo;
use embassy_executor::Spawner;
use embassy_time::{Duration, Instant, Ticker, Timer};
use esp_hal::clock::CpuClock;
use esp_hal::gpio::{Input, InputConfig, Level, Output, OutputConfig, Pull};
use esp_hal::interrupt::Priority;
use esp_hal::interrupt::software::SoftwareInterruptControl;
use esp_hal::peripherals::TIMG1;
use esp_hal::rtc_cntl::SocResetReason;
use esp_hal::system::{reset_reason, software_reset};
use esp_hal::timer::timg::{MwdtStage, TimerGroup, Wdt};
use esp_hal::uart::{Uart, UartRx, UartTx};
use esp_hal::{Blocking, Persistable, ram};
use esp_println as _;
use esp_rtos::embassy::InterruptExecutor;
use esp_storage::FlashStorage;
use microphone::{Microphone, Parts, RING_LEN};
use model::{ARENA_LEN, EMBEDDING_DIM, FRONTEND, MODEL};
use mtslvr_device::{
    Laps, LastWords, LinkMemory, Memory, PanicReason, Reason, listener_len, profile_len,
    scratch_len, store_len,
};
use mtslvr_runtime::link::{NoSlot, Session};
use mtslvr_runtime::listener::ListenerConfig;
use static_cell::{ConstStaticCell, StaticCell};

/// Where in flash the device keeps what it is taught: `sounds` in `partitions.csv`.
const STORE: Range<u32> = 0x3e_8000..0x40_0000;
const LISTENER_LEN: usize = listener_len(&FRONTEND, EMBEDDING_DIM);
const SCRATCH_LEN: usize = scratch_len(EMBEDDING_DIM);
/// Milliseconds from one look at the microphone's ring to the next.
const COLLECT_MS: u64 = 10;
/// Milliseconds from one look at the UART to the next: it holds 128 bytes, 11 ms of them, in each direction.
const UART_MS: u64 = 5;
/// Bytes that the UART is given at once.
const UART_PIECE: usize = 64;

/// There is no floating-point unit, and features alone take about half of the time: windows follow each
/// other half as often as by default, so that there is time for all of them.
const LISTENER: ListenerConfig = ListenerConfig {
    hop: 1.0,
    ..ListenerConfig::DEFAULT
};

const _: () = {
    let page = FlashStorage::SECTOR_SIZE as usize;
    let needed = store_len(EMBEDDING_DIM, page);
    assert!(needed <= (STORE.end - STORE.start) as usize);
};

type DeviceMemory = Memory<ARENA_LEN, LISTENER_LEN, EMBEDDING_DIM, SCRATCH_LEN>;

static MEMORY: ConstStaticCell<DeviceMemory> = ConstStaticCell::new(Memory::new());
static LINK: ConstStaticCell<LinkMemory<{ profile_len(EMBEDDING_DIM) }>> =
    ConstStaticCell::new(LinkMemory::new());
/// Runs what must not wait for the work in thread mode.
static URGENT: StaticCell<InterruptExecutor<1>> = StaticCell::new();

/// Outlives a restart in memory that the start-up code leaves as it is.
#[repr(transparent)]
struct Kept(LastWords);

// SAFETY: any content is valid.
#[allow(unsafe_code)]
unsafe impl Persistable for Kept {}

#[ram(unstable(rtc_fast, persistent))]
static mut LAST_WORDS: Kept = Kept(LastWords::NONE);

// The bootloader starts nothing without it.
esp_bootloader_esp_idf::esp_app_desc!();

#[esp_rtos::main]
async fn main(_spawner: Spawner) {
    let p = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    let interrupts = SoftwareInterruptControl::new(p.SW_INTERRUPT);
    esp_rtos::start(
        TimerGroup::new(p.TIMG0).timer0,
        interrupts.software_interrupt0,
    );

    // What nobody feeds any more resets the chip.
    let starved = match reset_reason() {
        Some(SocResetReason::CoreMwdt1) => mtslvr_tasks::starved(),
        _ => None,
    };
    let mut watchdog = TimerGroup::new(p.TIMG1).wdt;
    let timeout = esp_hal::time::Duration::from_secs(mtslvr_tasks::WATCHDOG_SECONDS);
    watchdog.set_timeout(MwdtStage::Stage0, timeout);
    watchdog.enable();

    // The button BOOT of every board, to ground. It only chooses how to boot during a reset.
    let button = Input::new(p.GPIO9, InputConfig::default().with_pull(Pull::Up));
    let light = Output::new(p.GPIO7, Level::Low, OutputConfig::default());
    let parts = Parts {
        i2s: p.I2S0,
        channel: p.DMA_CH0,
        data: p.GPIO4,
        bit_clock: p.GPIO5,
        word_select: p.GPIO6,
    };

    // 115,200 baud, no parity. The first UART and the USB port are the log's.
    let (receiver, transmitter) = match Uart::new(p.UART1, esp_hal::uart::Config::default()) {
        Ok(uart) => uart.with_rx(p.GPIO0).with_tx(p.GPIO1).split(),
        Err(error) => panic!("the UART: {error}"),
    };

    let reason = last_words().or(starved);
    let flash = FlashStorage::new(p.FLASH);
    let memory = MEMORY.take();
    let model = mtslvr_tasks::open(&MODEL.0);
    let device = mtslvr_tasks::start(reason, model, LISTENER, memory, flash, STORE, NoSlot);
    let session = Session::new(LINK.take());

    let urgent = URGENT.init(InterruptExecutor::new(interrupts.software_interrupt1));
    let urgent = urgent.start(Priority::Priority3);
    urgent.spawn(capture(parts).expect("room for a task"));
    urgent.spawn(watch_button(button).expect("room for a task"));
    urgent.spawn(feed_watchdog(watchdog).expect("room for a task"));
    urgent.spawn(flash_light(light).expect("room for a task"));
    urgent.spawn(receive(receiver).expect("room for a task"));
    urgent.spawn(answer(transmitter).expect("room for a task"));
    mtslvr_tasks::run(device, session, |reason| restart(reason)).await
}

/// Returns the reason of the last restart, once. `None` if nothing was wrong.
#[allow(unsafe_code)]
fn last_words() -> Option<Reason> {
    let place = &raw mut LAST_WORDS;
    // SAFETY: any content is valid, and besides this only `restart` uses it, which never returns.
    unsafe { place.replace(Kept(LastWords::NONE)) }.0.reason()
}

/// Notes `reason` and starts the device again.
#[allow(unsafe_code)]
fn restart(reason: impl fmt::Display) -> ! {
    let place = &raw mut LAST_WORDS;
    // SAFETY: nothing is done after it that would read a half of it.
    unsafe { place.write_volatile(Kept(LastWords::of(reason))) };
    software_reset()
}

/// Keeps the reason over a restart, which tells it.
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    defmt::error!("{}", defmt::Display2Format(info));
    restart(PanicReason(info))
}

/// Collects what the DMA has written. It writes on without help, also while the flash is erased and
/// interrupts have to wait.
#[embassy_executor::task]
async fn capture(parts: Parts) {
    let mut input = parts.input(FRONTEND.sample_rate);
    let mut laps = Laps::new(RING_LEN as u32, FRONTEND.sample_rate);
    let mut ticker = Ticker::every(Duration::from_millis(COLLECT_MS));
    loop {
        let mut microphone = Microphone::start(&mut input);
        loop {
            ticker.next().await;
            let Some(samples) = microphone.collect() else {
                break;
            };
            let lost = laps.collected(Instant::now().as_micros(), samples.len() as u32);
            mtslvr_tasks::record(samples, lost);
        }
    }
}

#[embassy_executor::task]
async fn watch_button(button: Input<'static>) {
    mtslvr_tasks::watch_button(|| button.is_low()).await
}

#[embassy_executor::task]
async fn feed_watchdog(mut watchdog: Wdt<TIMG1<'static>>) {
    mtslvr_tasks::feed_watchdog(|| watchdog.feed()).await
}

#[embassy_executor::task]
async fn flash_light(mut light: Output<'static>) {
    mtslvr_tasks::flash_light(|on| light.set_level(on.into())).await
}

/// Empties the UART, by looking: the driver that waits for an interrupt cannot be given to the urgent executor.
#[embassy_executor::task]
async fn receive(mut line: UartRx<'static, Blocking>) {
    let mut bytes = [0; UART_PIECE];
    let mut ticker = Ticker::every(Duration::from_millis(UART_MS));
    loop {
        ticker.next().await;
        // Where bytes were lost, the host asks again.
        while let Ok(count @ 1..) = line.read_buffered(&mut bytes) {
            mtslvr_tasks::receive(&bytes[..count]);
        }
    }
}

/// Fills the UART as it empties.
#[embassy_executor::task]
async fn answer(mut line: UartTx<'static, Blocking>) {
    let mut bytes = [0; UART_PIECE];
    loop {
        let count = mtslvr_tasks::answer(&mut bytes).await;
        let mut left = &bytes[..count];
        while !left.is_empty() {
            // Waits for nothing while there is room.
            let sent = match line.write_ready() {
                true => line.write(left).unwrap_or_default(),
                false => 0,
            };
            left = left.get(sent..).unwrap_or_default();
            Timer::after_millis(UART_MS).await;
        }
    }
}
