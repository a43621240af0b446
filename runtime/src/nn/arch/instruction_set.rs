//! Instruction sets of hosts, found while the program runs; WebAssembly's is known when it is compiled.

/// An instruction set that there are kernels for on machines with `std`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstructionSet {
    /// The portable kernels, for any machine.
    Portable,
    /// x86-64 with AVX2.
    Avx2,
    /// x86-64 with AVX-512 (F, BW, VL) and its VNNI instructions.
    Avx512Vnni,
    /// aarch64 with Advanced SIMD.
    Neon,
    /// aarch64 with the dot product instructions of Armv8.2 as well.
    NeonDotProd,
    /// WebAssembly with vectors of 128 bits. A module that was compiled with them runs only where they are.
    Simd128,
}

impl InstructionSet {
    /// All instruction sets, whether this machine has them or not.
    pub const ALL: [Self; 6] = [
        Self::Portable,
        Self::Avx2,
        Self::Avx512Vnni,
        Self::Neon,
        Self::NeonDotProd,
        Self::Simd128,
    ];

    /// Returns the name in tables and on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512Vnni => "avx512-vnni",
            Self::Neon => "neon",
            Self::NeonDotProd => "neon-dotprod",
            Self::Simd128 => "simd128",
        }
    }

    /// Returns whether this machine has it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
                    // Quantisation and addition have no kernels of their own.
                    && is_x86_feature_detected!("avx2")
            }
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[cfg(target_arch = "aarch64")]
            Self::NeonDotProd => {
                std::arch::is_aarch64_feature_detected!("neon")
                    && std::arch::is_aarch64_feature_detected!("dotprod")
            }
            Self::Simd128 => cfg!(all(target_arch = "wasm32", target_feature = "simd128")),
            _ => false,
        }
    }

    /// Returns the fastest one that this machine has.
    pub fn best() -> Self {
        let fastest_first = [
            Self::Avx512Vnni,
            Self::Avx2,
            Self::NeonDotProd,
            Self::Neon,
            Self::Simd128,
        ];
        let mut available = fastest_first.into_iter().filter(|set| set.is_available());
        available.next().unwrap_or(Self::Portable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_available_and_foreign_ones_are_not() {
        assert!(InstructionSet::best().is_available());
        let available = InstructionSet::ALL
            .into_iter()
            .filter(|set| set.is_available());
        let names: Vec<&str> = available.map(InstructionSet::name).collect();
        assert_eq!(names[0], "portable");
        let x86 = names.iter().any(|name| name.starts_with("avx"));
        let arm = names.iter().any(|name| name.starts_with("neon"));
        assert!(!(x86 && arm), "{names:?}");
    }
}
