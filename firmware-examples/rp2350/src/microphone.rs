//! An I2S microphone, read by a PIO state machine whose words a DMA channel writes to a ring, for
//! ever and without the processor.

use core::sync::atomic::{AtomicU32, Ordering};
use embassy_rp::Peri;
use embassy_rp::bind_interrupts;
use embassy_rp::pac;
use embassy_rp::pac::dma::vals::{DataSize, TransCountMode, TreqSel};
use embassy_rp::peripherals::{DMA_CH0, PIO0};
use embassy_rp::pio::program::pio_asm;
use embassy_rp::pio::{
    Config, Direction, FifoJoin, InterruptHandler, Pio, PioPin, ShiftConfig, ShiftDirection,
    StateMachine,
};
use embassy_rp::pio_programs::clock_divider::calculate_pio_clock_divider;
use mtslvr_device::i2s::{SLOT_BITS, sample};

/// Samples in the ring: half a second of them, which is longer than any flash takes to erase 4 KB.
pub const RING_LEN: usize = 8_192;
/// PIO cycles of the bit clock's period.
const CYCLES_PER_BIT: u32 = 2;

/// The DMA wraps addresses of as many bits.
const RING_BITS: u8 = (RING_LEN * size_of::<u32>()).ilog2() as u8;

/// The ring stands where its address has zeros in the bits that wrap.
#[repr(C, align(32768))]
struct Ring([AtomicU32; RING_LEN]);

const _: () = assert!(align_of::<Ring>() == 1 << RING_BITS);

static RING: Ring = Ring([const { AtomicU32::new(0) }; RING_LEN]);

bind_interrupts!(struct Interrupts {
    PIO0_IRQ_0 => InterruptHandler<PIO0>;
});

/// A microphone at work, and how far its ring has been read.
pub struct Microphone {
    _state_machine: StateMachine<'static, PIO0, 0>,
    _channel: Peri<'static, DMA_CH0>,
    read: usize,
}

impl Microphone {
    /// Clocks the microphone for `sample_rate` samples a second of its left channel. The word select
    /// pin must be the one behind the bit clock's.
    pub fn start(
        pio: Peri<'static, PIO0>,
        channel: Peri<'static, DMA_CH0>,
        data: Peri<'static, impl PioPin>,
        bit_clock: Peri<'static, impl PioPin>,
        word_select: Peri<'static, impl PioPin>,
        sample_rate: u32,
    ) -> Self {
        let Pio {
            mut common,
            mut sm0,
            ..
        } = Pio::new(pio, Interrupts);
        // Side-set: word select, bit clock. The microphone changes its data as the clock falls and it
        // is read as the clock rises. Word select changes one clock before a slot's first bit.
        let program = pio_asm!(
            ".side_set 2",
            ".wrap_target",
            "    set x, 29          side 0b00",
            "left:",
            "    in pins, 1         side 0b01", // bits 0 to 29
            "    jmp x--, left      side 0b00",
            "    in pins, 1         side 0b01", // bit 30
            "    set x, 30          side 0b10",
            "    in pins, 1         side 0b11", // bit 31
            "right:",
            "    nop                side 0b10", // bits 0 to 30 of the other slot
            "    jmp x--, right     side 0b11",
            "    nop                side 0b00",
            "    nop                side 0b01", // bit 31
            ".wrap",
        );
        let program = common.load_program(&program.program);
        let data = common.make_pio_pin(data);
        let bit_clock = common.make_pio_pin(bit_clock);
        let word_select = common.make_pio_pin(word_select);
        let mut config = Config::default();
        config.use_program(&program, &[&bit_clock, &word_select]);
        config.set_in_pins(&[&data]);
        config.clock_divider =
            calculate_pio_clock_divider(sample_rate * 2 * SLOT_BITS * CYCLES_PER_BIT);
        config.shift_in = ShiftConfig {
            threshold: SLOT_BITS as u8,
            direction: ShiftDirection::Left,
            auto_fill: true,
        };
        config.fifo_join = FifoJoin::RxOnly;
        sm0.set_config(&config);
        sm0.set_pin_dirs(Direction::In, &[&data]);
        sm0.set_pin_dirs(Direction::Out, &[&bit_clock, &word_select]);

        let dma = pac::DMA.ch(0);
        dma.read_addr()
            .write_value(pac::PIO0.rxf(0).as_ptr() as u32);
        dma.write_addr().write_value(RING.0.as_ptr() as u32);
        dma.trans_count()
            .write(|w| w.set_mode(TransCountMode::ENDLESS));
        dma.ctrl_trig().write(|w| {
            w.set_treq_sel(TreqSel::PIO0_RX0);
            w.set_data_size(DataSize::SIZE_WORD);
            w.set_incr_read(false);
            w.set_incr_write(true);
            w.set_ring_sel(true);
            w.set_ring_size(RING_BITS);
            // To itself: to none.
            w.set_chain_to(0);
            w.set_high_priority(true);
            w.set_en(true);
        });
        sm0.set_enable(true);
        Self {
            _state_machine: sm0,
            _channel: channel,
            read: 0,
        }
    }

    /// The samples that have come since the last call, if that was less than a ring ago.
    pub fn collect(&mut self) -> impl ExactSizeIterator<Item = i16> + use<> {
        let write_addr = pac::DMA.ch(0).write_addr().read() as usize;
        let written = (write_addr - RING.0.as_ptr() as usize) / size_of::<u32>() % RING_LEN;
        let (start, count) = (self.read, (written + RING_LEN - self.read) % RING_LEN);
        self.read = written;
        (0..count).map(move |i| {
            let word = RING.0[(start + i) % RING_LEN].load(Ordering::Relaxed);
            sample(word)
        })
    }
}
