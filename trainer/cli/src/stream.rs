//! `mtslvr stream`: measures the listener on composed streams.

mod page;
mod written;

use super::backbone::ModelChoice;
use super::cache::CacheChoice;
use super::examples::examples;
use super::lists::{COMMA, SEVERAL};
use super::{output_place, progress, sets};
use anyhow::{Context, Result, bail, ensure};
use mtslvr_audio::LabelledSet;
use mtslvr_evaluate::stream::{
    CastShape, Cost, LevelFigures, Material, Scenery, Source, Stream, StreamReport, Taught, Trial,
    TrialShape,
};
use mtslvr_pack::BackboneFile;
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::listener::{Listener, ListenerConfig};
use mtslvr_runtime::space::OwnedSpace;
use rayon::prelude::*;
use std::path::PathBuf;

/// Measure the listener on streams that are made of labelled clips
///
/// In each stream a few classes are enrolled and then heard, among other sounds, over background sound.
/// Where a manifest.csv names groups (speaker, kit, recording), no group of an example is heard. Reports
/// the true positives, the misses, the false alarms for each hour and the share of time that a device
/// is busy, at the default threshold and at others.
///
/// The defaults make 180 streams of 20 minutes, 60 hours of sound, which take 2 to 4 minutes on two cores
/// with edge-s. The time grows with --streams, --minutes and the numbers of levels (--snr), of --source and of
/// --taught: a single level of a single source, taught in a single place, is a fifteenth of it.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Measure the shipped edge-s over rain" =>
        "mtslvr stream --data labelled --background esc10/rain",
    "Try fewer, shorter and easier streams first, 10 minutes of sound" =>
        "mtslvr stream --data labelled --background esc10/rain --streams 2 \\\n        \
         --minutes 5 --snr 20 --source other --taught clean",
    "Write a stream, for other programs to be measured on the same sound" =>
        "mtslvr stream --data labelled --background esc10/rain --streams 1 \\\n        \
         --snr 10 --source other --taught clean --write streams",
))]
pub(super) struct Args {
    #[command(flatten, next_help_heading = "Streams")]
    streams: StreamChoice,
    #[command(flatten, next_help_heading = "Sounds in a stream")]
    cast: CastChoice,
    #[command(flatten, next_help_heading = "Listener")]
    listener: ListenerChoice,
    #[command(flatten, next_help_heading = "Cost on a device (defaults: Cortex-M4F)")]
    device: DeviceCosts,
    #[command(flatten, next_help_heading = "Output")]
    output: OutputChoice,
}

/// Options on the material of the streams.
#[derive(Debug, clap::Args)]
struct StreamChoice {
    #[command(flatten)]
    model: ModelChoice,
    /// Labelled sets (DIR/<class>/<clip>), or folders of such sets
    #[arg(long, value_name = "DIR", num_args = SEVERAL, required = true)]
    data: Vec<PathBuf>,
    /// Classes that make the background, such as esc10/rain; they are never enrolled
    #[arg(long, value_name = "SET/CLASS", num_args = SEVERAL, value_delimiter = COMMA, required = true)]
    background: Vec<String>,
    /// Sets whose classes may be enrolled; other sets are only heard [default: all sets]
    #[arg(long, value_name = "SET", num_args = SEVERAL, value_delimiter = COMMA)]
    enrol: Vec<String>,
    /// Streams for each combination of --snr, --source and --taught
    #[arg(long, value_name = "N", default_value_t = 12)]
    streams: u64,
    /// Length of a stream, minutes, from 1 to 600
    #[arg(long, value_name = "MINUTES", default_value_t = 20.0)]
    minutes: f32,
    /// Levels of the sounds over the background, dB of power; pauses in a sound do not count
    ///
    /// A list that begins with a negative level needs the sign of equality: --snr=-5,0.
    #[arg(
        long,
        value_name = "DB",
        num_args = SEVERAL,
        value_delimiter = COMMA,
        allow_negative_numbers = true,
        default_value = "10,0,20"
    )]
    snr: Vec<f32>,
    /// Seed of the streams: the same seed makes the same streams
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    cache: CacheChoice,
}

/// Options on the sounds that are enrolled and heard.
#[derive(Debug, clap::Args)]
struct CastChoice {
    /// Relations of the sounds heard to the examples [default: all three]
    #[arg(
        long,
        value_enum,
        num_args = SEVERAL,
        value_delimiter = COMMA,
        hide_default_value = true,
        default_value = "other,same,recording"
    )]
    source: Vec<Source>,
    /// Places where the sounds are enrolled
    #[arg(
        long,
        value_enum,
        num_args = SEVERAL,
        value_delimiter = COMMA,
        default_value = "in-place,clean"
    )]
    taught: Vec<Taught>,
    /// Sounds to enrol
    #[arg(long, value_name = "N", default_value_t = 5)]
    sounds: usize,
    /// Examples of each enrolled sound
    #[arg(long, value_name = "N", default_value_t = 5)]
    shots: usize,
    /// Number of times that each enrolled sound is heard
    #[arg(long, value_name = "N", default_value_t = 12)]
    heard: usize,
    /// Number of other sounds that are heard
    #[arg(long, value_name = "N", default_value_t = 60)]
    others: usize,
}

/// Options on the listener.
#[derive(Debug, clap::Args)]
struct ListenerChoice {
    /// Time from one window to the next, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = ListenerConfig::DEFAULT.hop)]
    hop: f32,
    /// Windows to average embeddings over
    #[arg(long, value_name = "WINDOWS", default_value_t = ListenerConfig::DEFAULT.smoothing)]
    smoothing: u16,
    /// Decisions in a row that must agree
    #[arg(long, value_name = "WINDOWS", default_value_t = ListenerConfig::DEFAULT.agreeing)]
    agreeing: u16,
    /// Level of a frame above the background that opens the gate, dB
    #[arg(long, value_name = "DB", default_value_t = ListenerConfig::DEFAULT.gate)]
    gate: f32,
    /// Time that the gate stays open, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = ListenerConfig::DEFAULT.hold)]
    hold: f32,
    /// Set the thresholds by so many minutes of the place first, as `mtslvr classes calibrate` does, from 0 to 600
    #[arg(long, value_name = "MINUTES", default_value_t = 0.0)]
    calibrate: f32,
    /// Take a second look at what is about to be recognised: compare its course with those of the examples
    #[arg(long)]
    verify: bool,
}

/// Instructions of a multiply-accumulate: edge-s on a Cortex-M4F.
const INSTRUCTIONS_PER_MAC: f64 = 0.95;

/// Options on the cost of the listener on a device. The defaults are a Cortex-M4F's, from
/// runtime/BENCHMARKS.md.
#[derive(Debug, clap::Args)]
struct DeviceCosts {
    /// Instructions for an embedding [default: 0.95 for each multiply-accumulate of the model]
    #[arg(long, value_name = "COUNT")]
    embedding_instructions: Option<f64>,
    /// Instructions for a frame of features
    #[arg(long, value_name = "COUNT", default_value_t = 42_654.0)]
    frame_instructions: f64,
    /// Instructions for a second in which nothing is heard
    #[arg(long, value_name = "COUNT", default_value_t = 746_468.0)]
    quiet_instructions: f64,
    /// Instructions for a decision
    #[arg(long, value_name = "COUNT", default_value_t = 193_000.0)]
    decision_instructions: f64,
    /// Clock of the core, MHz
    #[arg(long, value_name = "MHZ", default_value_t = 64.0)]
    clock: f64,
    /// Clock cycles for an instruction
    #[arg(long, value_name = "CYCLES", default_value_t = 1.0)]
    cycles: f64,
}

/// Options on what is written.
#[derive(Debug, clap::Args)]
struct OutputChoice {
    /// Folder for stream.md, stream.json and stream.svg [default: none, print only]
    ///
    /// A stream.md that is there keeps its text: only the tables between the two marks are replaced.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// New folder to write the streams to, for other programs to be measured on [default: none]
    ///
    /// Each stream is DIR/<kind>/<number>/stream.wav, 16 bits at the backbone's rate, 115 MB an hour. Beside it
    /// are label tracks of Audacity: stream.txt with the enrolled sounds, others.txt with the other sounds,
    /// events.txt with what was recognised at the default threshold. The examples that were taught are
    /// examples/<class>/<number>.wav, those of the place background/<number>.wav. The figures are those of the
    /// streams as they are written, rounded to 16 bits.
    ///
    /// `mtslvr enrol --whole --force` teaches these examples as they were taught. `mtslvr listen --labels` then
    /// writes the names and beginnings of events.txt; its labels last until the sound is over, those of
    /// events.txt until it was recognised.
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    #[arg(long, help = "Print the figures as JSON instead of tables", long_help = JSON_HELP)]
    json: bool,
}

/// Help on the fields of `--json` and of stream.json: every one.
const JSON_HELP: &str = "\
Print the figures as JSON instead of tables; stream.json has the same. Fields:
  model, checksum: the backbone and its id
  sounds, shots, others, seconds, seed: as they were given
  calibration: seconds of the place by which the thresholds were set; 0 for none
  frames_per_second, windows_per_second: features, and embeddings while a sound lasts
  quiet_frames_per_second: features while nothing is heard
  cost: instructions for an embedding, a frame, a decision and a quiet second; clock, Hz; cycles for an instruction
  levels: for each snr, source and taught
    streams, hours: number and length of the streams
    default: figures with the default threshold
      margin: what is added to each threshold
      heard, found, misses: enrolled sounds, those that were recognised, and the percentage of the others
      false_alarms, false_alarms_on_background, false_alarms_per_hour: events that belong to no such sound
      repeats: events of a sound that had been recognised already
    gated_away: enrolled sounds that the gate kept from being judged
    frames_per_second, embeddings_per_second: features computed, and runs of the backbone
    without_gate: figures without the gate: default, embeddings_per_second, and the sounds that were found
      only_with_gate, only_without it, or lost_to_gate; null where they were not measured
    misses_by_stream: percentage of misses in each stream
    by_set: of each enrolled set, its name, heard and found
    curve: figures, as those of default, at other margins";

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        self.streams.check()?;
        ensure!(
            (0.0..=600.0).contains(&self.listener.calibrate),
            "--calibrate must be from 0 to 600, not {}",
            self.listener.calibrate
        );
        if let Some(folder) = &self.output.write {
            output_place::check_empty(folder)?;
        }
        if let Some(folder) = &self.output.out {
            output_place::make(folder)?;
        }
        let file = BackboneFile::open(&self.streams.model.source(), None)?;
        let space = file.backbone()?.space().into_owned();
        let frontend = *space.as_space().frontend();
        let material = self.streams.material(frontend.sample_rate)?;
        let levels = self.levels(&file, &material, &frontend)?;
        let report = self.report(&file, &space, &frontend, levels)?;
        if let Some(folder) = &self.output.out {
            page::write(folder, &report)?;
        }
        if self.output.json {
            outln!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            out!("{report}");
        }
        Ok(())
    }

    /// Composes the streams of every combination, listens to them and scores what was recognised.
    fn levels(
        &self,
        file: &BackboneFile,
        material: &Material,
        frontend: &FrontendConfig,
    ) -> Result<Vec<LevelFigures>> {
        let config = self.listener.config();
        let ungated = ListenerConfig {
            gate: f32::NEG_INFINITY,
            ..config
        };
        let combinations = self.combinations();
        let StreamChoice { streams, seed, .. } = self.streams;
        let count = combinations.len() as u64 * streams;
        let minutes = self.streams.minutes;
        errln!(
            "{count} streams of {minutes} minutes: {:.1} hours of sound",
            count as f64 * f64::from(minutes) / 60.0
        );
        let bar = progress::files(count, "listening");
        let mut levels = Vec::new();
        for (source, taught, snr) in combinations {
            let shape = TrialShape {
                cast: self.cast.shape(source),
                scenery: Scenery {
                    sample_rate: frontend.sample_rate,
                    seconds: 60.0 * minutes,
                    snr,
                },
                taught,
                calibration: 60.0 * self.listener.calibrate,
                verified: self.listener.verify,
            };
            let trials = (0..streams).into_par_iter().map(|stream| {
                let mut backbone = file.backbone()?;
                // Combinations share their seeds: they differ in nothing but what is compared.
                let seed = seed.wrapping_mul(1_000_003).wrapping_add(stream);
                let mut composed = Stream::compose(material, &shape, frontend, seed)?;
                if self.output.write.is_some() {
                    composed.round_to_16_bits();
                }
                let configs = [config, ungated];
                let trial = composed.listen(&mut backbone, &shape, &configs)?;
                if let Some(root) = &self.output.write {
                    let folder = written::folder(root, &shape, stream + 1);
                    written::write(&folder, &composed, &trial, frontend.sample_rate)?;
                }
                bar.inc(1);
                Ok(trial)
            });
            let trials = trials.collect::<Result<Vec<Trial>>>()?;
            levels.push(LevelFigures::of(&trials, &shape, &config));
        }
        bar.finish_and_clear();
        Ok(levels)
    }

    /// Lists what is measured: each source, taught at each place, at each level.
    fn combinations(&self) -> Vec<(Source, Taught, f32)> {
        let mut combinations = Vec::new();
        for &source in &self.cast.source {
            for &taught in &self.cast.taught {
                // One recording enrolled clean gives the same example each time: as good as one.
                if source == Source::Recording && taught == Taught::Clean {
                    continue;
                }
                let levels = self.streams.snr.iter();
                combinations.extend(levels.map(|&snr| (source, taught, snr)));
            }
        }
        combinations
    }

    fn report(
        &self,
        file: &BackboneFile,
        space: &OwnedSpace,
        frontend: &FrontendConfig,
        levels: Vec<LevelFigures>,
    ) -> Result<StreamReport> {
        Ok(StreamReport {
            model: file.name().to_owned(),
            checksum: space.as_space().backbone().to_string(),
            sounds: self.cast.sounds,
            shots: self.cast.shots,
            seconds: 60.0 * self.streams.minutes,
            others: self.cast.others,
            calibration: 60.0 * self.listener.calibrate,
            seed: self.streams.seed,
            frames_per_second: frontend.frames_per_second().into(),
            quiet_frames_per_second: Listener::quiet_frames_per_second(frontend).into(),
            windows_per_second: 1.0 / f64::from(self.listener.hop),
            cost: self.device.cost(file.inspect()?.macs),
            levels,
        })
    }
}

impl StreamChoice {
    /// Checks the ranges.
    fn check(&self) -> Result<()> {
        ensure!(self.streams > 0, "--streams must be at least 1, not 0");
        ensure!(
            (1.0..=600.0).contains(&self.minutes),
            "--minutes must be from 1 to 600, not {}",
            self.minutes
        );
        Ok(())
    }

    /// Loads the sets, and finds the ones to enrol from and the classes of the background.
    fn material(&self, sample_rate: u32) -> Result<Material> {
        let cache = self.cache.open()?;
        let mut sets = Vec::new();
        for set in LabelledSet::open_all(&self.data)? {
            let (loaded, _) = sets::load(&set, sample_rate, &cache);
            sets.push(loaded);
        }
        let names: Vec<&str> = sets.iter().map(|set| set.name.as_str()).collect();
        let find = |option: &str, name: &str| {
            let position = names.iter().position(|known| *known == name);
            position.with_context(|| {
                format!(
                    "{option}: --data holds no set `{name}`; expected one of {}",
                    names.join(", ")
                )
            })
        };
        let mut enrol = vec![self.enrol.is_empty(); sets.len()];
        for name in &self.enrol {
            enrol[find("--enrol", name)?] = true;
        }
        let mut background = Vec::new();
        for name in &self.background {
            let Some((set, class)) = name.split_once('/') else {
                bail!("--background is `{name}`; expected SET/CLASS, such as esc10/rain");
            };
            let set = find("--background", set)?;
            let classes = &sets[set].classes;
            let class = classes.iter().position(|known| known == class);
            let class = class.with_context(|| {
                format!(
                    "--background is `{name}`; expected one of the set's classes: {}",
                    classes.join(", ")
                )
            })?;
            let clips = sets[set].candidates.iter().zip(&sets[set].clips);
            let mut samples = clips
                .filter(|(candidate, _)| candidate.class == class)
                .flat_map(|(_, clip)| clip.iter());
            ensure!(
                samples.any(|sample| *sample != 0.0),
                "--background {name}: no clip of this class holds sound; name another class"
            );
            background.push((set, class));
        }
        Ok(Material {
            sets,
            enrol,
            background,
        })
    }
}

impl CastChoice {
    fn shape(&self, source: Source) -> CastShape {
        CastShape {
            source,
            sounds: self.sounds,
            shots: self.shots,
            heard: self.heard,
            others: self.others,
        }
    }
}

impl ListenerChoice {
    fn config(&self) -> ListenerConfig {
        ListenerConfig {
            hop: self.hop,
            smoothing: self.smoothing,
            agreeing: self.agreeing,
            gate: self.gate,
            hold: self.hold,
            ..ListenerConfig::DEFAULT
        }
    }
}

impl DeviceCosts {
    /// Returns the costs of a model with so many multiply-accumulates.
    fn cost(&self, macs: u64) -> Cost {
        let expected = INSTRUCTIONS_PER_MAC * macs as f64;
        Cost {
            embedding: self.embedding_instructions.unwrap_or(expected),
            frame: self.frame_instructions,
            decision: self.decision_instructions,
            quiet: self.quiet_instructions,
            clock: 1e6 * self.clock,
            cycles: self.cycles,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Cli, Command};
    use clap::{CommandFactory, Parser};

    /// Returns the number of streams of a command line, and their length together in minutes.
    fn amount(more: &[&str]) -> (u64, f32) {
        let line = ["mtslvr", "stream", "--data", "d", "--background", "a/b"];
        let cli = Cli::try_parse_from([&line, more].concat()).expect("a line of the program");
        let Command::Stream(args) = cli.command else {
            panic!("another command");
        };
        let streams = args.combinations().len() as u64 * args.streams.streams;
        (streams, streams as f32 * args.streams.minutes)
    }

    #[test]
    fn the_help_says_how_much_sound_is_made() {
        let root = Cli::command();
        let stream = root.find_subcommand("stream").expect("it is there");
        let about = stream.get_long_about().expect("it is there").to_string();
        let (streams, minutes) = amount(&[]);
        let each = minutes / streams as f32;
        let words = format!(
            "{streams} streams of {each} minutes, {} hours of sound",
            minutes / 60.0
        );
        assert!(about.contains(&words), "{words}: {about}");
        let single = ["--snr", "20", "--source", "other", "--taught", "clean"];
        assert_eq!(amount(&single).1, minutes / 15.0);
        let example = stream.get_after_help().expect("it is there").to_string();
        let short = [&single[..], &["--streams", "2", "--minutes", "5"]].concat();
        let words = format!("{} minutes of sound", amount(&short).1);
        assert!(example.contains(&words), "{words}: {example}");
    }
}
