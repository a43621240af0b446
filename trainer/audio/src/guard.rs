//! Turns a panic inside another's code into a value.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether this thread is inside guarded code, whose panics are reported as errors alone.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`, another's code on anyone's bytes: a decoder, an engine. A panic is not printed. What `work` changed is
/// not to be used again after an error.
///
/// # Errors
/// The text of the panic.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
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
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(before);
    result.map_err(|panic| said(&*panic))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a reason".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_its_text() {
        let broken = || -> u32 { panic!("index {} out of range", 3) };
        assert_eq!(guarded(broken), Err("index 3 out of range".to_owned()));
        assert_eq!(guarded(|| 3), Ok(3));
    }
}
