//! Numbers that look random and are the same on every target.

/// A xorshift generator.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        // Neighbouring seeds begin alike.
        for _ in 0..8 {
            random.bits();
        }
        random
    }

    /// 32 random bits.
    pub fn bits(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }

    /// A number from 0 to `n - 1`.
    pub fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.bits()) * n as u64) >> 32) as usize
    }

    /// One of `values`.
    pub fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// A signed number of `bits` bits.
    pub fn wide(&mut self, bits: u32) -> i32 {
        (self.bits() as i32) >> (32 - bits)
    }

    /// A byte.
    pub fn byte(&mut self) -> i8 {
        self.wide(8) as i8
    }

    /// Two bytes, the lesser one first.
    pub fn bounds(&mut self) -> [i8; 2] {
        let (a, b) = (self.byte(), self.byte());
        // Often the whole range: kernels may have a faster way for it.
        if self.below(2) == 0 {
            [i8::MIN, i8::MAX]
        } else {
            [a.min(b), a.max(b)]
        }
    }
}
