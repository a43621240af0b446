//! Music for callers who wait.

use super::{Context, Credit, Origin, Plan, Source, recordings, stem};
use crate::batch::Wanted;
use crate::licence::Licence;
use crate::program::{self, Missing};
use crate::same::file_name;
use anyhow::Result;

pub const SOURCE: Source = Source {
    name: "music",
    title: "Music on hold of Asterisk",
    origin: Origin::Recorded,
    plan,
};

const PACKAGE: &str = "asterisk-moh-opsound-g722";
const SENTENCE: &str = "These files are distributed under the Creative Commons \
                        Attribution-ShareAlike 3.0 license";
const HOLDERS: &str = "2009 Paul Shuler (Macroform), 2009 Manolo Camp, 2008 Reno Project";

fn plan(context: &Context) -> Result<Plan> {
    let mut plan = Plan::default();
    if !program::is_there("ffmpeg") {
        plan.missing
            .push(Missing::new("ffmpeg", "music in G.722 is left out"));
        return Ok(plan);
    }
    let package = match context.packages.get(PACKAGE) {
        Ok(package) => package,
        Err(missing) => {
            plan.missing.push(missing);
            return Ok(plan);
        }
    };
    if !package.copyright.says(SENTENCE) {
        let consequence = "its copyright file no longer states the licence that is known here";
        plan.missing.push(Missing::new(PACKAGE, consequence));
        return Ok(plan);
    }
    let credit = Credit::package(&package, Licence::stated(SENTENCE), HOLDERS);
    let folder = "usr/share/asterisk/moh/";
    let files = package
        .below(folder)
        .filter(|path| stem(path).1 == "g722")
        .map(|path| {
            let name = file_name(stem(path).0);
            let wanted = Wanted {
                group: name.clone(),
                name,
                licence: credit.licence.clone(),
                kind: "music",
                same: None,
            };
            (package.path(&format!("{folder}{path}")), wanted)
        });
    plan.batches = recordings(files.map(|file| vec![file]));
    plan.credit(credit);
    Ok(plan)
}
