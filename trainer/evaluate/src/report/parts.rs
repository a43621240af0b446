//! Makes parts that the reports of several commands share.

use super::data::Fact;
use mtslvr_pack::inspect::Inspection;

/// Writes a size in bytes, KiB or MiB.
pub fn bytes(count: usize) -> String {
    match count {
        0..1024 => format!("{count} bytes"),
        1024..1_048_576 => format!("{:.0} KiB", count as f64 / 1024.0),
        _ => format!("{:.1} MiB", count as f64 / 1_048_576.0),
    }
}

/// Lists the costs of a packed model on a device.
pub fn model_costs(model: &Inspection) -> Vec<Fact> {
    let mut costs = vec![
        Fact::new("Flash, all", bytes(model.file_bytes)),
        Fact::new("Weights", bytes(model.flash.weights)),
        Fact::new("Adapters", bytes(model.flash.adapters)),
        Fact::new("Tables", bytes(model.flash.tables)),
        Fact::new("Arena", bytes(model.ram.arena.unwrap_or(0))),
        Fact::new("Frontend and clip buffer", bytes(model.ram.clip_buffer)),
    ];
    let millions = |macs: u64| format!("{:.2} M a patch", macs as f64 / 1e6);
    costs.push(Fact::new("Multiply-accumulates", millions(model.macs)));
    if let [_, _, ..] = model.parts[..] {
        for part in &model.parts {
            let name = format!("Multiply-accumulates, {} alone", part.name);
            costs.push(Fact::new(&name, millions(part.macs)));
        }
    }
    let parts = model.parts.iter();
    let parts: Vec<String> = parts.map(|p| format!("{} {}", p.name, p.len)).collect();
    costs.push(Fact::new("Embedding, values", parts.join(" + ")));
    costs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        assert_eq!(
            [12, 2048, 3 << 20].map(bytes),
            ["12 bytes", "2 KiB", "3.0 MiB"]
        );
    }
}
