//! The outputs of a graph that hold the parts of an embedding.

use mtslvr_runtime::space::PART_NAME_BYTES;

/// Name of the contrastive path's output, `[batch, dim]`.
pub const INVARIANT: &str = "invariant";

/// Name of the predictive path's output, `[batch, dim]`.
pub const EQUIVARIANT: &str = "equivariant";

/// Share of the invariant features in a similarity, the rest being equivariant ones: the best at 1, 3
/// and 5 examples a class on labelled sets sorted from pretraining recordings (`reports/bias.md`).
pub const INVARIANT_SHARE: f32 = 0.7;

/// The output of a graph that holds a part of the embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct PartOutput {
    /// Place among the graph's outputs.
    pub index: usize,
    /// Name of the part.
    pub name: String,
    /// Share of the part in a similarity.
    pub share: f32,
}

/// Finds the outputs that hold the parts, among those that a graph has by these `names`.
///
/// `parts` are the names and shares that the metadata gives. Without them every output is a part, with
/// equal shares; but outputs called [`INVARIANT`] and [`EQUIVARIANT`] alone come in this order, and the
/// first has the share [`INVARIANT_SHARE`].
///
/// # Errors
/// If the graph has no output, or none of the name of one of `parts`.
pub fn part_outputs(
    names: &[String],
    parts: Option<&[(String, f32)]>,
) -> Result<Vec<PartOutput>, String> {
    let position = |wanted: &str| names.iter().position(|name| name == wanted);
    if let Some(parts) = parts {
        let found = parts.iter().map(|(name, share)| {
            // A graph with one output and one part needs no name in common.
            let alone = (names.len() == 1 && parts.len() == 1).then_some(0);
            let index = position(name).or(alone).ok_or_else(|| {
                let outputs = names.join(", ");
                format!("it has no output `{name}` for the part of that name, but {outputs}")
            })?;
            Ok(PartOutput {
                index,
                name: name.clone(),
                share: *share,
            })
        });
        return found.collect();
    }
    let part = |index: usize, share| PartOutput {
        index,
        name: names[index].clone(),
        share,
    };
    match (position(INVARIANT), position(EQUIVARIANT), names.len()) {
        (_, _, 0) => Err("it has no output".to_owned()),
        (Some(invariant), Some(equivariant), 2) => Ok(vec![
            part(invariant, INVARIANT_SHARE),
            part(equivariant, 1.0 - INVARIANT_SHARE),
        ]),
        (_, _, 1) => {
            let mut alone = part(0, 1.0);
            // A foreign export often gives its single output a name that is no name of a part.
            if !(1..=PART_NAME_BYTES).contains(&alone.name.len()) {
                "features".clone_into(&mut alone.name);
            }
            Ok(vec![alone])
        }
        (_, _, count) => Ok((0..count)
            .map(|index| part(index, 1.0 / count as f32))
            .collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_found_by_name_or_alone() {
        let names = |list: &[&str]| {
            list.iter()
                .map(std::string::ToString::to_string)
                .collect::<Vec<_>>()
        };
        let found = |outputs: &[&str], parts: Option<&[(&str, f32)]>| {
            let parts: Option<Vec<_>> =
                parts.map(|parts| parts.iter().map(|(n, s)| (n.to_string(), *s)).collect());
            let found = part_outputs(&names(outputs), parts.as_deref())?;
            Ok::<_, String>(found.iter().map(|o| (o.index, o.share)).collect::<Vec<_>>())
        };
        let both = found(&["equivariant", "invariant"], None);
        assert_eq!(both, Ok(vec![(1, 0.7), (0, 1.0 - 0.7)]));
        let more = found(&["invariant", "events", "equivariant", "speech"], None);
        assert_eq!(more, Ok((0..4).map(|index| (index, 0.25)).collect()));
        assert!(found(&[], None).is_err());
        assert_eq!(found(&["features"], None), Ok(vec![(0, 1.0)]));
        let parts = [("b", 0.2), ("c", 0.7), ("a", 0.1)];
        let three = found(&["a", "b", "c", "other"], Some(&parts));
        assert_eq!(three, Ok(vec![(1, 0.2), (2, 0.7), (0, 0.1)]));
        let missing = found(&["a", "b"], Some(&parts)).unwrap_err();
        assert!(missing.contains("`c`"), "{missing}");
    }
}
