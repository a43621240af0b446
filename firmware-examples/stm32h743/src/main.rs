//! Teaches sounds to an STM32H743 with an I2S microphone, a button and a light. See `README.md`.
#![no_std]
#![no_main]

mod microphone;
mod model;
mod store;

use core::ops::Range;
use defmt_rtt as _;
use embassy_executor::{InterruptExecutor, Spawner};
use embassy_stm32::bind_interrupts;
use embassy_stm32::flash::Flash;
use embassy_stm32::gpio::{Input, Level, Output, Pull, Speed};
use embassy_stm32::interrupt;
use embassy_stm32::interrupt::{InterruptExt, Priority};
use embassy_stm32::pac;
use embassy_stm32::peripherals::{IWDG1, USART3};
use embassy_stm32::rcc::{
    AHBPrescaler, APBPrescaler, Pll, PllDiv, PllMul, PllPreDiv, PllSource, Sysclk, VoltageScale,
};
use embassy_stm32::usart::{self, BufferedUart, BufferedUartRx, BufferedUartTx};
use embassy_stm32::wdg::IndependentWatchdog;
use embassy_time::Instant;
use embedded_storage::nor_flash::NorFlash;
use microphone::{BLOCK, Microphone, Parts};
use model::{ARENA_LEN, EMBEDDING_DIM, FRONTEND, MODEL};
use mtslvr_device::{LinkMemory, Memory, Pace, listener_len, profile_len, scratch_len, store_len};
use mtslvr_runtime::link::{NoSlot, Session};
use mtslvr_runtime::listener::ListenerConfig;
use static_cell::ConstStaticCell;
use store::StoreFlash;

/// Where in flash the device keeps what it is taught: in the bank that the program does not run from, so that
/// it goes on while this one is erased.
const STORE: Range<u32> = 0x18_0000..0x20_0000;
const LISTENER_LEN: usize = listener_len(&FRONTEND, EMBEDDING_DIM);
const SCRATCH_LEN: usize = scratch_len(EMBEDDING_DIM);
/// Bytes on their way through the USART, in each direction: more than 20 ms of them.
const USART_LEN: usize = 256;

const _: () = {
    assert!(
        FRONTEND.sample_rate == microphone::SAMPLE_RATE,
        "the audio interface's clock is set up for 16 kHz"
    );
    let page = StoreFlash::ERASE_SIZE;
    let needed = store_len(EMBEDDING_DIM, page);
    assert!(needed <= (STORE.end - STORE.start) as usize);
};

type DeviceMemory = Memory<ARENA_LEN, LISTENER_LEN, EMBEDDING_DIM, SCRATCH_LEN>;

static MEMORY: ConstStaticCell<DeviceMemory> = ConstStaticCell::new(Memory::new());
static LINK: ConstStaticCell<LinkMemory<{ profile_len(EMBEDDING_DIM) }>> =
    ConstStaticCell::new(LinkMemory::new());
static USART: ConstStaticCell<[[u8; USART_LEN]; 2]> = ConstStaticCell::new([[0; USART_LEN]; 2]);
/// Runs what must not wait for the work in thread mode.
static URGENT: InterruptExecutor = InterruptExecutor::new();

bind_interrupts!(struct Interrupts {
    USART3 => usart::BufferedInterruptHandler<USART3>;
});

// An interrupt handler calls its executor, which is unsafe from any other place.
#[interrupt]
#[allow(unsafe_code)]
unsafe fn UART8() {
    // SAFETY: the one place from which it is called; the interrupt is enabled by `start`.
    unsafe { URGENT.on_interrupt() }
}

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    mtslvr_faults::guard_stack();
    let p = embassy_stm32::init(clocks());
    // Flash answers late; instructions are worth a cache. Data has none: it would hide what the DMA writes.
    if let Some(mut core) = cortex_m::Peripherals::take() {
        core.SCB.enable_icache();
    }

    // What nobody feeds any more resets the part.
    let starved = pac::RCC.rsr().read().iwdg1rstf();
    pac::RCC.rsr().modify(|w| w.set_rmvf(true));
    let starved = starved.then(|| mtslvr_tasks::starved());
    let mut watchdog =
        IndependentWatchdog::new(p.IWDG1, 1_000_000 * mtslvr_tasks::WATCHDOG_SECONDS as u32);
    watchdog.unleash();

    // The button B1 of the board, to the supply, and its green light.
    let button = Input::new(p.PC13, Pull::Down);
    let light = Output::new(p.PB0, Level::Low, Speed::Low);
    let parts = Parts {
        sai: p.SAI1,
        channel: p.DMA1_CH0,
        data: p.PE6,
        bit_clock: p.PE5,
        word_select: p.PE4,
    };

    // The board's debugger makes it a serial port of the computer.
    let [received, sent] = USART.take();
    let usart = BufferedUart::new(
        p.USART3,
        p.PD9,
        p.PD8,
        sent,
        received,
        Interrupts,
        // 115,200 baud, no parity.
        usart::Config::default(),
    );
    let (transmitter, receiver) = match usart {
        Ok(usart) => usart.split(),
        Err(error) => panic!("the USART: {error:?}"),
    };

    let reason = mtslvr_faults::last_words().or(starved.flatten());
    let flash = StoreFlash(Flash::new_blocking(p.FLASH));
    let memory = MEMORY.take();
    let device = mtslvr_tasks::start(
        reason,
        mtslvr_tasks::open(&MODEL.0),
        ListenerConfig::DEFAULT,
        memory,
        flash,
        STORE,
        NoSlot,
    );
    let session = Session::new(LINK.take());

    interrupt::UART8.set_priority(Priority::P6);
    let urgent = URGENT.start(interrupt::UART8);
    urgent.spawn(capture(parts).expect("room for a task"));
    urgent.spawn(watch_button(button).expect("room for a task"));
    urgent.spawn(feed_watchdog(watchdog).expect("room for a task"));
    urgent.spawn(flash_light(light).expect("room for a task"));
    urgent.spawn(receive(receiver).expect("room for a task"));
    urgent.spawn(answer(transmitter).expect("room for a task"));
    mtslvr_tasks::run(device, session, |reason| mtslvr_faults::restart(reason)).await
}

/// 400 MHz, from the internal oscillator.
fn clocks() -> embassy_stm32::Config {
    let mut config = embassy_stm32::Config::default();
    let rcc = &mut config.rcc;
    rcc.pll1 = Some(Pll {
        source: PllSource::HSI,
        prediv: PllPreDiv::DIV4,
        mul: PllMul::MUL50,
        fracn: None,
        divp: Some(PllDiv::DIV2),
        divq: None,
        divr: None,
    });
    rcc.sys = Sysclk::PLL1_P;
    rcc.ahb_pre = AHBPrescaler::DIV2;
    rcc.apb1_pre = APBPrescaler::DIV2;
    rcc.apb2_pre = APBPrescaler::DIV2;
    rcc.apb3_pre = APBPrescaler::DIV2;
    rcc.apb4_pre = APBPrescaler::DIV2;
    rcc.voltage_scale = VoltageScale::Scale1;
    microphone::set_clock(rcc);
    config
}

/// Records without a gap: the DMA fills one half of its ring while the other is taken.
#[embassy_executor::task]
async fn capture(parts: Parts) {
    let mut microphone = Microphone::start(parts);
    let mut pace = Pace::new(BLOCK as u32, FRONTEND.sample_rate);
    loop {
        let samples = microphone.block().await;
        let lost = pace.arrived(Instant::now().as_micros());
        mtslvr_tasks::record(samples, lost * BLOCK as u32);
    }
}

#[embassy_executor::task]
async fn watch_button(button: Input<'static>) {
    mtslvr_tasks::watch_button(|| button.is_high()).await
}

#[embassy_executor::task]
async fn feed_watchdog(mut watchdog: IndependentWatchdog<'static, IWDG1>) {
    mtslvr_tasks::feed_watchdog(|| watchdog.pet()).await
}

#[embassy_executor::task]
async fn flash_light(mut light: Output<'static>) {
    mtslvr_tasks::flash_light(|on| light.set_level(on.into())).await
}

#[embassy_executor::task]
async fn receive(line: BufferedUartRx<'static>) {
    mtslvr_tasks::receive_from(line).await
}

#[embassy_executor::task]
async fn answer(line: BufferedUartTx<'static>) {
    mtslvr_tasks::answer_over(line).await
}
