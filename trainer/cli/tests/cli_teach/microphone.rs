//! A recording in the place of the sound card, as ALSA's plug-in for files gives it.
#![cfg(all(feature = "mic", target_os = "linux"))]

use super::process::{Ending, lines_from, until};
use super::*;

/// Makes the recording `samples` the default microphone of ALSA, and returns the path of the configuration.
fn sound_card(bench: &Bench, samples: &[f32]) -> PathBuf {
    let (card, config) = (bench.path("card.raw"), bench.path("asound.conf"));
    fs::write(&card, pcm(samples)).unwrap();
    // The device that the recording takes the place of gives silence, as fast as it is read.
    let text = format!(
        "pcm.!default {{\n  type file\n  slave.pcm {{ type null }}\n  file /dev/null\n  \
         infile {:?}\n  format raw\n}}\n",
        card.to_str().unwrap()
    );
    fs::write(&config, text).unwrap();
    config
}

#[test]
fn a_microphone_hears_what_a_pipe_hears() {
    let bench = Bench::new();
    bench.enrol("first", 0, 0..5);
    // Shorter than what may wait for the listener, because this device is faster than it.
    let samples = bench.scene(&[0]);
    let config = sound_card(&bench, &samples);

    let mut command = bench.mtslvr(&["listen", "--mic", "--json"]);
    command.env("ALSA_CONFIG_PATH", config);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = lines_from(child.stdout.take().unwrap());
    let listener = Ending(child);
    let heard = until(&lines, "\"end\"");
    drop(listener);

    let mut listener = bench.mtslvr(&["listen", "-", "--json"]);
    listener.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut listener = listener.spawn().unwrap();
    let mut input = listener.stdin.take().unwrap();
    input.write_all(&pcm(&samples)).unwrap();
    drop(input);
    let piped = listener.wait_with_output().unwrap();
    let piped = String::from_utf8(piped.stdout).unwrap();

    let without_time = |lines: &str| {
        let mut lines = json_lines(lines);
        lines.retain(|line| line["event"] != "summary");
        for line in &mut lines {
            line.as_object_mut().unwrap().remove("unix_time");
        }
        lines
    };
    let heard = without_time(&heard.join("\n"));
    assert_eq!(heard.len(), 2, "{heard:#?}");
    assert_eq!(heard, without_time(&piped));
}

#[test]
fn a_microphone_that_is_not_there_is_named() {
    let bench = Bench::new();
    bench.enrol("first", 0, 0..5);
    let config = bench.path("asound.conf");
    fs::write(&config, "pcm.!default { type hw card 99 }\n").unwrap();
    let mut command = bench.mtslvr(&["listen", "--mic"]);
    let output = command.env("ALSA_CONFIG_PATH", config).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in ["the microphone cannot be", "plugged in"] {
        assert!(said.contains(part), "{said}");
    }
}
