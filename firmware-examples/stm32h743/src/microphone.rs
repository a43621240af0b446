//! An I2S microphone, read by a serial audio interface whose words a DMA channel writes to a ring.

use defmt::unwrap;
use embassy_stm32::dma::InterruptHandler;
use embassy_stm32::peripherals::{DMA1_CH0, PE4, PE5, PE6, SAI1};
use embassy_stm32::rcc::{
    Config as Clocks, Pll, PllDiv, PllMul, PllPreDiv, PllSource, mux::Saisel,
};
use embassy_stm32::sai::word::U7;
use embassy_stm32::sai::{
    BitOrder, ClockStrobe, Config, DataSize, FifoThreshold, MasterClockDivider, Mode, Sai,
    SlotSize, TxRx, split_subblocks,
};
use embassy_stm32::{Peri, bind_interrupts};
use mtslvr_device::i2s::{SLOT_BITS, sample};
use static_cell::ConstStaticCell;

/// Samples that are taken at once: 128 ms.
pub const BLOCK: usize = 2_048;
/// Samples a second that [`set_clock`] and the dividers here give.
pub const SAMPLE_RATE: u32 = 16_000;
/// Clocks of a frame: two slots.
const FRAME_BITS: u32 = 2 * SLOT_BITS;

/// The DMA fills one half while the other is taken.
static RING: ConstStaticCell<[u32; 2 * BLOCK]> = ConstStaticCell::new([0; 2 * BLOCK]);

bind_interrupts!(struct Interrupts {
    DMA1_STREAM0 => InterruptHandler<DMA1_CH0>;
});

/// The peripherals of a microphone.
pub struct Parts {
    /// The serial audio interface.
    pub sai: Peri<'static, SAI1>,
    /// The channel that empties it.
    pub channel: Peri<'static, DMA1_CH0>,
    /// The microphone's SD (DOUT).
    pub data: Peri<'static, PE6>,
    /// The microphone's SCK (BCLK).
    pub bit_clock: Peri<'static, PE5>,
    /// The microphone's WS (LRCL).
    pub word_select: Peri<'static, PE4>,
}

/// Makes the interface's clock from the internal oscillator: 32.768 MHz, which is 256 x 8 times
/// [`SAMPLE_RATE`].
pub fn set_clock(clocks: &mut Clocks) {
    clocks.pll2 = Some(Pll {
        source: PllSource::HSI,
        // 2.56 MHz, times 128, by 10.
        prediv: PllPreDiv::DIV25,
        mul: PllMul::MUL128,
        fracn: None,
        divp: Some(PllDiv::DIV10),
        divq: None,
        divr: None,
    });
    clocks.mux.sai1sel = Saisel::PLL2_P;
}

/// A microphone at work.
pub struct Microphone {
    sai: Sai<'static, SAI1, u32>,
    block: [u32; BLOCK],
}

impl Microphone {
    /// Clocks the microphone for [`SAMPLE_RATE`] samples a second of its left channel.
    pub fn start(parts: Parts) -> Self {
        let mut config = Config::default();
        config.mode = Mode::Master;
        config.tx_rx = TxRx::Receiver;
        // As I2S has it: word select falls one clock before the left slot's first bit, which comes first, and
        // bits are read as the clock rises.
        config.bit_order = BitOrder::MsbFirst;
        config.clock_strobe = ClockStrobe::Rising;
        config.frame_length = FRAME_BITS as u16;
        config.frame_sync_active_level_length = U7(SLOT_BITS as u8);
        config.slot_size = SlotSize::Channel32;
        config.data_size = DataSize::Data32;
        // Of the two slots, only the left one's words reach memory.
        config.slot_enable = 0b01;
        // By 256 follows from the interface.
        config.master_clock_divider = MasterClockDivider::DIV8;
        config.fifo_threshold = FifoThreshold::Empty;
        let (block_a, _) = split_subblocks(parts.sai);
        let mut sai = Sai::new_asynchronous(
            block_a,
            parts.bit_clock,
            parts.data,
            parts.word_select,
            parts.channel,
            RING.take(),
            Interrupts,
            config,
        );
        unwrap!(sai.start());
        Self {
            sai,
            block: [0; BLOCK],
        }
    }

    /// Waits for the next [`BLOCK`] samples. After it was called so late that some were overwritten, it leaves
    /// out all that the ring holds.
    pub async fn block(&mut self) -> impl ExactSizeIterator<Item = i16> {
        // The ring begins anew after an error, and the clock tells what was lost.
        while self.sai.read(&mut self.block).await.is_err() {}
        self.block.iter().map(|slot| sample(*slot))
    }
}
