//! Parts that the reports of several commands have in common.

use super::{Curve, EngineAgreement, Fact};
use crate::export::inspect::Inspection;
use crate::export::verify::Verification;
use crate::train::MetricsRow;
use std::collections::BTreeSet;

/// A size as a reader takes it in.
pub fn bytes(count: usize) -> String {
    match count {
        0..1024 => format!("{count} bytes"),
        1024..1_048_576 => format!("{:.0} KiB", count as f64 / 1024.0),
        _ => format!("{:.1} MiB", count as f64 / 1_048_576.0),
    }
}

/// What a packed model takes on a device.
pub fn model_costs(model: &Inspection) -> Vec<Fact> {
    let mut costs = vec![
        Fact::new("Flash, all", bytes(model.file_bytes)),
        Fact::new("Weights shared by both paths", bytes(model.flash.weights)),
        Fact::new("Adapters", bytes(model.flash.adapters)),
        Fact::new("Tables of both paths", bytes(model.flash.tables)),
        Fact::new("Arena", bytes(model.ram.arena.unwrap_or(0))),
        Fact::new("Frontend and clip buffer", bytes(model.ram.clip_buffer)),
    ];
    let paths: &[&str] = match model.macs.len() {
        1 => &["the one"],
        _ => &["contrastive", "predictive"],
    };
    for (path, macs) in paths.iter().zip(&model.macs) {
        let millions = format!("{:.2} M a patch", *macs as f64 / 1e6);
        costs.push(Fact::new(
            &format!("Multiply-accumulates, {path} path"),
            millions,
        ));
    }
    if model.shared_ops > 0 && model.macs.len() > 1 {
        costs.push(Fact::new(
            "Multiply-accumulates, what is shared once",
            format!("{:.2} M a patch", model.macs_in_all as f64 / 1e6),
        ));
    }
    costs.push(Fact::new(
        "Embedding",
        format!("{} + {} values", model.dims[0], model.dims[1]),
    ));
    costs
}

/// How the engines compared at export.
pub fn engine_agreements(verification: &Verification) -> Vec<EngineAgreement> {
    let ran = verification.engines.iter().map(|engine| EngineAgreement {
        engine: engine.engine.to_owned(),
        largest_difference: Some(engine.absolute.into()),
        relative_difference: Some(engine.relative.into()),
        cosine: Some(engine.cosine.into()),
        note: if engine.float {
            String::new()
        } else {
            format!("8 bits: {:.0} dB above the difference", engine.snr)
        },
    });
    let absent = verification
        .absent
        .iter()
        .map(|(engine, reason)| EngineAgreement {
            engine: engine.clone(),
            largest_difference: None,
            relative_difference: None,
            cosine: None,
            note: reason.clone(),
        });
    ran.chain(absent).collect()
}

/// What a run measured while it trained, as far as it did.
pub fn training_curves(metrics: &[MetricsRow]) -> Vec<Curve> {
    let curve = |name: &str, value: &dyn Fn(&MetricsRow) -> f64| Curve {
        name: name.into(),
        over: "step".into(),
        points: metrics
            .iter()
            .map(|row| [row.step as f64, value(row)])
            .filter(|point| point[1].is_finite())
            .collect(),
    };
    let mut curves = vec![
        curve("Contrastive loss", &|row| row.contrastive),
        curve("Spread of the projections (0: collapsed)", &|row| {
            row.spread
        }),
        curve("Predictive loss (augmentation prediction)", &|row| {
            row.predictive
        }),
        curve("Operators predicted rightly, share", &|row| {
            row.label_accuracy
        }),
        curve("Squared error of the operators' parameters", &|row| {
            row.parameter_error
        }),
    ];
    let teachers: BTreeSet<&String> = metrics.iter().flat_map(|row| row.teachers.keys()).collect();
    curves.extend(teachers.into_iter().map(|teacher| {
        let loss = |row: &MetricsRow| row.teachers.get(teacher).copied().unwrap_or(f64::NAN);
        curve(
            &format!("Teacher {teacher}: 1 less the cosine to what it says"),
            &loss,
        )
    }));
    curves.extend([
        curve(
            "Parts that keep what they told: 1 less the cosine",
            &|row| row.kept,
        ),
        curve("Few-shot accuracy on held-out sets, %", &|row| row.few_shot),
        curve("Length of the gradient", &|row| row.gradient_norm),
        curve("Learning rate", &|row| row.learning_rate),
    ]);
    curves.retain(|curve| !curve.points.is_empty());
    curves
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
