//! `mtslvr demo`: trains, packs, teaches and tests a backbone in a few minutes.

mod advice;
mod page;
mod sounds;
mod tested;

use super::examples::examples;
use super::interrupt;
use super::training_bar::TrainingBar;
use advice::Standing;
use anyhow::{Result, ensure};
use mtslvr_audio::DecodeCache;
use mtslvr_audio::ShowPath;
use mtslvr_evaluate::report::bytes;
use mtslvr_pack::inspect::Inspection;
use mtslvr_pack::{BackboneFile, DEFAULT_CENTRES, Engine, ModelSource, SHIPPED};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_train::export::{ExportRequest, Exported, calibration_audio, export_run, write_shipped};
use mtslvr_train::train::{RunConfig, TrainRequest, Trained, train};
use sounds::Sounds;
use std::path::PathBuf;
use tested::{Tested, TestedBackbone};

const PRESET: &str = "edge-s";

/// Train, pack, teach and test a small backbone in a few minutes
///
/// Trains a backbone without labels, packs it into int8, enrols five sounds from one example each and
/// tests it on other clips, beside the shipped backbones. Needs no data and downloads nothing. Writes
/// the models, results.json and report.html.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Run it on synthetic sounds" => "mtslvr demo",
    "Run it on your own recordings, a folder for each class" => "mtslvr demo --data recordings",
    "Test the shipped backbones, without training" => "mtslvr demo --seconds 0",
))]
pub(super) struct Args {
    /// Folder to write; files of an earlier demo there are overwritten
    #[arg(long, value_name = "DIR", default_value = "mtslvr-demo")]
    out: PathBuf,
    /// Your own recordings, DIR/<class>/<clip> [default: synthetic sounds]
    ///
    /// At least 2 classes with 2 clips each. Clips that are tested are not trained on.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Length of the training, seconds; 0 trains nothing and shows the shipped edge-s
    #[arg(long, value_name = "SECONDS", default_value_t = 90.0)]
    seconds: f64,
    /// Seed of the training, the sounds and the tasks
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Everything that the demo found, for the page.
struct Findings {
    sounds: Sounds,
    /// The training of the first tested backbone; `None` for a shipped one.
    trained: Option<Trained>,
    /// The files of the first tested backbone.
    exported: Exported,
    frontend: FrontendConfig,
    /// The backbone that the page is about, then the shipped ones to compare it with.
    tested: Vec<Tested>,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        ensure!(
            self.seconds >= 0.0 && self.seconds.is_finite(),
            "--seconds must be 0 or more, not {}; 0 trains nothing",
            self.seconds
        );
        let trains = self.seconds > 0.0;
        let config = RunConfig::preset(PRESET)?;
        let rate = config.frontend.sample_rate;
        let sounds = match &self.data {
            None => Sounds::synthetic(rate, self.seed),
            Some(folder) => Sounds::from_folder(folder, rate, self.seed, trains)?,
        };
        outln!("A device that learns new sounds from one example each\n");
        let (trained, exported) = if trains {
            let trained = self.train(config, &sounds)?;
            let exported = self.export(&trained, &sounds)?;
            (Some(trained), exported)
        } else {
            (None, self.take_shipped()?)
        };

        // From here on it is packed models that listen, as on the device.
        let file = BackboneFile::read(&exported.slvr, None)?;
        let frontend = *file.backbone()?.space().frontend();
        print_costs(&file.inspect()?);
        let mut backbones = Vec::new();
        if trains {
            backbones.push(TestedBackbone::new("trained here".to_owned(), file)?);
        }
        for model in &SHIPPED {
            let file = BackboneFile::open(&ModelSource::Shipped(model), Some(Engine::Packed))?;
            backbones.push(TestedBackbone::new(
                format!("shipped {}", model.name),
                file,
            )?);
        }
        let tested = Tested::all(backbones, &sounds, self.seed)?;
        let findings = Findings {
            sounds,
            trained,
            exported,
            frontend,
            tested,
        };
        self.conclude(&findings)
    }

    /// Writes the page, and prints where everything is and how to go on.
    fn conclude(&self, findings: &Findings) -> Result<()> {
        let report = page::report(findings, self);
        let [results, html] = report.write(&self.out)?;
        let standings = findings.standings();
        outln!("\n{}", advice::verdict(&standings, self.data.is_none()));
        outln!(
            "\nOpen {} for the whole report; its figures are in {}.",
            html.shown(),
            results.shown()
        );
        let Exported { onnx, slvr, .. } = &findings.exported;
        outln!(
            "The model's files are {} (float) and {} (int8).",
            onnx.shown(),
            slvr.shown()
        );
        outln!("{}", advice::next_steps(&standings, self.data.as_deref()));
        Ok(())
    }

    /// Takes the smallest shipped backbone, where nothing is trained and exported.
    fn take_shipped(&self) -> Result<Exported> {
        let model = &SHIPPED[0];
        outln!(
            "1. Training. Nothing is trained (--seconds 0): this is {}, a backbone that ships with the \
             program.\n",
            model.name
        );
        outln!(
            "2. Exporting. Its ONNX file and its packed file, int8, are taken. The same patches go through every \
             engine:"
        );
        let exported = write_shipped(model, &self.out)?;
        print_agreement(&exported);
        Ok(exported)
    }

    fn train(&self, preset: RunConfig, sounds: &Sounds) -> Result<Trained> {
        let settings = [
            format!("train.minutes={:?}", self.seconds / 60.0),
            "train.steps=0".to_owned(),
            format!("train.seed={}", self.seed),
        ];
        let config = RunConfig::from_toml(&preset.to_toml()?, &settings)?;
        outln!(
            "1. Training. A backbone of preset {PRESET} trains for {:.0} s on {}, without labels.",
            self.seconds,
            sounds.training_source
        );
        let request = TrainRequest {
            config,
            recordings: sounds.training.clone(),
            cache: DecodeCache::NONE,
            heard: self.out.join("run/teachers"),
            out: self.out.join("run"),
            resume: false,
            start: None,
        };
        let mut bar = TrainingBar::new();
        let trained = train(&request, interrupt::on_ctrl_c(), &mut bar)?;
        bar.finish(trained.interrupted);
        if let (Some(first), Some(last)) = (trained.metrics.first(), trained.metrics.last()) {
            outln!(
                "   {} steps. Finding the two views of one sound: loss {:.2}, at first {:.2}. \
                 Naming the operators that changed a sound: {:.0} % right, at first {:.0} %.",
                last.step,
                last.contrastive,
                first.contrastive,
                100.0 * last.label_accuracy,
                100.0 * first.label_accuracy,
            );
        }
        if trained.interrupted {
            outln!("   Stopped early: the rest uses what was learned until then.");
        }
        outln!();
        Ok(trained)
    }

    fn export(&self, trained: &Trained, sounds: &Sounds) -> Result<Exported> {
        outln!(
            "2. Exporting to ONNX and packing into int8. The same patches go through every engine:"
        );
        let audio = calibration_audio(&trained.frontend, &sounds.training);
        let exported = export_run(&ExportRequest {
            spec: &trained.config.backbone,
            weights: &trained.weights,
            frontend: &trained.frontend,
            audio: &audio,
            cohort: DEFAULT_CENTRES,
            name: "demo",
            provenance: &format!(
                "mtslvr {} demo, {:.0} s on {}, seed {}",
                env!("CARGO_PKG_VERSION"),
                self.seconds,
                sounds.training_source,
                self.seed
            ),
            out: &self.out,
        })?;
        print_agreement(&exported);
        Ok(exported)
    }
}

impl Findings {
    /// Returns the backbone that the page is about.
    fn first(&self) -> &Tested {
        &self.tested[0]
    }

    fn standings(&self) -> Vec<Standing<'_>> {
        self.tested.iter().map(Tested::standing).collect()
    }
}

/// Prints how far the engines agree on a model.
fn print_agreement(exported: &Exported) {
    for line in exported.verification.to_string().lines() {
        outln!("   {line}");
    }
}

/// Prints what a packed model takes on a device.
fn print_costs(model: &Inspection) {
    outln!(
        "   Packed, it takes {} of flash and {} of working memory, and {:.1} million \
         multiply-accumulates for each second of sound.\n",
        bytes(model.file_bytes),
        bytes(model.ram.arena.unwrap_or(0) + model.ram.clip_buffer),
        model.macs as f64 / 1e6,
    );
}
