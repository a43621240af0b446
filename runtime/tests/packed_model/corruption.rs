//! Damaged and forged files: an error or a model that runs, never a panic.

use mtslvr_pack::builder::{build, seal};
use mtslvr_runtime::backbone::PackedBackbone;
use mtslvr_runtime::model::{AlignedBytes, Model, OpenError};
use mtslvr_runtime::nn::Layout;

use crate::network::{Plan, Random, network};

fn small() -> AlignedBytes {
    let plan = Plan {
        width: 2,
        stages: 1,
        ..Plan::SMALL
    };
    build(&network(plan, 21)).unwrap()
}

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

#[test]
fn errors_say_what_is_wrong() {
    let file = small();
    let open = |change: &dyn Fn(&mut AlignedBytes)| {
        let mut file = file.clone();
        change(&mut file);
        Model::open(&file).unwrap_err()
    };
    assert_eq!(open(&|f| f[0] = b'X'), OpenError::Magic);
    assert_eq!(open(&|f| f[4] = 9), OpenError::Version(9));
    assert!(matches!(open(&|f| f[40] ^= 1), OpenError::Checksum { .. }));
    assert_eq!(
        open(&|f| {
            f[6] = 1;
            seal(f)
        }),
        OpenError::Reserved
    );
    // Of the reference: a share of 2, a similarity of 2, a quantile below the one before it.
    for (at, value) in [(92, 2.0_f32), (124, 2.0), (96, 0.5)] {
        assert_eq!(
            open(&|f| {
                f[at..at + 4].copy_from_slice(&value.to_le_bytes());
                seal(f)
            }),
            OpenError::Statistics
        );
    }
    assert_eq!(
        open(&|f| {
            f[16] = 3;
            seal(f)
        }),
        OpenError::Paths(3)
    );
    assert!(matches!(
        open(&|f| {
            f[27] = 0x7F;
            seal(f)
        }),
        OpenError::ArenaTooLarge { .. }
    ));
    assert!(matches!(
        open(&|f| {
            f[24] = 0;
            f[25] = 0;
            seal(f)
        }),
        OpenError::Placement { .. }
    ));

    let mut longer = file.to_vec();
    longer.push(0);
    let expected = file.len();
    let found = longer.len();
    let longer = AlignedBytes::new(&longer);
    assert_eq!(
        Model::open(&longer).unwrap_err(),
        OpenError::Overlong { expected, found }
    );
    let shifted = AlignedBytes::new(&[&[0u8; 4], &file[..]].concat());
    assert_eq!(
        Model::open(&shifted[4..]).unwrap_err(),
        OpenError::Misaligned
    );
    assert_eq!(
        Model::open(&[]).unwrap_err(),
        OpenError::Truncated {
            expected: 128,
            found: 0
        }
    );
}

/// Pairs whose second weight is beyond an `i8`, or that are not zero beyond the end of a row.
#[test]
fn weights_that_cannot_be() {
    let file = small();
    let model = Model::open(&file).unwrap();
    let stem = model.ops().next().unwrap();
    assert_eq!(stem.layout, Layout::Pairs);
    let weights = stem.tables(0).weights.as_ptr().addr() - file.as_ptr().addr();
    let row = stem.window.kernel[1];
    assert!(row % 2 == 1);
    for (pair, accepted) in [(0x7F7F_i16, true), (0x7F80, false), (i16::MIN, true)] {
        let mut file = file.clone();
        file[weights..weights + 2].copy_from_slice(&pair.to_le_bytes());
        seal(&mut file);
        match Model::open(&file) {
            Ok(_) => assert!(accepted, "{pair:#x}"),
            Err(error) => {
                assert!(!accepted, "{pair:#x}");
                assert_eq!(error, OpenError::Weights { op: 0 });
            }
        }
    }
    let mut file = file.clone();
    file[weights + 2 * row] = 1;
    seal(&mut file);
    assert_eq!(
        Model::open(&file).unwrap_err(),
        OpenError::Weights { op: 0 }
    );
}

/// Changes to fields with the checksum put right again: whatever is accepted must run.
#[test]
fn forged_files_never_panic() {
    let original = small();
    let records = original.len().min(128 + 32 * 9 + 96 * 9);
    let mut random = Random::new(22);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..6_000 {
        let mut file = original.clone();
        for _ in 0..1 + random.below(3) {
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
            for path in 0..model.paths() {
                assert_eq!(
                    backbone.run_path(path, &patch).len(),
                    model.output().shape.len()
                );
            }
            for tensor in model.tensors() {
                assert!(!model.lifetime(tensor.index).is_empty());
            }
        }
    }
    assert!(accepted > 100 && refused > 1000, "{accepted} {refused}");
}
