//! A device that is taught sounds, on embassy: what boards have in common beside the device itself.
//!
//! The button, the light, the line to a host and the capture of samples run in an executor of their own, in an
//! interrupt: they go on while thread mode embeds, fits or waits for the flash.
#![no_std]

use defmt::{Display2Format, info, warn};
use embassy_futures::select::{Either3, select3};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::pipe::Pipe;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Ticker, Timer};
use embedded_io_async::{Read, Write};
use embedded_storage::nor_flash::{NorFlash, NorFlashError};
use mtslvr_device::button::{Button, Change};
use mtslvr_device::light::Flashes;
use mtslvr_device::{Device, FRAME_LEN, Memory, Notice, Part, Places, Reason, Recording, Vitals};
use mtslvr_runtime::link::{ModelSlot, Session};
use mtslvr_runtime::listener::ListenerConfig;
use mtslvr_runtime::model::Model;
use portable_atomic::{AtomicU32, Ordering};

/// Samples on their way to the listener: two seconds of them, for which the device may be busy.
const RECORDING_LEN: usize = 32_768;
/// Milliseconds from one look at the button to the next.
const POLL_MS: u32 = 10;
/// Milliseconds from one look at the signs of life to the next.
const VITALS_MS: u64 = 500;

/// Seconds after which a watchdog that is not fed starts the device again: longer than anything takes that the
/// device does at once, erasing all pages of the store included.
pub const WATCHDOG_SECONDS: u64 = 8;

static RECORDING: Recording<RECORDING_LEN> = Recording::new();
/// Samples that were lost before they were recorded.
static LOST: AtomicU32 = AtomicU32::new(0);
static RECORDED: Signal<CriticalSectionRawMutex, ()> = Signal::new();
/// Changes of the button that there was no room for.
static MISSED: AtomicU32 = AtomicU32::new(0);
static VITALS: Vitals = Vitals::new();
/// What the button did, and which sample was the next to be recorded then.
static CHANGES: Channel<CriticalSectionRawMutex, (Change, u32), 16> = Channel::new();
static SHOWN: Channel<CriticalSectionRawMutex, Flashes, 4> = Channel::new();

/// Bytes of the line to a host, which asks and waits for the answer: a frame in each direction.
static RECEIVED: Pipe<CriticalSectionRawMutex, FRAME_LEN> = Pipe::new();
static ANSWERS: Pipe<CriticalSectionRawMutex, FRAME_LEN> = Pipe::new();
/// Bytes of the line taken at once.
const PIECE: usize = 64;

/// Takes samples from the microphone, before which `lost` others were lost. One task may.
pub fn record(samples: impl ExactSizeIterator<Item = i16>, lost: u32) {
    RECORDING.push(samples);
    LOST.fetch_add(lost, Ordering::Relaxed);
    RECORDED.signal(());
    VITALS.goes_on(Part::Microphone);
}

/// Opens the model that is in the program.
///
/// # Panics
/// If the bytes are no model: the flash is damaged, or what was flashed was not whole.
pub fn open(model: &[u8]) -> Model<'_> {
    match Model::open(model) {
        Ok(model) => model,
        Err(error) => panic!("the model in flash: {error}"),
    }
}

/// Starts a device as [`Device::start`] does. Tells why the device was restarted, if it was, and what it knows. What does
/// not fit together is a panic.
pub fn start<
    'm,
    F: NorFlash<Error: Copy>,
    S: ModelSlot,
    const ARENA: usize,
    const LISTENER: usize,
    const DIM: usize,
    const SCRATCH: usize,
>(
    restarted: Option<Reason>,
    model: Model<'m>,
    config: ListenerConfig,
    memory: &'m mut Memory<ARENA, LISTENER, DIM, SCRATCH>,
    flash: F,
    places: impl Into<Places<'m>>,
    slot: S,
) -> Device<'m, F, S> {
    if let Some(reason) = restarted {
        tell(Notice::<F::Error>::Restarted(reason));
    }
    match Device::start(model, config, memory, flash, places, slot, tell) {
        Ok(device) => device,
        Err(error) => panic!("{error}"),
    }
}

/// Returns the reason of a restart by the watchdog.
pub fn starved() -> Option<Reason> {
    Reason::try_from("the watchdog was not fed").ok()
}

/// Watches a button, which is down when `is_down` says so.
pub async fn watch_button(is_down: impl Fn() -> bool) -> ! {
    let mut button = Button::default();
    let mut ticker = Ticker::every(Duration::from_millis(POLL_MS.into()));
    loop {
        ticker.next().await;
        VITALS.goes_on(Part::Button);
        let Some(change) = button.poll(is_down(), POLL_MS) else {
            continue;
        };
        show(change.flashes());
        let is_for_device = !matches!(change, Change::Held(_));
        if is_for_device && CHANGES.try_send((change, RECORDING.written())).is_err() {
            // The device is far behind: it says so when it gets there.
            MISSED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Feeds a watchdog while samples come, the device listens to them and the button is watched.
pub async fn feed_watchdog(mut feed: impl FnMut()) -> ! {
    let mut ticker = Ticker::every(Duration::from_millis(VITALS_MS));
    loop {
        ticker.next().await;
        if VITALS.may_feed() {
            feed();
        }
    }
}

/// Takes bytes from the line to a host. One task may. Bytes that there is no room for are lost, and asked for again.
pub fn receive(bytes: &[u8]) {
    put(&RECEIVED, bytes);
}

/// Puts bytes into a pipe, whose room may be in two pieces, as far as there is room.
fn put(pipe: &Pipe<CriticalSectionRawMutex, FRAME_LEN>, mut bytes: &[u8]) {
    while !bytes.is_empty()
        && let Ok(count) = pipe.try_write(bytes)
    {
        bytes = bytes.get(count..).unwrap_or_default();
    }
}

/// Waits for bytes for the line, and returns how many of `bytes` they are. One task may.
pub async fn answer(bytes: &mut [u8]) -> usize {
    ANSWERS.read(bytes).await
}

/// Receives what comes over `line`.
pub async fn receive_from(mut line: impl Read) -> ! {
    let mut bytes = [0; PIECE];
    loop {
        match line.read(&mut bytes).await {
            Ok(count) => receive(&bytes[..count]),
            // A byte was lost or the line is broken, and the host asks again.
            Err(_) => Timer::after_millis(1).await,
        }
    }
}

/// Sends the answers over `line`.
pub async fn answer_over(mut line: impl Write) -> ! {
    let mut bytes = [0; PIECE];
    loop {
        let count = answer(&mut bytes).await;
        if line.write_all(&bytes[..count]).await.is_err() {
            Timer::after_millis(1).await;
        }
    }
}

/// Flashes a light with what the device tells.
pub async fn flash_light(mut set: impl FnMut(bool)) -> ! {
    loop {
        for flash in SHOWN.receive().await.iter() {
            set(true);
            Timer::after_millis(flash.on_ms.into()).await;
            set(false);
            Timer::after_millis(flash.off_ms.into()).await;
        }
        // Between two notices.
        Timer::after_millis(500).await;
    }
}

/// Logs a notice, and has it flashed.
pub fn tell<E: NorFlashError>(notice: Notice<E>) {
    if notice.is_trouble() {
        warn!("{}", Display2Format(&notice));
    } else {
        info!("{}", Display2Format(&notice));
    }
    show(notice.flashes());
}

/// Has the light flash, if there is something to flash.
fn show(flashes: Flashes) {
    if flashes != Flashes::default() {
        // A light that is busy with four others cannot be followed any more.
        let _ = SHOWN.try_send(flashes);
    }
}

/// Lets the device listen, do what the button says and answer a host, until there is a reason to start again: `restart`
/// then does so.
pub async fn run<F: NorFlash<Error: Copy>, S: ModelSlot>(
    mut device: Device<'_, F, S>,
    mut session: Session<'_>,
    restart: fn(&str) -> !,
) -> ! {
    let mut bytes = [0; PIECE];
    loop {
        let woken = select3(
            RECORDED.wait(),
            CHANGES.ready_to_receive(),
            RECEIVED.read(&mut bytes),
        );
        let mut received = match woken.await {
            Either3::Third(count) => count,
            Either3::First(()) | Either3::Second(()) => 0,
        };
        let samples = LOST.swap(0, Ordering::Relaxed);
        if samples > 0 {
            tell(Notice::<F::Error>::AudioLost { samples });
        }
        // Asked for before the button's changes: a change that comes later is about later samples.
        let recorded = RECORDING.written();
        while let Ok((change, at)) = CHANGES.try_receive() {
            device.button(&RECORDING, change, at, tell);
        }
        let changes = MISSED.swap(0, Ordering::Relaxed);
        if changes > 0 {
            tell(Notice::<F::Error>::PressesLost { changes });
        }
        device.listen(&RECORDING, recorded, tell);
        // All that has come, up to a frame: the host waits for its answer.
        while received > 0 {
            let line = |answer: &[u8]| put(&ANSWERS, answer);
            device.exchange(&mut session, &bytes[..received], line, tell);
            received = RECEIVED.try_read(&mut bytes).unwrap_or_default();
        }
        VITALS.goes_on(Part::Listening);
        if let Some(reason) = device.restart_reason() {
            restart(reason);
        }
    }
}
