//! Limits what a model may ask of the machine that opens it.
//!
//! A valid model of a few bytes can ask for hours of work a patch: a small convolution over a large map.

use std::fmt;

/// Name of the variable of the environment that takes the place of [`WorkLimit::DEFAULT`].
pub const WORK_VARIABLE: &str = "MTSLVR_MAX_MACS";

/// Most that a model may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkLimit {
    /// Steps for one patch: multiply-accumulates, comparisons and sums of pools, and values written.
    pub steps: u64,
}

impl WorkLimit {
    /// About ten seconds of a workstation for a patch; the largest backbone of the paper takes
    /// less than a tenth of it.
    pub const DEFAULT: Self = Self {
        steps: 30_000_000_000,
    };

    /// Bytes of a model's file, and of its arena.
    pub const BYTES: u64 = 1 << 30;

    /// Returns the default limit, or that of the environment.
    ///
    /// # Errors
    /// [`WorkError::Variable`] if the variable is not a whole number.
    pub fn from_environment() -> Result<Self, WorkError> {
        let Some(text) = std::env::var_os(WORK_VARIABLE) else {
            return Ok(Self::DEFAULT);
        };
        let text = text.to_string_lossy();
        let steps = text.trim().parse();
        steps
            .map(|steps| Self { steps })
            .map_err(|_| WorkError::Variable(text.clone().into_owned()))
    }

    /// Refuses `steps` above the limit.
    ///
    /// # Errors
    /// [`WorkError::Steps`].
    pub fn check(self, steps: u64) -> Result<(), WorkError> {
        if steps > self.steps {
            let (found, most) = (steps, self.steps);
            return Err(WorkError::Steps { found, most });
        }
        Ok(())
    }
}

/// Explains why a model asks for too much.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkError {
    /// Too much work for a patch.
    #[error(
        "it takes {} steps (multiply-accumulates, comparisons and values written) a patch, and at most {} \
         are run; set {WORK_VARIABLE}=N in the environment to allow N",
        Grouped(*found),
        Grouped(*most)
    )]
    Steps {
        /// Steps for one patch.
        found: u64,
        /// Largest number allowed.
        most: u64,
    },
    /// The limit in the environment is not a number.
    #[error(
        "{WORK_VARIABLE} is \"{0}\"; expected a whole number, such as 30000000000; correct it or unset it"
    )]
    Variable(String),
    /// The file or the arena is too large.
    #[error("it has {found} bytes of {what}, and at most {most} are taken", most = WorkLimit::BYTES)]
    Bytes {
        /// Quantity that is too large.
        what: &'static str,
        /// Its size.
        found: u64,
    },
}

/// Displays a count with its digits in groups of three. The largest number stands for all that cannot be counted.
pub(crate) struct Grouped(pub(crate) u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == u64::MAX {
            return f.write_str("uncountably many");
        }
        let digits = self.0.to_string();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            fmt::Write::write_char(f, digit)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_work_than_the_limit_is_refused_with_both_numbers() {
        let limit = WorkLimit { steps: 1_000 };
        assert_eq!(limit.check(1_000), Ok(()));
        let text = limit.check(53_000_000_000_001).unwrap_err().to_string();
        for part in ["53,000,000,000,001", "at most 1,000 ", "MTSLVR_MAX_MACS=N"] {
            assert!(text.contains(part), "{text}");
        }
        let text = limit.check(u64::MAX).unwrap_err().to_string();
        assert!(text.contains("takes uncountably many steps"), "{text}");
    }
}
