//! Turns a panic inside an engine into an error.

use super::error::EngineError;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether this thread is inside an engine, whose panics are reported as errors alone.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` of an engine on `model`. The engine is another's code and the model is anyone's: a panic
/// is an error that names the model, and is not printed.
pub(super) fn guarded<T>(
    model: &str,
    work: impl FnOnce() -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                before(info);
            }
        }));
    });
    let before = GUARDED.replace(true);
    // What a panic leaves half made is dropped: nothing of it is used again.
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(before);
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(EngineError::Graph {
            model: model.to_owned(),
            reason: format!(
                "the engine gave up on it ({})",
                text.as_deref().unwrap_or("without a reason")
            ),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_names_the_model() {
        let broken = || -> Result<(), EngineError> { panic!("index {} out of range", 3) };
        let text = guarded("m.onnx", broken).unwrap_err().to_string();
        assert!(text.starts_with("m.onnx: "), "{text}");
        assert!(text.contains("index 3 out of range"), "{text}");
        assert!(matches!(guarded("m.onnx", || Ok(3)), Ok(3)));
    }
}
