use super::*;
use crate::links::links;
use clap::Parser;
use std::collections::BTreeSet;

/// A document and its text.
fn documents() -> Vec<(PathBuf, String)> {
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    };
    pages().unwrap().into_iter().map(read).collect()
}

/// The pages of the guide in the order of its list.
fn listed() -> Vec<String> {
    let summary = workspace::root().join("docs/src/SUMMARY.md");
    links(&fs::read_to_string(summary).unwrap())
}

#[test]
fn every_page_is_listed_once() {
    let listed = listed();
    let once: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(once.len(), listed.len(), "SUMMARY.md lists a page twice");
    let mut there: BTreeSet<String> = documents()
        .iter()
        .map(|(path, _)| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    there.remove("README.md");
    there.remove("SUMMARY.md");
    assert_eq!(once, there, "SUMMARY.md against the files of docs/src");
}

#[test]
fn every_page_leads_to_the_next() {
    let listed = listed();
    for pair in listed.windows(2) {
        let text = workspace::root().join("docs/src").join(&pair[0]);
        let text = fs::read_to_string(text).unwrap();
        let last = text.lines().last().unwrap();
        assert!(
            last.starts_with("Next: [") && links(last) == [pair[1].clone()],
            "{}: ends with {last:?}, expected a link to {}: \"Next: [...]({})\"",
            pair[0],
            pair[1],
            pair[1]
        );
    }
}

#[test]
fn every_command_of_xtask_exists() {
    let mut commands = 0;
    for (path, text) in documents() {
        for block in blocks(&text).unwrap() {
            for line in whole_lines(&block.script) {
                let Some(arguments) = line.strip_prefix("cargo xtask ") else {
                    continue;
                };
                let arguments = arguments.split_whitespace();
                let words = std::iter::once("cargo xtask").chain(arguments);
                if let Err(error) = crate::Cli::try_parse_from(words) {
                    panic!("{}: {line}: {error}", path.display());
                }
                commands += 1;
            }
        }
    }
    assert!(commands > 3, "the guide shows {commands} commands of xtask");
}

#[test]
fn the_guide_shows_every_part_of_the_program() {
    let mut scripts = String::new();
    for (_, text) in documents() {
        for block in blocks(&text).unwrap() {
            scripts += &block.script;
        }
    }
    for command in [
        "demo",
        "synth",
        "enrol",
        "listen",
        "classes",
        "review",
        "train",
        "export",
        "pack",
        "cut",
        "inspect",
        "eval",
        "stream",
        "bench",
        "embed",
        "experiment",
        "keygen",
        "sign",
    ] {
        let command = format!("mtslvr {command}");
        assert!(scripts.contains(&command), "no page shows {command:?}");
    }
}

#[test]
fn blocks_have_known_marks_that_a_reader_sees() {
    let found = blocks(
        "```sh\na\nb\n```\n\n```text\nsaid\n```\n```toml\nx\n```\n```sh,fails\nc\n```\nWords\n```text\nd\n```\n",
    );
    let found = found.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].line, found[0].script.as_str()), (1, "a\nb"));
    assert_eq!(found[0].shown, ["said"]);
    assert_eq!(found[1].when, When::Fails);
    assert!(found[1].shown.is_empty());
    for (wrong, named) in [
        ("```sh,never\na\n```\n", "never"),
        ("```sh,long\nmtslvr demo\n```\n", "# takes minutes"),
        ("```bash\na\n```\n", "expected sh"),
        ("```sh\na\n", "without an end"),
    ] {
        let error = format!("{:#}", blocks(wrong).unwrap_err());
        assert!(error.contains(named), "{error}");
    }
    assert!(blocks("```sh,long\n# takes minutes\nmtslvr demo\n```\n").is_ok());
}

#[test]
fn shown_lines_may_leave_out_text() {
    for (line, shown, same) in [
        ("a b  ", "a b", true),
        ("a b", "a", false),
        ("a b", "a…", true),
        ("a b c", "a…c", true),
        ("a b c", "…b…", true),
        ("a b c", "b…", false),
        ("a b c", "a…b", false),
    ] {
        assert_eq!(is_shown_as(line, shown), same, "{line:?} as {shown:?}");
    }
}

#[test]
fn comments_are_no_arguments() {
    let script = "# first\na b \\\n  c   # why\nd#e\n";
    assert_eq!(whole_lines(script), ["a b    c", "d#e"]);
}
