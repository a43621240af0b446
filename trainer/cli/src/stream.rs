//! `mtslvr stream`: the listener on composed streams.

use super::backbone::ModelChoice;
use super::cache::Cache;
use super::{progress, sets};
use anyhow::{Context, Result, bail, ensure};
use mtslvr_audio::LabelledSet;
use mtslvr_audio::atomic_file::write_bytes;
use mtslvr_evaluate::stream::{
    CastShape, Cost, LevelFigures, Material, Scenery, Source, StreamReport, Taught, Trial,
    TrialShape, trade_off, trial,
};
use mtslvr_pack::BackboneFile;
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::listener::ListenerConfig;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// Percent of misses that are aimed at, at one false alarm an hour.
const AIM: f64 = 10.0;

/// Between these lines of the report stands what the program writes.
const BEGIN: &str = "<!-- figures: written by `mtslvr stream` -->";
const END: &str = "<!-- end of figures -->";

/// Measure the listener on streams composed of labelled recordings over background sound
///
/// In each stream some classes are enrolled from a few examples and then heard among other sounds.
/// Where a manifest.csv gives groups (speaker, kit, recording), no group of an example is heard.
/// Tells true positives, misses, false alarms an hour and the duty cycle, at the default threshold
/// and at others.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelChoice,
    /// Labelled sets (DIR/<class>/<clip>), or folders of such sets
    #[arg(long, value_name = "DIR", num_args = 1.., required = true)]
    data: Vec<PathBuf>,
    /// Classes that are the background, and never enrolled or heard
    #[arg(long, value_name = "SET/CLASS", num_args = 1.., required = true)]
    background: Vec<String>,
    /// Sets whose classes may be enrolled; the others are heard only [default: all]
    #[arg(long, value_name = "SET", num_args = 1..)]
    enrol: Vec<String>,
    /// Streams at each level, each with other sounds
    #[arg(long, default_value_t = 12)]
    streams: u64,
    /// Minutes of a stream
    #[arg(long, default_value_t = 20.0)]
    minutes: f32,
    /// Power of a sound, its pauses left out, over that of the background, dB
    #[arg(long, value_name = "DB", num_args = 1.., allow_negative_numbers = true, default_values_t = [10.0, 0.0, 20.0])]
    snr: Vec<f32>,
    /// What is heard of a sound that was taught: other speakers, kits or recordings than its examples'; the
    /// same ones; or the very same recording [default: all]
    #[arg(long, value_enum, num_args = 1.., hide_default_value = true, default_values_t = [Source::Other, Source::Same, Source::Recording])]
    source: Vec<Source>,
    /// Where sounds are taught
    #[arg(long, value_enum, num_args = 1.., default_values_t = [Taught::InPlace, Taught::Clean])]
    taught: Vec<Taught>,
    /// Enrolled sounds
    #[arg(long, default_value_t = 5)]
    sounds: usize,
    /// Examples of each
    #[arg(long, default_value_t = 5)]
    shots: usize,
    /// How often each enrolled sound is heard in a stream
    #[arg(long, default_value_t = 12)]
    heard: usize,
    /// Other sounds that are heard in a stream
    #[arg(long, default_value_t = 60)]
    others: usize,
    /// Decides the streams
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    listener: Settings,
    #[command(flatten)]
    device: Device,
    #[command(flatten)]
    cache: Cache,
    /// Write stream.json and stream.svg here, and the tables into stream.md between its two marks
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the figures as JSON in place of tables
    #[arg(long)]
    json: bool,
}

/// Of the listener, what is not its default.
#[derive(Debug, clap::Args)]
struct Settings {
    /// Seconds from one window to the next
    #[arg(long, value_name = "SECONDS", default_value_t = ListenerConfig::DEFAULT.hop)]
    hop: f32,
    /// Windows over which embeddings are averaged
    #[arg(long, value_name = "WINDOWS", default_value_t = ListenerConfig::DEFAULT.smoothing)]
    smoothing: u16,
    /// Judgements in a row that have to agree
    #[arg(long, value_name = "WINDOWS", default_value_t = ListenerConfig::DEFAULT.agreeing)]
    agreeing: u16,
    /// How far a frame stands out that opens the gate, dB
    #[arg(long, value_name = "DB", default_value_t = ListenerConfig::DEFAULT.gate)]
    gate: f32,
    /// Seconds for which the gate stays open
    #[arg(long, value_name = "SECONDS", default_value_t = ListenerConfig::DEFAULT.hold)]
    hold: f32,
}

/// Instructions of a multiply-accumulate: edge-s on a Cortex-M4F.
const INSTRUCTIONS_PER_MAC: f64 = 0.95;

/// What the listener costs on a device: the defaults are a Cortex-M4F's, from runtime/BENCHMARKS.md.
#[derive(Debug, clap::Args)]
struct Device {
    /// Instructions of an embedding [default: 0.95 for each multiply-accumulate of the model]
    #[arg(long, value_name = "COUNT")]
    embedding_instructions: Option<f64>,
    /// Instructions of a frame of features
    #[arg(long, value_name = "COUNT", default_value_t = 42_358.0)]
    frame_instructions: f64,
    /// Instructions of a decision
    #[arg(long, value_name = "COUNT", default_value_t = 193_000.0)]
    decision_instructions: f64,
    /// The core's clock
    #[arg(long, value_name = "MHZ", default_value_t = 64.0)]
    clock: f64,
    /// Cycles an instruction
    #[arg(long, default_value_t = 1.0)]
    cycles: f64,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        ensure!(self.streams > 0, "--streams must be at least 1");
        ensure!(
            self.minutes.is_finite() && (1.0..=600.0).contains(&self.minutes),
            "--minutes must be from 1 to 600, not {}",
            self.minutes
        );
        let file = BackboneFile::open(&self.model.source(), None)?;
        let space = file.backbone()?.space().into_owned();
        let frontend = *space.as_space().frontend();
        let material = self.material(frontend.sample_rate)?;
        let config = ListenerConfig {
            hop: self.listener.hop,
            smoothing: self.listener.smoothing,
            agreeing: self.listener.agreeing,
            gate: self.listener.gate,
            hold: self.listener.hold,
            ..ListenerConfig::DEFAULT
        };
        let ungated = ListenerConfig {
            gate: f32::NEG_INFINITY,
            ..config
        };
        let mut runs = Vec::new();
        for &source in &self.source {
            for &taught in &self.taught {
                // Five times the same clip, and nothing else to tell them apart, is one example.
                let pointless = source == Source::Recording && taught == Taught::Clean;
                let levels = self.snr.iter().filter(|_| !pointless);
                runs.extend(levels.map(|snr| (source, taught, *snr)));
            }
        }
        let expected = INSTRUCTIONS_PER_MAC * file.inspect()?.macs as f64;
        let bar = progress::files(runs.len() as u64 * self.streams, "listening");
        let mut levels = Vec::new();
        for (source, taught, snr) in runs {
            let shape = TrialShape {
                cast: CastShape {
                    source,
                    sounds: self.sounds,
                    shots: self.shots,
                    heard: self.heard,
                    others: self.others,
                },
                scenery: Scenery {
                    sample_rate: frontend.sample_rate,
                    seconds: 60.0 * self.minutes,
                    snr,
                },
                taught,
            };
            let trials = (0..self.streams).into_par_iter().map(|stream| {
                let mut backbone = file.backbone()?;
                let seed = self.seed.wrapping_mul(1_000_003).wrapping_add(stream);
                let trial = trial(&mut backbone, &material, &shape, &[config, ungated], seed);
                bar.inc(1);
                trial
            });
            let trials = trials.collect::<Result<Vec<Trial>>>()?;
            levels.push(LevelFigures::of(&trials, &shape, &config));
        }
        bar.finish_and_clear();
        let report = StreamReport {
            model: file.name().to_owned(),
            checksum: space.as_space().backbone().to_string(),
            sounds: self.sounds,
            shots: self.shots,
            seconds: 60.0 * self.minutes,
            others: self.others,
            seed: self.seed,
            frames_per_second: frontend.frames_per_second().into(),
            windows_per_second: 1.0 / f64::from(config.hop),
            cost: Cost {
                embedding: self.device.embedding_instructions.unwrap_or(expected),
                frame: self.device.frame_instructions,
                decision: self.device.decision_instructions,
                clock: 1e6 * self.device.clock,
                cycles: self.device.cycles,
            },
            levels,
        };
        self.tell(&report)
    }

    /// Loads the sets, and finds what is enrolled and what is background.
    fn material(&self, sample_rate: u32) -> Result<Material> {
        let cache = self.cache.open()?;
        let mut sets = Vec::new();
        for set in LabelledSet::open_all(&self.data)? {
            let (loaded, _) = sets::load(&set, sample_rate, &cache);
            sets.push(loaded);
        }
        let names: Vec<&str> = sets.iter().map(|set| set.name.as_str()).collect();
        let find = |name: &str| {
            let position = names.iter().position(|known| *known == name);
            position.with_context(|| {
                format!(
                    "there is no set `{name}` in --data: there are {}",
                    names.join(", ")
                )
            })
        };
        let mut enrol = vec![self.enrol.is_empty(); sets.len()];
        for name in &self.enrol {
            enrol[find(name)?] = true;
        }
        let mut background = Vec::new();
        for name in &self.background {
            let Some((set, class)) = name.split_once('/') else {
                bail!("--background is `{name}`: expected SET/CLASS, such as esc10/rain");
            };
            let set = find(set)?;
            let classes = &sets[set].classes;
            let class = classes.iter().position(|known| known == class);
            let class = class.with_context(|| {
                format!(
                    "--background is `{name}`: the set's classes are {}",
                    classes.join(", ")
                )
            })?;
            background.push((set, class));
        }
        Ok(Material {
            sets,
            enrol,
            background,
        })
    }

    fn tell(&self, report: &StreamReport) -> Result<()> {
        let json = serde_json::to_string_pretty(report)?;
        if let Some(folder) = &self.out {
            let write = |name: &str, text: &str| {
                let path = folder.join(name);
                write_bytes(&path, text.as_bytes())
                    .with_context(|| format!("cannot write {}", path.display()))
            };
            let page = folder.join("stream.md");
            let text = match std::fs::read_to_string(&page) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    format!("{BEGIN}\n{END}\n")
                }
                Err(error) => return Err(error).context(format!("cannot read {}", page.display())),
            };
            write(
                "stream.md",
                &with_figures(&text, &report.to_string(), &page)?,
            )?;
            write("stream.json", &format!("{json}\n"))?;
            write("stream.svg", &trade_off(&report.levels, AIM))?;
        }
        if self.json {
            println!("{json}");
        } else {
            print!("{report}");
        }
        Ok(())
    }
}

/// `text` with what stands between the marks replaced by `figures`.
fn with_figures(text: &str, figures: &str, path: &Path) -> Result<String> {
    let parts = text.split_once(BEGIN);
    let parts = parts.and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.with_context(|| {
        format!(
            "{} lacks the lines `{BEGIN}` and `{END}` between which the figures belong",
            path.display()
        )
    })?;
    Ok(format!(
        "{before}{BEGIN}\n\n{}\n\n{END}{after}",
        figures.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_replace_the_last_ones() {
        let path = Path::new("stream.md");
        let page = format!("# Title\n\n{BEGIN}\nold\n{END}\n\nReading.\n");
        let once = with_figures(&page, "| a |\n", path).unwrap();
        assert_eq!(
            once,
            format!("# Title\n\n{BEGIN}\n\n| a |\n\n{END}\n\nReading.\n")
        );
        assert_eq!(with_figures(&once, "| a |", path).unwrap(), once);
        let error = with_figures("# Title", "", path).unwrap_err().to_string();
        assert!(
            error.contains("stream.md") && error.contains(BEGIN),
            "{error}"
        );
    }
}
