//! `mtslvr demo`: from nothing to a device that knows five sounds, in a few minutes.

mod advice;
mod page;
mod sounds;
mod tested;

use super::training_bar::TrainingBar;
use advice::Standing;
use anyhow::{Result, ensure};
use mtslvr_audio::DecodeCache;
use mtslvr_audio::calibration_mix;
use mtslvr_evaluate::report::bytes;
use mtslvr_pack::inspect::Inspection;
use mtslvr_pack::{BackboneFile, Engine, ModelSource, SHIPPED};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_train::export::{ExportRequest, Exported, export_run, write_shipped};
use mtslvr_train::train::{RunConfig, TrainRequest, Trained, train};
use sounds::Sounds;
use std::path::PathBuf;
use tested::{Subject, Tested};

const PRESET: &str = "edge-s";

/// Train a small backbone, put it in 8 bits, teach it five sounds and test it, with nothing downloaded
///
/// The shipped backbones are taught the same sounds and tested on the same clips beside it. Writes
/// the model, results.json and report.html into --out.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder for everything that is made; files of an earlier demo there are overwritten
    #[arg(long, value_name = "DIR", default_value = "mtslvr-demo")]
    out: PathBuf,
    /// Your own recordings, DIR/<class>/<clip>, in place of made-up sounds: at least 2 classes of 2
    /// clips; the clips that are tested are not trained on
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How long to train; 0 trains nothing, and the demo is of the shipped edge-s
    #[arg(long, default_value_t = 90.0)]
    seconds: f64,
    /// Decides everything that is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What the demo found, for the page.
struct Findings {
    sounds: Sounds,
    /// How the first tested backbone came to be; `None` for a shipped one.
    trained: Option<Trained>,
    /// Its files.
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
            "--seconds must be 0 or more, not {}",
            self.seconds
        );
        let trains = self.seconds > 0.0;
        let config = RunConfig::preset(PRESET)?;
        let rate = config.frontend.sample_rate;
        let sounds = match &self.data {
            None => Sounds::made_up(rate, self.seed),
            Some(folder) => Sounds::from_folder(folder, rate, self.seed, trains)?,
        };
        println!("A device that learns new sounds from one example each\n");
        let (trained, exported) = if trains {
            let trained = self.learn(config, &sounds)?;
            let exported = self.export(&trained, &sounds)?;
            (Some(trained), exported)
        } else {
            (None, self.take_shipped()?)
        };

        // From here on it is packed models that listen, as on the device.
        let file = BackboneFile::read(&exported.slvr, None)?;
        let frontend = *file.backbone()?.space().frontend();
        tell_costs(&file.inspect()?);
        let mut subjects = Vec::new();
        if trains {
            subjects.push(Subject::new("trained here".to_owned(), file)?);
        }
        for model in &SHIPPED {
            let file = BackboneFile::open(&ModelSource::Shipped(model), Some(Engine::Packed))?;
            subjects.push(Subject::new(format!("shipped {}", model.name), file)?);
        }
        let tested = Tested::all(subjects, &sounds, self.seed)?;
        let findings = Findings {
            sounds,
            trained,
            exported,
            frontend,
            tested,
        };
        self.conclude(&findings)
    }

    /// Writes the page, and says what there is and what to do with it.
    fn conclude(&self, findings: &Findings) -> Result<()> {
        let report = page::report(findings, self);
        let [results, html] = report.write(&self.out)?;
        let standings = findings.standings();
        println!("\n{}", advice::verdict(&standings, self.data.is_none()));
        println!(
            "\nOpen {} to see and read it all; the same figures are in {}.",
            html.display(),
            results.display()
        );
        let Exported { onnx, slvr, .. } = &findings.exported;
        println!(
            "The model's files are {} (float) and {} (8 bits).",
            onnx.display(),
            slvr.display()
        );
        println!("{}", advice::next_steps(&standings, self.data.as_deref()));
        Ok(())
    }

    /// In place of training and exporting: the smallest shipped backbone.
    fn take_shipped(&self) -> Result<Exported> {
        let model = &SHIPPED[0];
        println!(
            "1. Learning to listen. Nothing trains (--seconds 0): this is {}, a backbone that ships with the \
             program.\n",
            model.name
        );
        println!(
            "2. Taking its ONNX file and its packed 8 bits. The same patches go through every engine:"
        );
        let exported = write_shipped(model, &self.out)?;
        tell_agreement(&exported);
        Ok(exported)
    }

    fn learn(&self, preset: RunConfig, sounds: &Sounds) -> Result<Trained> {
        let settings = [
            format!("train.minutes={:?}", self.seconds / 60.0),
            "train.steps=0".to_owned(),
            format!("train.seed={}", self.seed),
        ];
        let config = RunConfig::from_toml(&preset.to_toml()?, &settings)?;
        println!(
            "1. Learning to listen. A backbone of preset {PRESET} trains for {:.0} s on {}, without labels.",
            self.seconds, sounds.training_source
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
        let trained = train(&request, super::interrupt::on_ctrl_c()?, &mut bar)?;
        bar.finish();
        if let (Some(first), Some(last)) = (trained.metrics.first(), trained.metrics.last()) {
            println!(
                "   {} steps. Telling which two views are of one sound: loss {:.2}, at first {:.2}. \
                 Telling which operators changed a sound: {:.0} % right, at first {:.0} %.",
                last.step,
                last.contrastive,
                first.contrastive,
                100.0 * last.label_accuracy,
                100.0 * first.label_accuracy,
            );
        }
        if trained.interrupted {
            println!("   Stopped early: the rest works with what was learned until then.");
        }
        println!();
        Ok(trained)
    }

    fn export(&self, trained: &Trained, sounds: &Sounds) -> Result<Exported> {
        println!(
            "2. Exporting to ONNX and packing into 8 bits. The same patches go through every engine:"
        );
        let clips = calibration_mix(&trained.frontend, &sounds.training.clips);
        let exported = export_run(&ExportRequest {
            spec: &trained.config.backbone,
            weights: &trained.weights,
            frontend: &trained.frontend,
            clips: &clips,
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
        tell_agreement(&exported);
        Ok(exported)
    }
}

impl Findings {
    /// The backbone that the page is about.
    fn first(&self) -> &Tested {
        &self.tested[0]
    }

    fn standings(&self) -> Vec<Standing<'_>> {
        self.tested.iter().map(Tested::standing).collect()
    }
}

/// Says how far the engines agree on a model.
fn tell_agreement(exported: &Exported) {
    for line in exported.verification.to_string().lines() {
        println!("   {line}");
    }
}

/// Says what a packed model takes on a device.
fn tell_costs(model: &Inspection) {
    println!(
        "   Packed, it takes {} of flash and {} of working memory, and {:.1} million \
         multiply-accumulates for each second of sound.\n",
        bytes(model.file_bytes),
        bytes(model.ram.arena.unwrap_or(0) + model.ram.clip_buffer),
        model.macs as f64 / 1e6,
    );
}
