//! Opens damaged and forged files: each gives an error or a model that runs, never a panic.

use mtslvr_pack::builder::seal;
use mtslvr_runtime::backbone::PackedBackbone;
use mtslvr_runtime::model::wire::{SectionKind, field};
use mtslvr_runtime::model::{Model, OpenError};

use crate::network::Random;
use crate::opening::{section, small};

#[test]
fn every_cut_is_an_error() {
    let file = small();
    for len in 0..file.len() {
        let error = Model::open(&file[..len]).unwrap_err();
        assert!(
            matches!(error, OpenError::Truncated { .. }),
            "{len}: {error}"
        );
    }
}

#[test]
fn every_flipped_bit_is_an_error() {
    let mut file = small();
    for at in 0..file.len() {
        for bit in 0..8 {
            file[at] ^= 1 << bit;
            assert!(Model::open(&file).is_err(), "bit {bit} of byte {at}");
            file[at] ^= 1 << bit;
        }
    }
    assert!(Model::open(&file).is_ok());
}

/// Changes to fields with the checksum put right again: whatever is accepted must run.
#[test]
fn forged_files_never_panic() {
    let original = small();
    // Up to the constants.
    let mut copy = original.clone();
    let constants = section(&mut copy, SectionKind::Constants);
    let records = field::section::OFFSET.get(constants) as usize;
    let mut random = Random::new(22);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..6_000 {
        let mut file = original.clone();
        for _ in 0..=random.below(3) {
            // Mostly header and records, where the structure is.
            let end = if random.below(8) == 0 {
                file.len()
            } else {
                records
            };
            let at = random.below(end);
            file[at] = match random.below(6) {
                0 => 0,
                1 => 0xFF,
                2 => file[at].wrapping_add(1),
                3 => file[at].wrapping_sub(1),
                4 => 1 << random.below(8),
                _ => random.bits() as u8,
            };
        }
        seal(&mut file);
        let Ok(model) = Model::open(&file) else {
            refused += 1;
            continue;
        };
        accepted += 1;
        // An arena of exactly the stated size, so that nothing beyond it is touched unnoticed.
        if model.arena_len() < 1 << 16 {
            let patch = vec![0.5; model.frontend().patch_len()];
            let mut backbone = PackedBackbone::new(model, vec![0i8; model.arena_len()]).unwrap();
            let values: usize = backbone.run(&patch).unwrap().map(<[i8]>::len).sum();
            assert_eq!(values, model.space().dim());
            for tensor in model.tensors() {
                assert!(!model.lifetime(tensor.index).unwrap().is_empty());
            }
            assert!(model.arena_lower_bound() <= model.arena_len());
        }
    }
    assert!(accepted > 100 && refused > 1000, "{accepted} {refused}");
}
