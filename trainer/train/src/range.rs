//! Ranges of the numbers in a configuration.

/// A number of a configuration that is out of range.
#[derive(Debug, thiserror::Error)]
#[error("{name} is {value}, expected {low} to {high}")]
pub(crate) struct OutOfRange {
    name: String,
    value: f64,
    low: f64,
    high: f64,
}

/// Refuses a `value` outside `low` to `high`, which is the value of the key `name`; NaN is refused too.
///
/// # Errors
/// The value, if it is out of range.
pub(crate) fn check_range(name: &str, value: f64, low: f64, high: f64) -> Result<(), OutOfRange> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(OutOfRange {
        name: name.to_owned(),
        value,
        low,
        high,
    })
}
