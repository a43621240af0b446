//! An I2S microphone, whose samples a DMA channel writes to a ring without the processor.

use defmt::unwrap;
use esp_hal::Blocking;
use esp_hal::dma::{CHUNK_SIZE, DmaTransferRxCircular};
use esp_hal::i2s::master::{Channels, Config, DataFormat, I2s, I2sRx};
use esp_hal::peripherals::{DMA_CH0, GPIO4, GPIO5, GPIO6, I2S0};
use esp_hal::time::Rate;
use mtslvr_device::i2s::sample;
use static_cell::ConstStaticCell;

/// Bytes of the ring: half a second of samples, which is longer than any flash takes to erase 4 KB. Whole
/// descriptors of the DMA, 64 ms each.
const RING_BYTES: usize = 8 * CHUNK_SIZE;
/// Bytes of a sample in the ring.
const WORD: usize = size_of::<u32>();
/// Samples in the ring.
pub const RING_LEN: usize = RING_BYTES / WORD;

/// Holds what is taken from the ring at once.
static TAKEN: ConstStaticCell<[u8; RING_BYTES]> = ConstStaticCell::new([0; RING_BYTES]);

/// The peripherals of a microphone.
pub struct Parts {
    /// The I2S interface.
    pub i2s: I2S0<'static>,
    /// The channel that empties it.
    pub channel: DMA_CH0<'static>,
    /// The microphone's SD (DOUT).
    pub data: GPIO4<'static>,
    /// The microphone's SCK (BCLK).
    pub bit_clock: GPIO5<'static>,
    /// The microphone's WS (LRCL).
    pub word_select: GPIO6<'static>,
}

/// An I2S input that is set up, and its memory.
pub struct Input {
    rx: I2sRx<'static, Blocking>,
    ring: &'static mut [u8; RING_BYTES],
    taken: &'static mut [u8; RING_BYTES],
}

impl Parts {
    /// Sets up the interface for `sample_rate` samples a second of the left channel. It may be called once.
    pub fn input(self, sample_rate: u32) -> Input {
        let (ring, descriptors, _, _) = esp_hal::dma_circular_buffers!(RING_BYTES, 0);
        // Two slots of 32 bits; only the first one's words reach memory.
        let config = Config::new_tdm_philips()
            .with_sample_rate(Rate::from_hz(sample_rate))
            .with_data_format(DataFormat::Data32Channel32)
            .with_channels(Channels::LEFT);
        let i2s = unwrap!(I2s::new(self.i2s, self.channel, config));
        let rx = i2s
            .i2s_rx
            .with_bclk(self.bit_clock)
            .with_ws(self.word_select)
            .with_din(self.data)
            .build(descriptors);
        Input {
            rx,
            ring,
            taken: TAKEN.take(),
        }
    }
}

/// A microphone at work.
pub struct Microphone<'a> {
    transfer: DmaTransferRxCircular<'a, I2sRx<'static, Blocking>>,
    taken: &'a mut [u8; RING_BYTES],
}

impl<'a> Microphone<'a> {
    /// Starts the clocks, and fills the ring from its beginning.
    pub fn start(input: &'a mut Input) -> Self {
        Self {
            transfer: unwrap!(input.rx.read_dma_circular(&mut input.ring)),
            taken: input.taken,
        }
    }

    /// Takes the samples that have come since the last call, or `None` if the ring has been full: then
    /// the microphone must be started anew.
    pub fn collect(&mut self) -> Option<impl ExactSizeIterator<Item = i16>> {
        let len = self.transfer.pop(self.taken).ok()?;
        let words = self.taken[..len].as_chunks().0;
        Some(words.iter().map(|word| sample(u32::from_le_bytes(*word))))
    }
}

const _: () = assert!(WORD * 8 == mtslvr_device::i2s::SLOT_BITS as usize);
