//! Sections that a training run and its export add to a report.

use crate::train::MetricsRow;
use mtslvr_evaluate::report::{Curve, EngineAgreement};
use mtslvr_pack::verify::Verification;
use std::collections::BTreeSet;

/// Returns the section on how the engines compared at export.
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

/// Returns the section on what a run measured while it trained, as far as it did.
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
