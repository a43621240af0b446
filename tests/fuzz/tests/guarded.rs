//! A decoder that panics is no finding, as its panic is an error like others. Alone in its program,
//! because it looks at what the program's hook for panics hears.

use mtslvr_fuzz::audio_read;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A CAF recording whose packets have more bits than 32 bits count: symphonia counts them there.
fn long_packets() -> Vec<u8> {
    let mut caf = b"caff\0\x01\0\0desc".to_vec();
    caf.extend(32_u64.to_be_bytes());
    caf.extend(16_000_f64.to_be_bytes());
    caf.extend(b"lpcm\0\0\0\0");
    // Bytes of a packet, its frames, channels, bits.
    for field in [u32::MAX, 1, 1, 16_u32] {
        caf.extend(field.to_be_bytes());
    }
    caf.extend(b"data");
    caf.extend(68_u64.to_be_bytes());
    caf.extend([0; 68]);
    caf
}

#[test]
fn a_panic_of_a_decoder_is_not_heard() {
    static HEARD: AtomicBool = AtomicBool::new(false);
    std::panic::set_hook(Box::new(|_| HEARD.store(true, Relaxed)));
    audio_read(&long_packets());
    assert!(!HEARD.load(Relaxed), "libFuzzer would count it as a crash");
    assert!(std::panic::catch_unwind(|| panic!("heard")).is_err());
    assert!(HEARD.load(Relaxed), "other panics are heard");
}
