//! Any text gives a configuration that can be used, or an error.

use mtslvr_train::train::RunConfig;

/// Reads `bytes` as a configuration. What is accepted is accepted again as it is written.
pub fn config_read(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(config) = RunConfig::from_toml(text, &[])
        && let Ok(written) = config.to_toml()
    {
        let again = RunConfig::from_toml(&written, &[]);
        assert!(again.is_ok(), "{again:?}");
    }
}
