//! Recognises the sounds of your profile in a recording:
//!
//! ```sh
//! cargo run --release --package mtslvr-listen --example recognise -- kitchen.wav
//! ```

use mtslvr_listen::capture::Capture;
use mtslvr_listen::profile::{Memory, Profile};
use mtslvr_pack::{BackboneFile, ModelSource};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::listener::{Listener, ListenerConfig};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let recording = std::env::args_os().nth(1).ok_or("give a recording")?;
    // The shipped backbone, and what `mtslvr enrol` has taught under it.
    let mut backbone = BackboneFile::open(&ModelSource::default(), None)?.backbone()?;
    let taught = Profile::new(None)?.read()?;
    let taught = taught.ok_or("nothing is taught yet: mtslvr enrol NAME CLIP...")?;
    let mut memory = Memory::for_backbone(&backbone);
    let mut learner = memory.learner();
    taught.restore(&mut learner)?;
    let mut scratch = vec![0.0; learner.scratch_len()];
    learner.fit(&mut scratch)?;

    let space = backbone.space().into_owned();
    let frontend = *space.as_space().frontend();
    let len = Listener::buffer_len(&frontend, space.as_space().dim(), Memory::CLASSES);
    let mut buffer = vec![0.0; len];
    let config = ListenerConfig::DEFAULT;
    let mut listener = Listener::new(config, &space.as_space(), Memory::CLASSES, &mut buffer)?;
    let samples = Capture::file(recording.as_ref(), frontend.sample_rate, false)?.all()?;
    let mut events = Vec::new();
    listener.push(&mut learner, &mut backbone, &samples, |window| {
        events.extend(window.event);
    })?;
    for event in events {
        let seconds = event.start as f64 / f64::from(frontend.sample_rate);
        let name = learner.support().class(event.class)?.name();
        println!("{seconds:.2} s: {name}");
    }
    Ok(())
}
