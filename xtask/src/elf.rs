//! Sizes of a firmware: sections and symbols of its ELF file.

use anyhow::{Context, Result};
use object::elf::{SHF_ALLOC, SHF_WRITE};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, SymbolKind};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Bytes of a firmware.
#[derive(Debug, PartialEq)]
pub struct Sizes {
    /// Bytes of flash: everything that is loaded, the start values of statics among it.
    pub flash: u64,
    /// Bytes of RAM: statics and code that runs from there, without the stack.
    pub ram: u64,
    /// Bytes of flash without vectors: instructions, constants and start values.
    pub program: u64,
    /// Bytes of functions, by the crate that wrote them. A function that the compiler moved into its caller counts
    /// there.
    pub functions: BTreeMap<String, u64>,
}

/// Reads the ELF file at `path`.
pub fn sizes(path: &Path) -> Result<Sizes> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let file = object::File::parse(&*bytes).with_context(|| path.display().to_string())?;
    let mut sizes = Sizes {
        flash: 0,
        ram: 0,
        program: 0,
        functions: BTreeMap::new(),
    };
    for section in file.sections() {
        let name = section.name().unwrap_or_default();
        let SectionFlags::Elf { sh_flags } = section.flags() else {
            continue;
        };
        if sh_flags & u64::from(SHF_ALLOC) == 0 {
            continue;
        }
        if matches!(name, ".stack" | ".heap") {
            // What is left over: no static needs it.
            continue;
        }
        let loaded = section.kind() != SectionKind::UninitializedData;
        let written = sh_flags & u64::from(SHF_WRITE) != 0;
        sizes.flash += if loaded { section.size() } else { 0 };
        // Espressif's linker scripts name so the code that is copied to RAM.
        let copied = matches!(name, ".rwtext" | ".trap");
        sizes.ram += if written || copied { section.size() } else { 0 };
        if matches!(name, ".text" | ".rodata" | ".data") {
            sizes.program += section.size();
        }
    }
    // Functions that the linker folded into one have several names at one address.
    let functions: BTreeMap<u64, _> = file
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0)
        .map(|symbol| (symbol.address(), symbol))
        .collect();
    for symbol in functions.values() {
        let writer = writer(symbol.name().unwrap_or_default());
        *sizes.functions.entry(writer).or_default() += symbol.size();
    }
    Ok(sizes)
}

/// The crate that a function's symbol names first; functions without a crate, such as `memcpy` and
/// `__aeabi_dmul`, are the compiler's.
fn writer(symbol: &str) -> String {
    let Ok(name) = rustc_demangle::try_demangle(symbol) else {
        return "compiler_builtins".to_owned();
    };
    let name = format!("{name:#}");
    // `<crate::Type as other::Trait>::function`, `<[T] as ..>` and the like.
    let path = name.trim_start_matches(|c: char| !c.is_alphabetic() && c != '_');
    let path = path.strip_prefix("mut ").unwrap_or(path);
    match path.split_once("::") {
        Some((first, _)) if first.chars().all(|c| c.is_alphanumeric() || c == '_') => {
            first.to_owned()
        }
        _ => "core".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::writer;

    #[test]
    fn functions_belong_to_the_crate_that_they_name_first() {
        for (symbol, expected) in [
            ("_ZN4core3fmt5write17h0123456789abcdefE", "core"),
            (
                "_ZN14mtslvr_runtime2nn8portable4conv8convolve17h0123456789abcdefE",
                "mtslvr_runtime",
            ),
            (
                "_ZN65_$LT$mtslvr_runtime..model..Model$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE",
                "mtslvr_runtime",
            ),
            (
                "_ZN44_$LT$$RF$T$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE",
                "core",
            ),
            ("_RNvNtCs123_7example5inner3foo", "example"),
            ("__aeabi_dmul", "compiler_builtins"),
        ] {
            assert_eq!(writer(symbol), expected, "{symbol}");
        }
    }
}
