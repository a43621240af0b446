//! Any manifest gives a set or an error.

use crate::file::folder;
use mtslvr_audio::{LabelledSet, Licences, UnlabelledSet};

/// Reads `bytes` as the manifest of a labelled set and of a folder without labels.
pub fn manifest_read(bytes: &[u8]) {
    let root = folder().join(format!("set-{:?}", std::thread::current().id()));
    if !root.is_dir() {
        std::fs::create_dir_all(root.join("bell")).expect("a folder");
        std::fs::write(root.join("bell/1.wav"), b"RIFF").expect("a clip");
    }
    std::fs::write(root.join("manifest.csv"), bytes).expect("a manifest");
    if let Ok(set) = LabelledSet::open(&root) {
        assert!(set.clips.iter().all(|clip| clip.class < set.classes.len()));
    }
    for licences in [Licences::Any, Licences::NotGpl] {
        let _ = UnlabelledSet::for_training(std::slice::from_ref(&root), licences);
    }
}
