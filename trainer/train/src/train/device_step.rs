//! A training step on a device, from a batch to moved parameters.

use super::optimiser::AdamW;
use super::pairs::{Batch, Feed};
use crate::augment::OPERATORS;
use crate::device::{
    Address, Backend, BatchAddresses, DeviceViews, Element, Entry, Losses, MOST_PARTS, Passes,
    Recording, Running, Stores, Tape, ViewSource, Work, blocks,
};
use crate::net::{Parameters, Weights};
use crate::ssl::Objective;
use anyhow::{Result, bail, ensure};
use candle_core::{Device, Tensor};

/// Kind of a parameter's values in the optimiser, as `kernels.cu` has it.
#[derive(Clone, Copy)]
enum Kind {
    Untrained = 0,
    Plain = 1,
    Decayed = 2,
}

/// The optimiser's state on the device: `Optimiser` in `kernels.cu`, word by word.
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct State {
    learning_rate: f32,
    weight_decay: f32,
    clip_norm: f32,
    unused: f32,
    norm: f32,
    clip: f32,
    rate: f32,
    eps: f32,
    ok: i32,
    steps: i32,
    failures: i32,
    logged: i32,
    left_out: i32,
    norm_sum: f32,
    most_failures: i32,
}

/// Sizes and settings of a step.
#[derive(Clone, Copy, Debug)]
pub struct StepSettings {
    /// Views of a batch, frames and mel bands.
    pub shape: [usize; 3],
    /// Least SNR of views that count in the predictive loss, dB.
    pub least_snr: f32,
    /// Share of a batch's statistics in the running ones.
    pub norm_momentum: f32,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Gradients longer than this are scaled down to it.
    pub clip_norm: f64,
}

/// Sums over the steps since the log was last read, added up on the device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepLog {
    /// Steps that were taken.
    pub steps: u64,
    /// Steps that were left out because a loss or a gradient was no number.
    pub left_out: u64,
    /// Most of these in a row, with those before the log began.
    pub failures: u64,
    /// Sums of total loss, contrastive loss, spread, predictive loss, label accuracy and parameter error, each the
    /// mean over tasks; those that no task has are not a number.
    pub sums: [f64; Entry::PLAIN],
    /// Sum of the gradient's length.
    pub norm: f64,
    /// Sum of each teacher's loss, by its name.
    pub teachers: Vec<(String, f64)>,
}

/// A network in training on a device.
pub struct DeviceStep {
    /// Dropped before the backend, whose kernels it names.
    recording: Option<Box<dyn Recording>>,
    backend: Box<dyn Backend>,
    settings: StepSettings,
    patches: Address,
    batch: BatchAddresses,
    /// Makes the batch on the device, where it is not brought.
    views: Option<DeviceViews>,
    /// Values of each lesson's targets.
    lessons: Vec<usize>,
    teachers: Vec<String>,
    /// Entries of the log that no task fills.
    unknown: Vec<Entry>,
    stores: Stores,
    trained: Vec<bool>,
    running: Vec<Running>,
    state: Address,
    log_sums: Address,
    work: Vec<Work>,
}

impl std::fmt::Debug for DeviceStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceStep")
            .field("backend", &self.backend)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl DeviceStep {
    /// Writes the step of a network down, and brings its parameters and the optimiser's state to the device.
    ///
    /// # Errors
    /// If a width is none that the kernels take, parts are to keep what they told at the start, or the device
    /// has too little memory.
    pub fn new(
        backend: Box<dyn Backend>,
        objective: &Objective,
        parameters: &Parameters,
        optimiser: &AdamW,
        settings: StepSettings,
    ) -> Result<Self> {
        Self::build(backend, objective, parameters, optimiser, settings, None)
    }

    /// As [`Self::new`], for batches whose views the device makes of `source`: they are fed ([`Self::take_feed`]).
    pub(super) fn with_views(
        backend: Box<dyn Backend>,
        objective: &Objective,
        parameters: &Parameters,
        optimiser: &AdamW,
        settings: StepSettings,
        source: &ViewSource<'_>,
    ) -> Result<Self> {
        let source = Some(source);
        Self::build(backend, objective, parameters, optimiser, settings, source)
    }

    fn build(
        backend: Box<dyn Backend>,
        objective: &Objective,
        parameters: &Parameters,
        optimiser: &AdamW,
        settings: StepSettings,
        source: Option<&ViewSource<'_>>,
    ) -> Result<Self> {
        if objective.keeps() {
            bail!(
                "objective.keep_weight has parts keep what they told when the run began, which a GPU's step \
                 does not compute; set objective.keep_weight=0, or train.device=cpu"
            );
        }
        let [views, frames, mels] = settings.shape;
        let device = &*backend;
        let floats = |count: usize| device.allocate(count * Element::F32.bytes());
        let patches = floats(views * frames * mels)?;
        let tape = Tape::new(device, parameters, settings.norm_momentum)?;
        let outputs = objective.outputs(&tape, &tape.input(patches, settings.shape))?;
        let told = outputs.lessons.iter().flat_map(|lesson| &lesson.told);
        let lessons: Vec<usize> = told.map(|told| told.columns).collect();
        let batch = BatchAddresses::new(device, views, &lessons)?;
        let made = source.map(|source| DeviceViews::new(device, source, views, patches, &batch));
        let made = made.transpose()?;
        let teachers: Vec<String> = outputs.lessons.iter().map(|l| l.teacher.clone()).collect();
        let slots = Entry::PLAIN + teachers.len();
        let (log, log_sums) = (floats(slots)?, floats(slots)?);
        let losses = Losses {
            tape: &tape,
            log,
            batch: batch.clone(),
            least_snr: settings.least_snr,
        };
        losses.all(&outputs, objective.predictive_weights())?;
        let unknown = Losses::unknown(&outputs);
        let passes = tape.finish()?;
        let state = device.allocate(size_of::<State>())?;
        let kinds = upload_kinds(device, &passes)?;
        let Passes {
            forward,
            backward,
            trained,
            running,
            stores,
        } = passes;
        let clear = [log.into(), slots.into()];
        let mut work = vec![Work::launch("clear", Element::F32, 1, clear)];
        work.extend(made.iter().flat_map(DeviceViews::work));
        work.extend(forward);
        work.extend(backward);
        work.extend(optimise(
            device,
            &stores,
            kinds,
            state,
            [log, log_sums],
            slots,
        )?);
        let mut step = Self {
            settings,
            patches,
            batch,
            views: made,
            lessons,
            teachers,
            unknown,
            stores,
            trained,
            running,
            state,
            log_sums,
            work,
            recording: None,
            backend,
        };
        // A step for practice, on silence: libraries try their algorithms out in it. Nothing of it is kept.
        step.load(parameters, optimiser)?;
        let practice = || step.work();
        step.recording = step.backend.record(&practice)?;
        step.load(parameters, optimiser)?;
        Ok(step)
    }

    /// Brings the parameters, running statistics and the optimiser's state to the device.
    ///
    /// # Errors
    /// If the device fails.
    pub fn load(&mut self, parameters: &Parameters, optimiser: &AdamW) -> Result<()> {
        ensure!(
            parameters.variables().count() == self.stores.places.len(),
            "the parameters are those of another network"
        );
        let (steps, moments) = optimiser.state();
        let mut values = vec![vec![0f32; self.stores.count]; 3];
        for place in &self.stores.places {
            let found = place.variable.flatten_all()?.to_vec1::<f32>()?;
            let here = place.offset..place.offset + found.len();
            values[0][here.clone()].copy_from_slice(&found);
            for (moment, part) in ["first", "second"].into_iter().enumerate() {
                if let Some((_, found)) = moments.get(&format!("{}.{part}", place.name)) {
                    values[1 + moment][here.clone()].copy_from_slice(found);
                }
            }
        }
        let [first, second] = self.stores.moments;
        for (at, values) in [self.stores.values, first, second].into_iter().zip(&values) {
            self.backend.upload(at, bytemuck::cast_slice(values))?;
        }
        for running in &self.running {
            let host = running.host.lock().expect("no panic while locked");
            let both: Vec<f32> = host.mean.iter().chain(&host.variance).copied().collect();
            self.backend
                .upload(running.at, bytemuck::cast_slice(&both))?;
        }
        let state = State {
            weight_decay: self.settings.weight_decay as f32,
            clip_norm: self.settings.clip_norm as f32,
            steps: i32::try_from(steps)?,
            ..State::default()
        };
        self.backend
            .upload(self.state, bytemuck::bytes_of(&state))?;
        let nothing = vec![0f32; Entry::PLAIN + self.teachers.len()];
        self.backend
            .upload(self.log_sums, bytemuck::cast_slice(&nothing))
    }

    /// Takes a step on a batch at the learning rate `rate`. Nothing is waited for.
    ///
    /// # Errors
    /// If the batch has other sizes than the step, or the device fails.
    pub fn take(&mut self, batch: &Batch, rate: f64) -> Result<()> {
        self.bring(batch)?;
        self.repeat(rate)
    }

    /// Takes a step on views that the device makes, at the learning rate `rate`. Nothing is waited for.
    ///
    /// # Errors
    /// If the feed has another number of views than the step, or the device fails.
    pub(super) fn take_feed(&mut self, feed: &Feed, rate: f64) -> Result<()> {
        let views = self.views.as_ref();
        let views = views.expect("a step that is fed makes its views");
        views.bring(&*self.backend, &feed.views, &feed.made)?;
        self.repeat(rate)
    }

    /// Brings a batch to the device.
    ///
    /// # Errors
    /// If it has other sizes than the step, or the device fails.
    pub fn bring(&mut self, batch: &Batch) -> Result<()> {
        let [views, frames, mels] = self.settings.shape;
        let by_operator = views * OPERATORS;
        ensure!(
            batch.patches.len() == views * frames * mels
                && batch.labels.len() == by_operator
                && batch.parameters.len() == by_operator
                && batch.snr_db.len() == views
                && batch.answers.len() == self.lessons.len(),
            "a batch of {} values and {} lessons is brought to a step of {views} views of {frames} x {mels} and {} lessons",
            batch.patches.len(),
            batch.answers.len(),
            self.lessons.len()
        );
        for (answers, &dim) in batch.answers.iter().zip(&self.lessons) {
            let fits = answers
                .counted
                .as_ref()
                .is_none_or(|counted| counted.len() == views);
            ensure!(
                answers.dim == dim && answers.rows.len() == views * dim && fits,
                "a lesson of {} values of {} is brought to a layer of {dim} for {views} views",
                answers.rows.len(),
                answers.dim
            );
        }
        let upload = |at, values: &[f32]| self.backend.upload(at, bytemuck::cast_slice(values));
        upload(self.patches, &batch.patches)?;
        upload(self.batch.labels, &batch.labels)?;
        upload(self.batch.parameters, &batch.parameters)?;
        upload(self.batch.snr, &batch.snr_db)?;
        let all_counted = vec![1.0; views];
        for (&(targets, counted), answers) in self.batch.lessons.iter().zip(&batch.answers) {
            upload(targets, &answers.rows)?;
            upload(counted, answers.counted.as_deref().unwrap_or(&all_counted))?;
        }
        Ok(())
    }

    /// Takes a step on the batch that was brought last.
    ///
    /// # Errors
    /// If the device fails.
    pub fn repeat(&mut self, rate: f64) -> Result<()> {
        // The learning rate is the state's first number.
        self.backend.set(self.state, rate as f32)?;
        match &self.recording {
            Some(recording) => recording.run(),
            None => self.work(),
        }
    }

    /// Does all work of a step, piece by piece.
    fn work(&self) -> Result<()> {
        self.work
            .iter()
            .try_for_each(|work| (work.run)(&*self.backend))
    }

    /// Waits until all steps have been taken.
    ///
    /// # Errors
    /// If one of them failed.
    pub fn wait(&self) -> Result<()> {
        self.backend.wait()
    }

    /// Milliseconds of each kind of work in a step, the longest first, by running every piece of it `times`
    /// times by itself: without what overlaps in a step, and with the launches that a recording saves.
    ///
    /// # Errors
    /// If the device fails.
    pub fn profile(&self, times: usize) -> Result<Vec<(&'static str, f64)>> {
        let mut parts: Vec<(&'static str, f64)> = Vec::new();
        for work in &self.work {
            let mut start = std::time::Instant::now();
            // The first time warms up.
            for time in 0..=times {
                if time == 1 {
                    self.backend.wait()?;
                    start = std::time::Instant::now();
                }
                (work.run)(&*self.backend)?;
            }
            self.backend.wait()?;
            let ms = start.elapsed().as_secs_f64() * 1e3 / times as f64;
            match parts.iter_mut().find(|(name, _)| *name == work.name) {
                Some((_, sum)) => *sum += ms,
                None => parts.push((work.name, ms)),
            }
        }
        parts.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(parts)
    }

    /// Returns what the device has chosen by its own measurements, for people.
    pub fn choices(&self) -> Vec<String> {
        self.backend.choices()
    }

    /// Reads the log and begins a new one.
    ///
    /// # Errors
    /// If the device fails.
    pub fn log(&mut self) -> Result<StepLog> {
        let mut state = self.read_state()?;
        let mut sums = vec![0f32; Entry::PLAIN + self.teachers.len()];
        self.backend
            .download(self.log_sums, bytemuck::cast_slice_mut(&mut sums))?;
        let mut log = StepLog {
            steps: state.logged as u64,
            left_out: state.left_out as u64,
            failures: match state.left_out {
                0 => 0,
                _ => state.most_failures as u64,
            },
            sums: std::array::from_fn(|entry| f64::from(sums[entry])),
            norm: f64::from(state.norm_sum),
            teachers: self
                .teachers
                .iter()
                .cloned()
                .zip(sums[Entry::PLAIN..].iter().map(|&sum| f64::from(sum)))
                .collect(),
        };
        for entry in &self.unknown {
            log.sums[entry.index()] = f64::NAN;
        }
        (state.logged, state.left_out, state.norm_sum) = (0, 0, 0.0);
        state.most_failures = state.failures;
        self.backend
            .upload(self.state, bytemuck::bytes_of(&state))?;
        sums.fill(0.0);
        self.backend
            .upload(self.log_sums, bytemuck::cast_slice(&sums))?;
        Ok(log)
    }

    fn read_state(&self) -> Result<State> {
        let mut state = State::default();
        self.backend
            .download(self.state, bytemuck::bytes_of_mut(&mut state))?;
        Ok(state)
    }

    /// Returns the gradients of the last step by name, before they were clipped.
    ///
    /// # Errors
    /// If the device fails.
    pub fn gradients(&self) -> Result<Weights> {
        let values = self.read(self.stores.gradients)?;
        Ok(self.by_name("", &values))
    }

    fn read(&self, from: Address) -> Result<Vec<f32>> {
        let mut values = vec![0f32; self.stores.count];
        self.backend
            .download(from, bytemuck::cast_slice_mut(&mut values))?;
        Ok(values)
    }

    /// Values of the parameters that are trained, flat, by name.
    fn by_name(&self, suffix: &str, values: &[f32]) -> Weights {
        let places = self.stores.places.iter().zip(&self.trained);
        places
            .filter(|(_, trained)| **trained)
            .map(|(place, _)| {
                let count = place.variable.elem_count();
                let found = values[place.offset..place.offset + count].to_vec();
                (format!("{}{suffix}", place.name), (vec![count], found))
            })
            .collect()
    }

    /// Brings parameters and running statistics back, and returns the optimiser's state.
    ///
    /// # Errors
    /// If the device fails.
    pub fn store(&self, parameters: &Parameters) -> Result<AdamW> {
        let values = self.read(self.stores.values)?;
        for place in &self.stores.places {
            let variable = &place.variable;
            let found = &values[place.offset..place.offset + variable.elem_count()];
            variable.set(&Tensor::from_slice(found, variable.shape(), &Device::Cpu)?)?;
        }
        for running in &self.running {
            let mut host = running.host.lock().expect("no panic while locked");
            let channels = host.mean.len();
            let mut both = vec![0f32; 2 * channels];
            self.backend
                .download(running.at, bytemuck::cast_slice_mut(&mut both))?;
            host.mean.copy_from_slice(&both[..channels]);
            host.variance.copy_from_slice(&both[channels..]);
        }
        let steps = self.read_state()?.steps;
        if steps == 0 {
            return Ok(AdamW::default());
        }
        let [first, second] = self.stores.moments;
        let mut moments = self.by_name(".first", &self.read(first)?);
        moments.extend(self.by_name(".second", &self.read(second)?));
        AdamW::from_state(steps as u64, moments, parameters)
    }
}

/// Kind of every value of the parameters.
fn upload_kinds(device: &dyn Backend, passes: &Passes) -> Result<Address> {
    let mut kinds = vec![Kind::Untrained as u8; passes.stores.count];
    for (place, trained) in passes.stores.places.iter().zip(&passes.trained) {
        let kind = match (trained, place.variable.rank()) {
            (false, _) => Kind::Untrained,
            (true, 0 | 1) => Kind::Plain,
            (true, _) => Kind::Decayed,
        };
        let count = place.variable.elem_count();
        kinds[place.offset..place.offset + count].fill(kind as u8);
    }
    let at = device.allocate(kinds.len())?;
    device.upload(at, &kinds)?;
    Ok(at)
}

/// The optimiser's work, behind all gradients.
fn optimise(
    device: &dyn Backend,
    stores: &Stores,
    kinds: Address,
    state: Address,
    [log, log_sums]: [Address; 2],
    slots: usize,
) -> Result<[Work; 2]> {
    let parts = MOST_PARTS.min(blocks(stores.count));
    let partial = device.allocate(parts * Element::F32.bytes())?;
    let arrived = device.allocate(4)?;
    let [first, second] = stores.moments;
    let norm = Work::launch(
        "gradient_norm",
        Element::F32,
        parts,
        [
            stores.gradients.into(),
            stores.count.into(),
            partial.into(),
            arrived.into(),
            state.into(),
            log.into(),
            log_sums.into(),
            slots.into(),
        ],
    );
    let adamw = Work::launch(
        "adamw",
        Element::F32,
        blocks(stores.count),
        [
            stores.values.into(),
            stores.gradients.into(),
            first.into(),
            second.into(),
            kinds.into(),
            stores.count.into(),
            state.into(),
        ],
    );
    Ok([norm, adamw])
}

#[cfg(all(test, feature = "emulated-device"))]
mod tests;
