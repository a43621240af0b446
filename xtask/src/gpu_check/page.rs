//! The tables of `trainer/train/benches/GPU.md`.

use super::results::{Case, Metrics, Part, Results, Time};
use anyhow::Result;
use serde_json::Value;
use std::fmt::Write;
use xtask::document::{grouped, with_table};

/// Stands in every table of which there are no results.
const NO_RUN: &str = "Nothing: it has not been run on a GPU.\n";

/// The trainer's side of a comparison.
const TRAINER: &str = "trainer";

/// PyTorch's sides, each with the head of its column.
const PYTORCH: [(&str, &str); 6] = [
    ("eager", "eager"),
    ("eager-channels-last", "eager, channels last"),
    ("eager-graph", "eager, whole step one graph"),
    ("compiled", "compiled"),
    ("graphs", "compiled, CUDA graphs"),
    ("step-graph", "compiled, whole step one graph"),
];

/// Returns `document` with every table replaced by that of the results.
///
/// # Errors
/// If a table's markers are missing.
pub fn with_tables(document: &str, results: Option<&Results>) -> Result<String> {
    let none = Results::default();
    let results = results.unwrap_or(&none);
    let mut text = document.to_owned();
    for (name, table) in [
        ("machine", machine(results)),
        ("steps", steps(results)),
        ("profile", profiles(results)),
        ("operators", operators(results)),
        ("views", views(results)),
        ("training", training(results)),
    ] {
        let table = table.unwrap_or_else(|| NO_RUN.to_owned());
        text = with_table(&text, name, &table)?;
    }
    Ok(text)
}

/// Returns one row of a table.
fn row<T: AsRef<str>>(cells: impl IntoIterator<Item = T>) -> String {
    let mut line = String::from("|");
    for cell in cells {
        let cell = cell.as_ref().replace('\n', " ").replace('|', "\\|");
        let _ = write!(line, " {cell} |");
    }
    line + "\n"
}

/// Returns the head of a table.
fn head(cells: &[&str]) -> String {
    row(cells) + "|" + &"---|".repeat(cells.len()) + "\n"
}

/// Returns a list, below the table before it; nothing for no lines.
fn list(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines = lines
        .iter()
        .map(|line| format!("- {}\n", line.replace('\n', " ")));
    format!("\n{}", lines.collect::<String>())
}

fn machine(results: &Results) -> Option<String> {
    let operators = results.operators.as_ref().and_then(Part::done);
    let comparison = results.comparison.as_ref().and_then(Part::done);
    if operators.is_none() && comparison.is_none() {
        return None;
    }
    let mut table = head(&["", ""]);
    let device = operators.map(|found| found.device.as_str());
    let device = device.or(comparison.and_then(|found| found.device.as_deref()));
    let driver = operators.map(|found| found.driver.as_str());
    for (name, value) in [("GPU", device), ("driver", driver)] {
        if let Some(value) = value {
            table += &row([name, value]);
        }
    }
    table += &row(["processor cores", &results.cores.to_string()]);
    for (name, version) in comparison.into_iter().flat_map(|found| &found.libraries) {
        table += &row([name, version]);
    }
    Some(table)
}

fn operators(results: &Results) -> Option<String> {
    let operators = match results.operators.as_ref()? {
        Part::Failed { error } => return Some(format!("Failed: {error}\n")),
        Part::Done(operators) => operators,
    };
    let passed = operators.checks.iter().filter(|check| check.passed).count();
    let mut table = format!("{passed} of {} passed.\n\n", operators.checks.len());
    table += &head(&["operator", "error", "limit", ""]);
    for check in &operators.checks {
        let error = match (&check.error, check.error.as_f64()) {
            (_, Some(error)) => format!("{error:.1e}"),
            (Value::String(why), _) => why.clone(),
            _ => "not a number".to_owned(),
        };
        let verdict = if check.passed { "" } else { "**failed**" };
        table += &row([
            &check.name,
            &error,
            &format!("{:.1e}", check.limit),
            verdict,
        ]);
    }
    let ended: Vec<String> = operators
        .ended
        .iter()
        .map(|why| format!("Ended too early: {why}"))
        .collect();
    Some(table + &list(&ended))
}

fn views(results: &Results) -> Option<String> {
    let found = match results.views.as_ref()? {
        Part::Failed { error } => return Some(format!("Failed: {}\n", error.replace('\n', " "))),
        Part::Done(found) => found,
    };
    let head = head(&[
        "pairs",
        "features apart, median",
        "features apart, most",
        "labels apart",
        "draws, ms",
        "GPU, ms",
        "processor, ms",
    ]);
    let cells = [
        found.pairs.to_string(),
        format!("{:.1e}", found.median_apart),
        format!("{:.1e}", found.most_apart),
        format!("{} of {}", found.labels_apart, grouped(found.labels)),
        format!("{:.2}", found.draws_ms),
        format!("{:.2}", found.gpu_ms),
        format!("{:.0}", found.processor_ms),
    ];
    Some(head + &row(cells))
}

fn steps(results: &Results) -> Option<String> {
    let comparison = match results.comparison.as_ref()? {
        Part::Failed { error } => return Some(format!("Failed: {error}\n")),
        Part::Done(comparison) => comparison,
    };
    let run = |side: &str| {
        comparison
            .cases
            .iter()
            .any(|case| case.sides.contains_key(side))
    };
    let columns: Vec<(&str, &str)> = PYTORCH.into_iter().filter(|(side, _)| run(side)).collect();
    let mut titles = vec!["network", "pairs", "precision", "parameters", TRAINER];
    titles.extend(columns.iter().map(|(_, title)| *title));
    titles.push("best PyTorch / trainer");
    let mut table = head(&titles);
    let mut remarks = Vec::new();
    for case in &comparison.cases {
        let mut cells = vec![
            format!("`{}`", case.preset),
            case.pairs.to_string(),
            case.precision.clone(),
            case.parameters.map(grouped).unwrap_or_default(),
            spread(case, TRAINER),
        ];
        cells.extend(columns.iter().map(|(side, _)| spread(case, side)));
        cells.push(ratio(case).map_or(String::new(), |ratio| format!("**{ratio:.2}**")));
        table += &row(cells);
        add_remarks(case, &mut remarks);
    }
    remarks.extend(
        comparison
            .ended
            .iter()
            .map(|why| format!("Ended too early: {why}")),
    );
    Some(table + &list(&remarks))
}

/// Returns the time of a side, if it was timed.
fn time<'c>(case: &'c Case, side: &str) -> Option<&'c Time> {
    case.sides.get(side)?.done()
}

/// Returns median and spread of a side's time as text.
fn spread(case: &Case, side: &str) -> String {
    let ms = |value: f64| {
        if value < 10.0 {
            format!("{value:.3}")
        } else {
            format!("{value:.1}")
        }
    };
    time(case, side).map_or(String::new(), |time| {
        format!(
            "{} ({} to {})",
            ms(time.ms),
            ms(time.min_ms),
            ms(time.max_ms)
        )
    })
}

/// Returns PyTorch's best time as a multiple of the trainer's.
fn ratio(case: &Case) -> Option<f64> {
    let theirs = PYTORCH.iter().filter_map(|(side, _)| time(case, side));
    let best = theirs.map(|time| time.ms).min_by(f64::total_cmp)?;
    Some(best / time(case, TRAINER)?.ms)
}

/// Adds what there is to say of a case beside its times.
fn add_remarks(case: &Case, remarks: &mut Vec<String>) {
    let named = format!("`{}`, {}", case.preset, case.precision);
    remarks.extend(case.skipped.iter().map(|why| format!("{named}: {why}")));
    for (side, part) in &case.sides {
        remarks.extend(
            part.error()
                .map(|error| format!("{named}, {side}: {error}")),
        );
        let notes = part.done().into_iter().flat_map(|time| &time.notes);
        remarks.extend(notes.map(|note| format!("{named}, {side}: {note}")));
    }
}

fn profiles(results: &Results) -> Option<String> {
    if results.profiles.is_empty() {
        return None;
    }
    let mut table = head(&["network", "part", "ms", "share"]);
    let mut failures = Vec::new();
    for profile in &results.profiles {
        let network = format!("`{}`", profile.preset);
        match &profile.outcome {
            Part::Failed { error } => failures.push(format!("{network}: {error}")),
            Part::Done(step) => {
                for kernels in &step.parts {
                    let share = format!("{:.0} %", 100.0 * kernels.ms / step.step_ms);
                    table += &row([
                        &network,
                        &kernels.name,
                        &format!("{:.3}", kernels.ms),
                        &share,
                    ]);
                }
                let whole = format!("**{:.3}**", step.step_ms);
                table += &row([&*network, "**whole step**", &whole, ""]);
            }
        }
    }
    Some(table + &list(&failures))
}

fn training(results: &Results) -> Option<String> {
    if results.training.is_empty() {
        return None;
    }
    let mut table = head(&[
        "run",
        "options",
        "steps",
        "seconds",
        "loss",
        "contrastive",
        "predictive",
        "few-shot, %",
        "patches/s",
        "waiting for data",
    ]);
    let mut remarks = Vec::new();
    for run in &results.training {
        let trained = run.outcome.done();
        let mut cells = vec![run.name.clone(), format!("`{}`", run.options.join(" "))];
        cells.extend(metrics(trained.and_then(|trained| trained.last.as_ref())));
        table += &row(cells);
        let ended = trained.and_then(|trained| trained.ended.as_deref());
        remarks.extend(
            run.outcome
                .error()
                .or(ended)
                .map(|why| format!("{}: {why}", run.name)),
        );
    }
    Some(table + &list(&remarks))
}

/// Returns the cells of a run's last metrics, empty where there are none.
fn metrics(last: Option<&Metrics>) -> [String; 8] {
    let Some(last) = last else {
        return Default::default();
    };
    let value = |value: Option<f64>, digits: usize| {
        value.map_or(String::new(), |value| format!("{value:.digits$}"))
    };
    [
        grouped(last.step),
        format!("{:.0}", last.seconds),
        value(last.loss, 3),
        value(last.contrastive, 3),
        value(last.predictive, 3),
        value(last.few_shot, 1),
        value(last.images_per_second, 0),
        value(last.waiting.map(|share| 100.0 * share), 0)
            + if last.waiting.is_some() { " %" } else { "" },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn results() -> Results {
        let time = |ms: f64| json!({"ms": ms, "min_ms": ms - 0.1, "max_ms": ms + 0.1, "steps": 9});
        let mut noted = time(4.0);
        noted["notes"] = json!(["parts that run without CUDA graphs: 2"]);
        serde_json::from_value(json!({
            "cores": 16,
            "operators": {"device": "A GPU", "driver": "1.2", "seconds": 3, "checks": [
                {"name": "conv2d |3x3|", "error": 0.0012, "limit": 0.01, "passed": true},
                {"name": "norm", "error": null, "limit": 0.01, "passed": false},
                {"name": "product", "error": "no kernel", "limit": 0.0, "passed": false},
            ]},
            "comparison": {"libraries": {"PyTorch": "2.11"}, "cases": [
                {"preset": "edge-s", "pairs": 512, "precision": "bf16", "parameters": 776_471, "sides": {
                    "trainer": time(1.5), "eager": time(12.34), "compiled": {"error": "too\nslow"}, "graphs": noted,
                }},
                {"preset": "edge-m", "pairs": 512, "precision": "f32", "skipped": "not run: 3 s were left"},
            ]},
            "profiles": [
                {"preset": "edge-s", "step_ms": 1.5, "parts": [{"name": "norm", "ms": 0.6}]},
                {"preset": "edge-m", "error": "exit status 1", "seconds": 2.0},
            ],
            "training": [
                {"name": "m", "options": ["--preset", "edge-m"], "interrupted": false, "last": {
                    "step": 1200, "seconds": 240.2, "loss": 2.5, "contrastive": 2.0, "predictive": 0.5,
                    "few_shot": null, "images_per_second": 200_000.0, "waiting": 0.25, "teachers": {},
                }},
                {"name": "r", "options": [], "error": "took more than 280 s"},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn steps_have_spread_ratio_and_remarks() {
        let expected = "\
| network | pairs | precision | parameters | trainer | eager | compiled | compiled, CUDA graphs | best PyTorch / trainer |
|---|---|---|---|---|---|---|---|---|
| `edge-s` | 512 | bf16 | 776,471 | 1.500 (1.400 to 1.600) | 12.3 (12.2 to 12.4) |  | 4.000 (3.900 to 4.100) | **2.67** |
| `edge-m` | 512 | f32 |  |  |  |  |  |  |

- `edge-s`, bf16, compiled: too slow
- `edge-s`, bf16, graphs: parts that run without CUDA graphs: 2
- `edge-m`, f32: not run: 3 s were left
";
        assert_eq!(steps(&results()).unwrap(), expected);
    }

    #[test]
    fn errors_stand_beside_their_limits() {
        let expected = "\
1 of 3 passed.

| operator | error | limit |  |
|---|---|---|---|
| conv2d \\|3x3\\| | 1.2e-3 | 1.0e-2 |  |
| norm | not a number | 1.0e-2 | **failed** |
| product | no kernel | 0.0e0 | **failed** |
";
        assert_eq!(operators(&results()).unwrap(), expected);
        let failed = serde_json::from_value(json!({"operators": {"error": "no driver"}})).unwrap();
        assert_eq!(operators(&failed).unwrap(), "Failed: no driver\n");
    }

    #[test]
    fn parts_that_failed_leave_the_others() {
        let results = results();
        let profile = profiles(&results).unwrap();
        assert!(
            profile.contains("| `edge-s` | norm | 0.600 | 40 % |"),
            "{profile}"
        );
        assert!(
            profile.ends_with("\n- `edge-m`: exit status 1\n"),
            "{profile}"
        );
        let training = training(&results).unwrap();
        let run =
            "| m | `--preset edge-m` | 1,200 | 240 | 2.500 | 2.000 | 0.500 |  | 200000 | 25 % |";
        assert!(training.contains(run), "{training}");
        assert!(
            training.ends_with("\n- r: took more than 280 s\n"),
            "{training}"
        );
        let machine = machine(&results).unwrap();
        assert!(machine.contains("| PyTorch | 2.11 |"), "{machine}");
    }

    #[test]
    fn without_results_every_table_says_so() {
        let names = [
            "machine",
            "steps",
            "profile",
            "operators",
            "views",
            "training",
        ];
        let markers =
            names.map(|name| format!("<!-- table: {name} -->\nold\n<!-- end: {name} -->\n"));
        let page = with_tables(&markers.concat(), None).unwrap();
        assert_eq!(page.matches(NO_RUN).count(), names.len());
        assert!(!page.contains("old"));
    }
}
