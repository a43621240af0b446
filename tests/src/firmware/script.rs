//! The arguments and the flash of the example firmware.

use mtslvr_simulated_flash::SimulatedFlash;
use std::path::PathBuf;

/// Most classes that the firmware enrols.
pub const CLASSES: usize = 8;
/// Most examples that the firmware enrols, of all classes together.
pub const EXAMPLES: usize = 64;

/// Flash as the firmware has it, in the host's memory.
pub type Flash = SimulatedFlash<PAGE, 4>;

/// Bytes of a page of the firmware's flash.
pub(super) const PAGE: usize = 4096;

/// Work that the firmware is asked to do: its arguments.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Examples: label and WAV file.
    pub support: Vec<(String, PathBuf)>,
    /// Classes to forget, after the examples were enrolled.
    pub deleted: Vec<String>,
    /// WAV files to classify.
    pub queries: Vec<PathBuf>,
    /// Threshold of the *unknown* decision, if it is not the model's.
    pub threshold: Option<f32>,
    /// The head, as the firmware's `head=` says it, if it is not the default.
    pub head: Option<&'static str>,
    /// The file that holds the firmware's flash, if what is enrolled is to be kept.
    pub flash: Option<PathBuf>,
    /// Bytes written to flash or erased after which the power goes.
    pub cut: Option<u64>,
}

impl Script {
    /// The firmware's command line.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        if let Some(threshold) = self.threshold {
            arguments.push(format!("threshold={threshold}"));
        }
        if let Some(head) = self.head {
            arguments.push(format!("head={head}"));
        }
        if let Some(path) = &self.flash {
            arguments.push(format!("flash={}", path.display()));
        }
        if let Some(cut) = self.cut {
            arguments.push(format!("cut={cut}"));
        }
        for (label, path) in &self.support {
            arguments.push(format!("support:{label}={}", path.display()));
        }
        for label in &self.deleted {
            arguments.push(format!("delete={label}"));
        }
        for path in &self.queries {
            arguments.push(format!("query={}", path.display()));
        }
        arguments
    }
}
