//! Source of a run's pairs.

use crate::range::check_range;
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// The `[data]` table.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Share of pairs made by the synthesiser, 0 to 1; all of them where there are no recordings.
    pub synth_share: f64,
    /// The two views of a recording begin at most this far apart, seconds.
    pub positive_offset: f64,
    /// The two views of a synthesised pair come from one patch, for each of them moved anew: every
    /// parameter by a normal number times this share of its range (Cherep and Singh 2025, who find
    /// 0.25 best; here less is better, see models/RESULTS.md).
    pub synth_perturb: f32,
    /// How often a synthesised pair is used where a GPU makes the views, each time with other operators: rendering takes the
    /// processor longer than a step takes a GPU. The processor renders every pair anew.
    pub synth_uses: usize,
    /// Step between views, seconds, where a teacher of a part has heard the recordings: they begin at multiples of it, or
    /// end where a recording ends.
    pub window_hop: f64,
    /// The recordings of one kind (a manifest's column `kind`) are drawn in proportion to the sum of their
    /// weights to this power: 1 leaves the weights as they are, the roots of lengths; 0 draws all kinds evenly.
    /// Backgrounds are drawn by the same weights.
    pub kind_power: f64,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            synth_share: 0.3,
            positive_offset: 0.5,
            synth_perturb: 0.1,
            synth_uses: 10,
            window_hop: 0.5,
            kind_power: 1.0,
        }
    }
}

impl DataConfig {
    /// Refuses values that are out of range.
    pub(super) fn check(&self) -> Result<()> {
        check_range("data.synth_share", self.synth_share, 0.0, 1.0)?;
        check_range("data.positive_offset", self.positive_offset, 0.0, 3600.0)?;
        check_range(
            "data.synth_perturb",
            f64::from(self.synth_perturb),
            0.0,
            1.0,
        )?;
        check_range("data.synth_uses", self.synth_uses as f64, 1.0, 1e6)?;
        check_range("data.window_hop", self.window_hop, 0.01, 3600.0)?;
        check_range("data.kind_power", self.kind_power, 0.0, 1.0)?;
        Ok(())
    }
}

/// The `[pairs]` table: positive pairs of two recordings of one thing, which a manifest's column `same`
/// tells of. Each of the two gets operators and an environment of its own, as any view does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PairsConfig {
    /// Share of all pairs, 0 to 1, that are two different recordings of one group, a window anywhere in
    /// each: two with different values in the manifest's column `group` (another voice, another kit)
    /// where there are such. Together with `data.synth_share` at most 1; the rest is two windows of one recording. Where
    /// no group is known, these pairs are of one recording too.
    pub same: f64,
    /// A group is drawn in proportion to its number of recordings to this power: 0 draws all groups
    /// evenly, 1 all recordings.
    pub size_power: f64,
    /// The groups of one kind (a manifest's column `kind`) are drawn in proportion to the sum of their
    /// weights to this power: 1 leaves the weights as they are, 0 draws all kinds evenly.
    pub kind_power: f64,
}

impl Default for PairsConfig {
    fn default() -> Self {
        Self {
            same: 0.0,
            size_power: 0.5,
            kind_power: 1.0,
        }
    }
}

impl PairsConfig {
    /// Refuses values that are out of range.
    pub(super) fn check(&self) -> Result<()> {
        check_range("pairs.same", self.same, 0.0, 1.0)?;
        check_range("pairs.size_power", self.size_power, 0.0, 1.0)?;
        check_range("pairs.kind_power", self.kind_power, 0.0, 1.0)?;
        Ok(())
    }
}
