//! `manifest.csv`: a row for each clip.

use crate::audio;
use crate::licence::Licence;
use crate::same::Same;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// A clip of the corpus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Path below the corpus, with `/`.
    pub path: String,
    /// Which source it is from.
    pub source: String,
    /// Its licence.
    pub licence: Licence,
    /// `yes` if a model that is passed on may not learn from it, which is what the column of this
    /// name means in every manifest here; `no` otherwise.
    pub gpl: YesNo,
    /// Length.
    pub seconds: f64,
    /// Kind of sound.
    pub kind: String,
    /// Group of clips of the same thing, empty if there is none.
    pub same: String,
    /// Voice, kit, note or recording: clips of a group in `same` that share it are alike for
    /// another reason, too.
    pub group: String,
    /// Whether it is to be trained on.
    pub split: Split,
}

/// `yes` or `no`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum YesNo {
    Yes,
    No,
}

/// Purpose of a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Training.
    Train,
    /// Choosing settings; a model must not hear it in training.
    Choose,
}

impl From<bool> for YesNo {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// Seconds with the three digits of a manifest.
pub fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// Writes `rows` to `path`, which keeps its earlier rows until all are written.
pub fn write<R: Serialize>(path: &Path, rows: &[R]) -> Result<()> {
    audio::write_atomically(path, |neighbour| {
        let mut writer = csv::Writer::from_path(neighbour)?;
        for row in rows {
            writer.serialize(row)?;
        }
        writer.flush()?;
        Ok::<_, anyhow::Error>(())
    })
    .with_context(|| format!("cannot write {}", path.display()))
}

/// Reads the rows of `path`.
///
/// # Errors
/// A file that is not there or not such a manifest.
pub fn read<R: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<R>> {
    let read = || -> Result<Vec<R>> {
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_path(path)?;
        Ok(reader.deserialize().collect::<Result<_, _>>()?)
    };
    read().with_context(|| format!("cannot read {}", path.display()))
}

/// A row of the manifest of `choose/SET`, as `mtslvr eval --data` reads it.
#[derive(Debug, Serialize, Deserialize)]
struct Labelled<'a> {
    class: &'a str,
    clip: &'a str,
    group: &'a str,
    seconds: f64,
}

/// Fewest clips of a class that is listed: five examples and one to ask about.
const SMALLEST: usize = 6;

/// Writes the manifest of each set below `out/choose` from those of `rows` that are held out, small
/// classes left out. Returns name, classes and clips of each set.
pub fn write_choosing_sets(out: &Path, rows: &[Row]) -> Result<Vec<(String, usize, usize)>> {
    let mut sets = BTreeMap::<&str, Vec<Labelled>>::new();
    for row in rows.iter().filter(|row| row.split == Split::Choose) {
        let parts: Vec<_> = row.path.split('/').collect();
        let &["choose", set, class, clip] = &parts[..] else {
            anyhow::bail!("{}: a clip to choose on lies elsewhere", row.path);
        };
        ensure!(
            row.same == format!("{set}/{class}"),
            "{}: not of {}",
            row.path,
            row.same
        );
        sets.entry(set).or_default().push(Labelled {
            class,
            clip,
            group: &row.group,
            seconds: row.seconds,
        });
    }
    let mut written = Vec::new();
    for (set, mut clips) in sets {
        let mut classes = BTreeMap::<_, usize>::new();
        for clip in &clips {
            *classes.entry(clip.class).or_default() += 1;
        }
        classes.retain(|_, count| *count >= SMALLEST);
        clips.retain(|clip| classes.contains_key(clip.class));
        write(&out.join("choose").join(set).join("manifest.csv"), &clips)?;
        written.push((set.to_owned(), classes.len(), clips.len()));
    }
    Ok(written)
}

/// Place of a clip below the corpus: in its source's folder, or in the set that it is held out for.
pub fn place(source: &str, name: &str, same: Option<&Same>) -> (String, Split) {
    match same {
        Some(same) if same.is_held_out() => {
            let name = name.replace('/', "_");
            (format!("choose/{same}/{name}.wav"), Split::Choose)
        }
        _ => (format!("{source}/{name}.wav"), Split::Train),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::same::Set;

    fn row(name: &str, same: Option<&Same>) -> Row {
        let (path, split) = place("drumkits", name, same);
        Row {
            path,
            source: "drumkits".into(),
            licence: Licence::stated("CC-BY-3.0"),
            gpl: false.into(),
            seconds: rounded(0.123_46),
            kind: "drum".into(),
            same: same.map(Same::to_string).unwrap_or_default(),
            group: "A, the \"first\" kit".into(),
            split,
        }
    }

    fn held_out(held: bool) -> Same {
        let drum = if held { "cowbell" } else { "kick" };
        let same = Same::new(Set::Drums, drum);
        assert_eq!(same.is_held_out(), held);
        same
    }

    #[test]
    fn rows_survive_a_round_trip() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manifest.csv");
        let rows = vec![
            row("kit/one", None),
            row("kit/two", Some(&held_out(false))),
            row("kit/three", Some(&held_out(true))),
        ];
        write(&path, &rows).unwrap();
        assert_eq!(read::<Row>(&path).unwrap(), rows);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("path,source,licence,gpl,seconds,kind,same,group,split\n"));
        assert!(text.contains("drumkits/kit/one.wav,drumkits,CC-BY-3.0,no,0.123,drum,,"));
        assert_eq!(rows[2].split, Split::Choose);
        std::fs::write(&path, text.replace(",no,", ",perhaps,")).unwrap();
        let error = format!("{:#}", read::<Row>(&path).unwrap_err());
        assert!(
            error.contains("manifest.csv") && error.contains("perhaps"),
            "{error}"
        );
    }

    #[test]
    fn sets_to_choose_on_read_as_evaluation_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let same = held_out(true);
        let mut rows = vec![row("x", None)];
        rows.extend((0..6).map(|hit| row(&format!("kit/{hit}"), Some(&same))));
        // Too few for a class.
        let few = Same::new(Set::Drums, "china");
        rows.extend((0..5).map(|hit| row(&format!("kit/c{hit}"), Some(&few))));
        for row in &rows {
            crate::clip::write(&dir.path().join(&row.path), &[0.5; 1600]).unwrap();
        }
        let sets = write_choosing_sets(dir.path(), &rows).unwrap();
        assert_eq!(sets, [("drums".to_owned(), 1, 6)]);
        let set = audio::LabelledSet::open(&dir.path().join("choose/drums")).unwrap();
        assert_eq!(set.classes, [same.class]);
        assert_eq!(set.clips.len(), 6);
        assert_eq!(set.clips[0].group.as_deref(), Some("A, the \"first\" kit"));
    }
}
