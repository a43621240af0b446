//! Compares the output of a command's `--json` with its help. Tests of the program, and those of it with a firmware, have
//! this file in common.

use serde_json::Value;
use std::collections::BTreeSet;

/// Returns the names of the fields in `figures`, the output of a command's `--json`, that its `help` does not name
/// as words of their own.
pub fn untold<'f>(figures: &'f Value, help: &str) -> Vec<&'f str> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let words: BTreeSet<&str> = help.split(|c| !is_part(c)).collect();
    let mut names = BTreeSet::new();
    names_in(figures, &mut names);
    names.retain(|name| !words.contains(name));
    names.into_iter().collect()
}

/// Collects the names of the fields of every object in `value`.
fn names_in<'v>(value: &'v Value, names: &mut BTreeSet<&'v str>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            names.insert(name);
            names_in(value, names);
        }),
        Value::Array(values) => values.iter().for_each(|value| names_in(value, names)),
        _ => {}
    }
}
