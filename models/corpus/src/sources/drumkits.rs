//! Drum kits of Hydrogen, every hit of every layer of force.

use super::{Context, Credit, Origin, Plan, Source, recordings, stem};
use crate::batch::Wanted;
use crate::drum;
use crate::licence::Licence;
use crate::package::Package;
use crate::program::{self, Missing, is_read_here};
use crate::same::{Same, Set, file_name};
use anyhow::{Context as _, Result};
use roxmltree::{Document, Node};
use std::collections::BTreeSet;

pub const SOURCE: Source = Source {
    name: "drumkits",
    title: "Drum kits of Hydrogen",
    origin: Origin::Recorded,
    plan,
};

const PACKAGE: &str = "hydrogen-drumkits";
const FOLDER: &str = "usr/share/hydrogen/data/drumkits/";

/// Kits by the author of the kit that the evaluated set `drums` is mostly of, of the same makes of
/// drums.
const EVALUATED: [&str; 2] = ["The Black Pearl 1.0", "Gimme A Hand 1.0"];

/// A hit: its file, and the name of its drum.
struct Hit {
    file: String,
    drum: String,
}

fn plan(context: &Context) -> Result<Plan> {
    let mut plan = Plan::default();
    let package = match context.packages.get(PACKAGE) {
        Ok(package) => package,
        Err(missing) => {
            plan.missing.push(missing);
            return Ok(plan);
        }
    };
    let mut files = Vec::new();
    let kits: Vec<_> = package
        .below(FOLDER)
        .filter_map(|path| path.strip_suffix("/drumkit.xml"))
        .filter(|kit| !EVALUATED.contains(kit))
        .collect();
    for kit in kits {
        let description = package.path(&format!("{FOLDER}{kit}/drumkit.xml"));
        let text = std::fs::read_to_string(&description)
            .with_context(|| format!("cannot read {}", description.display()))?;
        let document = Document::parse(&text)
            .with_context(|| format!("cannot read {}", description.display()))?;
        let Some(credit) = credit(&package, kit, &document) else {
            continue;
        };
        for hit in hits(&document) {
            let (name, extension) = stem(&hit.file);
            if !is_read_here(&extension) && !program::is_there("ffmpeg") {
                let consequence = format!("the {extension} files of {kit} are left out");
                plan.missing.push(Missing::new("ffmpeg", consequence));
                break;
            }
            let path = package.path(&format!("{FOLDER}{kit}/{}", hit.file));
            if !path.is_file() {
                continue;
            }
            let wanted = Wanted {
                name: format!("{}/{}", file_name(kit), file_name(name)),
                licence: credit.licence.clone(),
                kind: "drum",
                same: drum::by_name(&hit.drum).map(|drum| Same::new(Set::Drums, &drum)),
                group: file_name(kit),
            };
            files.push((path, wanted));
        }
        plan.credit(credit);
    }
    plan.batches = recordings(files.into_iter().map(|file| vec![file]));
    Ok(plan)
}

/// The licence of a kit is in its own description; where that says nothing, in the package's
/// copyright file.
fn credit(package: &Package, kit: &str, document: &Document) -> Option<Credit> {
    let top = document.root_element();
    let own = text(top, "license").map(|statement| Licence::stated(&statement));
    let author = text(top, "author").unwrap_or_default();
    let credit = match own {
        Some(licence) => Credit {
            stated: "its drumkit.xml".to_owned(),
            ..Credit::package(package, licence, &author)
        },
        // The archive is named without the kit's version.
        None => {
            let archive = format!("drumkits/{kit}.h2drumkit");
            Credit::of_file(package, &archive)?
        }
    };
    (!credit.licence.is_restricted()).then(|| Credit {
        work: format!("{}, kit {kit}", credit.work),
        ..credit
    })
}

/// Hits of all instruments, each file once.
fn hits(document: &Document) -> Vec<Hit> {
    let mut seen = BTreeSet::new();
    let mut hits = Vec::new();
    for instrument in document
        .descendants()
        .filter(|n| n.has_tag_name("instrument"))
    {
        let drum = text(instrument, "name").unwrap_or_default();
        for file in instrument
            .descendants()
            .filter(|n| n.has_tag_name("filename"))
        {
            let file = file.text().unwrap_or_default().trim().to_owned();
            if !file.is_empty() && file != "emptySample.flac" && seen.insert(file.clone()) {
                hits.push(Hit {
                    file,
                    drum: drum.clone(),
                });
            }
        }
    }
    hits
}

/// Text of the child `name` of `node`, if it is not empty.
fn text(node: Node, name: &str) -> Option<String> {
    let child = node.children().find(|child| child.has_tag_name(name))?;
    let text = child.text().unwrap_or_default().trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::Packages;
    use std::fs;
    use std::path::Path;

    const COPYRIGHT: &str = "Files: *\nCopyright: D. Ebian\nLicense: GPL-2+\n\n\
        Files: drumkits/Old?Kit.h2drumkit\nCopyright: O. Ld\nLicense: CC-BY-SA-3.0-us\n";

    fn kit(name: &str, licence: &str) -> String {
        format!(
            "<drumkit_info xmlns=\"http://www.hydrogen-music.org/drumkit\"><name>{name}</name>\
             <author>A. Uthor</author>{licence}<instrumentList>\
             <instrument><id>0</id><name>Kick</name><layer><filename>k1.wav</filename></layer>\
             <layer><filename>k2.wav</filename></layer></instrument>\
             <instrument><name>17</name><layer><filename>emptySample.flac</filename></layer>\
             <layer><filename>gone.wav</filename></layer></instrument>\
             <instrument><name>Closed HH</name><filename>k2.wav</filename>\
             <filename>h.wav</filename></instrument></instrumentList></drumkit_info>"
        )
    }

    fn package(folder: &Path) -> Packages {
        let root = folder.join(PACKAGE);
        let doc = root.join("usr/share/doc").join(PACKAGE);
        fs::create_dir_all(&doc).unwrap();
        fs::write(doc.join("copyright"), COPYRIGHT).unwrap();
        for (name, licence) in [
            (
                "Free",
                "<license>cc-by ==> http://creativecommons.org/licenses/by/3.0/</license>",
            ),
            ("Gnu", "<license>GPL</license>"),
            ("Paid", "<license>CC-BY-NC-3.0</license>"),
            ("Old Kit", "<license></license>"),
            ("The Black Pearl 1.0", "<license>GPL</license>"),
        ] {
            let kit_folder = root.join(FOLDER).join(name);
            fs::create_dir_all(&kit_folder).unwrap();
            fs::write(kit_folder.join("drumkit.xml"), kit(name, licence)).unwrap();
            for hit in ["k1", "k2", "h"] {
                let path = kit_folder.join(hit).with_extension("wav");
                crate::audio::write_wav(&path, &[0.5; 4000], 44_100).unwrap();
            }
        }
        Packages {
            folder: folder.to_owned(),
            fetch: false,
        }
    }

    #[test]
    fn kits_have_their_own_licences_and_drums_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context {
            packages: package(dir.path()),
            speech_hours: 0.0,
            soundfont_hours: 0.0,
            patch_hours: 0.0,
        };
        let plan = plan(&context).unwrap();
        assert!(plan.missing.is_empty());
        let clips: Vec<_> = plan.batches.iter().flat_map(|batch| &batch.clips).collect();
        let names: Vec<_> = clips.iter().map(|clip| clip.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "Free/k1",
                "Free/k2",
                "Free/h",
                "Gnu/k1",
                "Gnu/k2",
                "Gnu/h",
                "Old_Kit/k1",
                "Old_Kit/k2",
                "Old_Kit/h"
            ]
        );
        let same: Vec<_> = clips[..3]
            .iter()
            .map(|clip| clip.same.as_ref().unwrap().class.as_str())
            .collect();
        assert_eq!(same, ["kick", "kick", "hihat_closed"]);
        let licence = |index: usize| {
            (
                clips[index].licence.to_string(),
                clips[index].licence.is_free(),
            )
        };
        assert_eq!(licence(0), ("CC-BY-3.0".into(), true));
        assert_eq!(licence(3), ("GPL".into(), false));
        assert_eq!(licence(6), ("CC-BY-SA-3.0".into(), true));
        assert_eq!(plan.credits.len(), 3);
        assert_eq!(plan.credits[2].holders, "O. Ld");
        assert!(plan.credits[0].stated.contains("drumkit.xml"));
    }
}
