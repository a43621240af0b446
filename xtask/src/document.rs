//! Tables in documents, each between two markers, that commands write.

use anyhow::{Context, Result};

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
}
