//! Tables in documents, each between two markers, that commands write.

use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeSet;

/// Returns `document` with `table` between the markers called `name`.
///
/// # Errors
/// If the markers are missing.
pub fn with_table(document: &str, name: &str, table: &str) -> Result<String> {
    let [begin, end] = [
        format!("<!-- table: {name} -->\n"),
        format!("<!-- end: {name} -->\n"),
    ];
    let parts = document
        .split_once(&begin)
        .and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, after) =
        parts.with_context(|| format!("no markers of the table {name}: {begin:?}, {end:?}"))?;
    Ok(format!("{before}{begin}{table}{end}{after}"))
}

/// Returns a number with commas between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_replaced_between_its_markers() {
        let document = "a\n<!-- table: x -->\nold\n<!-- end: x -->\nb\n";
        let replaced = with_table(document, "x", "new\n").unwrap();
        assert_eq!(replaced, "a\n<!-- table: x -->\nnew\n<!-- end: x -->\nb\n");
        assert!(with_table(document, "y", "").is_err());
    }

    #[test]
    fn thousands_are_apart() {
        let texts = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn fields_that_the_help_leaves_out_are_named() {
        let figures = serde_json::json!({"a": 1, "b_c": [{"d": {}}], "e": null});
        assert_eq!(untold(&figures, "a, b_c: of each, the other"), ["d", "e"]);
        assert!(untold(&figures, "a b_c (d) e.").is_empty());
    }
}
