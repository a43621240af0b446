//! The shipped backbones are those of their presets.

use mtslvr_pack::{BackboneFile, Engine, ModelSource, SHIPPED};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_train::net::BackboneSpec;
use mtslvr_train::train::RunConfig;

/// Both forms open and say of the trunk what its preset says. The demo and others give them the
/// same clips, so they share a sample rate.
#[test]
fn the_files_are_what_they_are_called() {
    let mut before = 0;
    let rate = RunConfig::preset(SHIPPED[0].name)
        .unwrap()
        .frontend
        .sample_rate;
    for model in &SHIPPED {
        let open = |engine| {
            let file = BackboneFile::open(&ModelSource::Shipped(model), Some(engine)).unwrap();
            assert_eq!(file.name(), model.name);
            file.inspect().unwrap()
        };
        let (packed, float) = (open(Engine::Packed), open(Engine::Tract));
        assert_eq!(packed.provenance, float.provenance);
        assert_eq!((&packed.parts, &packed.macs), (&float.parts, &float.macs));
        let backbone = BackboneFile::open(&ModelSource::Shipped(model), None)
            .unwrap()
            .backbone();
        assert_eq!(backbone.unwrap().space().frontend().sample_rate, rate);
        let preset = RunConfig::preset(model.name).unwrap();
        let spec = BackboneSpec::from_provenance(&packed.provenance).unwrap();
        assert_eq!(
            (spec.stem, &spec.stages),
            (preset.backbone.stem, &preset.backbone.stages)
        );
        assert_eq!(spec.adapters, preset.backbone.adapters);
        assert!(packed.file_bytes > before, "the smallest comes first");
        before = packed.file_bytes;
    }
}
