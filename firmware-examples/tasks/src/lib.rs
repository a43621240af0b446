//! A device that is taught sounds, on embassy: what boards have in common beside the device itself.
//!
//! The button, the light and the capture of samples run in an executor of their own, in an interrupt:
//! they go on while thread mode embeds, fits or waits for the flash.
#![no_std]

use defmt::{Display2Format, info, warn};
use embassy_futures::select::select;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Ticker, Timer};
use embedded_storage::nor_flash::{NorFlash, NorFlashError};
use mtslvr_device::button::{Button, Change};
use mtslvr_device::light::Flashes;
use mtslvr_device::{Device, Notice, Part, Recording, Vitals};
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

/// Takes samples from the microphone, before which `lost` others were lost. One task may.
pub fn record(samples: impl ExactSizeIterator<Item = i16>, lost: u32) {
    RECORDING.push(samples);
    LOST.fetch_add(lost, Ordering::Relaxed);
    RECORDED.signal(());
    VITALS.goes_on(Part::Microphone);
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

/// Lets the device listen and do what the button says, until there is a reason to start again: `restart` then does so.
pub async fn run<F: NorFlash<Error: Copy>, S: ModelSlot>(
    mut device: Device<'_, F, S>,
    restart: fn(&str) -> !,
) -> ! {
    loop {
        select(RECORDED.wait(), CHANGES.ready_to_receive()).await;
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
        VITALS.goes_on(Part::Listening);
        if let Some(reason) = device.restart_reason() {
            restart(reason);
        }
    }
}
