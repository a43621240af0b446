//! The figures as tables in Markdown, as `cargo xtask bench-firmware` prints them.

use crate::measured::{Layer, Measured};
use std::fmt;
use xtask::document::grouped;

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} on {}, {}\n", self.model, self.machine, self.compiler)?;
        writeln!(
            f,
            "| inference | MAC | instructions | instructions per MAC |"
        )?;
        writeln!(f, "|---|---|---|---|")?;
        row(f, "all parts of one patch", self.macs, self.instructions)?;
        layers(f, "layer", &self.layers)?;
        layers(f, "single layer", &self.shapes)?;

        writeln!(
            f,
            "\n| 1x1 layer over two maps | one after the other | together |"
        )?;
        writeln!(f, "|---|---|---|")?;
        for paths in &self.paths {
            let name = paths.name.replace("->", "→");
            let [apart, together] = [paths.one_after_the_other, paths.together].map(grouped);
            writeln!(f, "| {name} | {apart} | {together} |")?;
        }

        other_work(f, self)?;
        memory(f, self)
    }
}

/// Writes the table of instructions outside of the inference.
fn other_work(f: &mut fmt::Formatter<'_>, measured: &Measured) -> fmt::Result {
    writeln!(f, "\n| other work | instructions |")?;
    writeln!(f, "|---|---|")?;
    let mut work =
        |what: &str, instructions: u64| writeln!(f, "| {what} | {} |", grouped(instructions));
    work("opening and checking the model", measured.open_instructions)?;
    work(
        "opening it with a known checksum",
        measured.open_known_instructions,
    )?;
    if let Some(signed) = &measured.signed {
        work("hash of the model", signed.hash_instructions)?;
        work("its signature", signed.signature_instructions)?;
    }
    work(
        "preparing the frontend",
        measured.frontend.set_up_instructions,
    )?;
    work(
        "features of one frame",
        measured.frontend.instructions_per_frame,
    )?;
    work(
        "a second in which nothing is heard",
        measured.idle.instructions,
    )?;
    for head in &measured.heads {
        let what = |step: &str| {
            format!(
                "{}, {} classes, {} examples: {step}",
                head.name, head.classes, head.examples
            )
        };
        work(&what("taking one example"), head.enrol_instructions)?;
        work(&what("fit"), head.fit_instructions)?;
        work(&what("decision"), head.decide_instructions)?;
    }
    Ok(())
}

/// Writes the tables of flash, RAM and stack.
fn memory(f: &mut fmt::Formatter<'_>, measured: &Measured) -> fmt::Result {
    writeln!(f, "\n| example firmware | bytes |")?;
    writeln!(f, "|---|---|")?;
    for (part, bytes) in memory_rows(measured) {
        writeln!(f, "| {part} | {} |", grouped(bytes))?;
    }

    if let Some(signed) = &measured.signed {
        let more = grouped(signed.flash_bytes);
        writeln!(f, "| flash, more with the verifier | {more} |")?;
    }

    let memory = &measured.memory;
    writeln!(f, "\n| runtime alone, without model | bytes of flash |")?;
    writeln!(f, "|---|---|")?;
    writeln!(f, "| all | {} |", grouped(memory.runtime_bytes))?;
    let mut rest = memory.runtime_bytes;
    for (name, bytes) in &memory.runtime_functions {
        writeln!(f, "| functions of {name} | {} |", grouped(*bytes))?;
        rest = rest.saturating_sub(*bytes);
    }
    writeln!(f, "| constants | {} |", grouped(rest))
}

/// Lists the memory of the example firmware by part: name and bytes.
pub fn memory_rows(measured: &Measured) -> [(&'static str, u64); 9] {
    let memory = &measured.memory;
    let head_and_arena = memory.arena_bytes + memory.frontend_bytes + memory.head_bytes;
    [
        ("flash", measured.flash_bytes),
        ("flash: model", memory.model_bytes),
        ("flash: code, constants, start values", memory.program_bytes),
        ("RAM: statics", measured.ram_bytes),
        ("RAM: arena", memory.arena_bytes),
        ("RAM: frontend", memory.frontend_bytes),
        ("RAM: head", memory.head_bytes),
        ("RAM: arena, frontend and head", head_and_arena),
        ("stack, at its deepest", measured.stack_bytes),
    ]
}

fn layers(f: &mut fmt::Formatter<'_>, title: &str, layers: &[Layer]) -> fmt::Result {
    writeln!(
        f,
        "\n| {title} | MAC | instructions | instructions per MAC |"
    )?;
    writeln!(f, "|---|---|---|---|")?;
    for layer in layers {
        row(f, &layer.name, layer.macs, layer.instructions)?;
    }
    Ok(())
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, macs: u64, instructions: u64) -> fmt::Result {
    let name = name.replace("->", "→");
    write!(
        f,
        "| {name} | {} | {} | ",
        grouped(macs),
        grouped(instructions)
    )?;
    match macs {
        0 => writeln!(f, "|"),
        _ => writeln!(f, "{:.2} |", instructions as f64 / macs as f64),
    }
}
