//! Every help text, read from the tree of commands: each is there, in plain words and of a sensible
//! length, and each example is a command line that the program takes.

use clap::{Arg, ArgAction, Command, CommandFactory, Parser};
use mtslvr_cli::Cli;

/// Longest line that says what a command does, in characters: it stands in a list of commands.
const ABOUT: usize = 80;
/// Longest first paragraph of an option's help, in characters.
const HELP: usize = 180;
/// Longest line of an example, in characters: a terminal of 80 columns does not wrap it.
const EXAMPLE: usize = 76;
/// Most options under one heading.
const OPTIONS: usize = 8;

/// Beginnings that need a second reading.
const CLUMSY: [&str; 5] = ["What", "Of ", "To be", "Whose", "By which"];

/// Calls `check` for every command but clap's own `help`, with its words after `mtslvr`.
fn walk(check: &mut dyn FnMut(&str, &Command)) {
    fn visit(words: &str, command: &Command, check: &mut dyn FnMut(&str, &Command)) {
        check(words, command);
        for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
            let words = format!("{words} {}", sub.get_name());
            visit(words.trim(), sub, check);
        }
    }
    let mut root = Cli::command();
    root.build();
    visit("", &root, check);
}

/// The arguments that this program defines.
fn own_args(command: &Command) -> impl Iterator<Item = &Arg> {
    let all = command.get_arguments();
    all.filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"))
}

/// What is wrong with a text, if anything is.
fn fault(text: &str, longest: usize) -> Option<String> {
    let length = text.chars().count();
    let last = text.chars().last();
    if text.trim().is_empty() {
        Some("is missing".to_owned())
    } else if let Some(clumsy) = CLUMSY.iter().find(|clumsy| text.starts_with(**clumsy)) {
        Some(format!("begins with {clumsy:?}"))
    } else if !text.starts_with(|c: char| c.is_uppercase() || c == '-' || c == '`') {
        Some("does not begin with a capital letter".to_owned())
    } else if !last.is_some_and(|c| c.is_alphanumeric() || matches!(c, ')' | ']' | '+' | '`')) {
        Some(format!("ends with {last:?}"))
    } else if length > longest {
        Some(format!(
            "has {length} characters, at most {longest} allowed"
        ))
    } else {
        None
    }
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_and_every_argument_says_what_it_is_for() {
    let mut faults = Vec::new();
    walk(&mut |words, command| {
        let about = command.get_about().map(ToString::to_string);
        if let Some(fault) = fault(&about.unwrap_or_default(), ABOUT) {
            faults.push(format!("mtslvr {words}: its line {fault}"));
        }
        for arg in own_args(command) {
            let help = arg.get_help().map(ToString::to_string);
            if let Some(fault) = fault(&help.unwrap_or_default(), HELP) {
                faults.push(format!("mtslvr {words}, {arg}: the help {fault}"));
            }
            for value in arg.get_possible_values() {
                let help = value.get_help().map(ToString::to_string);
                let is_flag = !arg.get_action().takes_values();
                if !is_flag && help.unwrap_or_default().is_empty() {
                    faults.push(format!(
                        "mtslvr {words}, {arg}: {} has no help",
                        value.get_name()
                    ));
                }
            }
        }
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A value that may be left out has a default, or words on what happens then.
#[test]
fn every_option_says_what_happens_without_it() {
    let mut faults = Vec::new();
    walk(&mut |words, command| {
        for arg in own_args(command).filter(|arg| !arg.is_positional()) {
            let optional = arg.get_action().takes_values() && !arg.is_required_set();
            let text = arg
                .get_long_help()
                .or(arg.get_help())
                .map(ToString::to_string);
            let text = text.unwrap_or_default();
            let says = ["[default: ", "Without it", "Needed unless"];
            let says = says.iter().any(|words| text.contains(words));
            if optional && arg.get_default_values().is_empty() && !says {
                faults.push(format!("mtslvr {words}, {arg}: {text}"));
            }
        }
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn many_options_are_grouped() {
    walk(&mut |words, command| {
        let options = own_args(command).filter(|arg| !arg.is_positional());
        let mut headings: Vec<Option<&str>> = options.map(|arg| arg.get_help_heading()).collect();
        let all = headings.len();
        headings.dedup();
        let groups = headings.len();
        headings.sort_unstable();
        headings.dedup();
        assert_eq!(
            headings.len(),
            groups,
            "mtslvr {words}: a heading is there twice"
        );
        assert!(
            all <= OPTIONS || groups > 1,
            "mtslvr {words}: {all} options, no groups"
        );
    });
}

/// A command that does something has two or three examples, and the program takes each.
#[test]
fn every_example_is_a_command_line_of_the_program() {
    let mut faults = Vec::new();
    walk(&mut |words, command| {
        let text = command.get_after_help().map(ToString::to_string);
        let text = text.unwrap_or_default();
        let mut lines = text.lines().peekable();
        if lines.next() != Some("Examples:") {
            faults.push(format!("mtslvr {words}: no examples"));
            return;
        }
        let mut purposes = 0;
        while let Some(line) = lines.next() {
            if line.chars().count() > EXAMPLE {
                faults.push(format!("mtslvr {words}: too long: {line}"));
            }
            let Some(example) = line.strip_prefix("    ") else {
                purposes += 1;
                if !(line.starts_with("  ") && line.ends_with(':')) {
                    faults.push(format!(
                        "mtslvr {words}: neither purpose nor command: {line}"
                    ));
                }
                continue;
            };
            let mut example = example.to_owned();
            while example.ends_with('\\') {
                example.pop();
                example += lines.next().unwrap_or_default();
            }
            // Another program's output may be piped in.
            let own = example.rsplit(" | ").next().unwrap_or_default();
            let own = shlex::split(own).expect("quotes are closed");
            if own.first().map(String::as_str) != Some("mtslvr") {
                faults.push(format!(
                    "mtslvr {words}: not a command of this program: {example}"
                ));
            }
            use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
            match Cli::try_parse_from(&own) {
                Ok(_) => {}
                Err(error) if matches!(error.kind(), DisplayHelp | DisplayVersion) => {}
                Err(error) => faults.push(format!("{example}: {error}")),
            }
        }
        if !(2..=3).contains(&purposes) {
            faults.push(format!(
                "mtslvr {words}: {purposes} examples, expected 2 or 3"
            ));
        }
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// `enroll` is there for those who spell it so, and is `enrol` in everything that is shown.
#[test]
fn enroll_is_another_word_for_enrol() {
    let root = Cli::command();
    let enrol = root.find_subcommand("enroll").expect("the alias is there");
    assert_eq!(enrol.get_name(), "enrol");
    walk(&mut |words, command| {
        let help = command.clone().render_long_help().to_string();
        let elsewhere = help.replace("[alias: enroll]", "").replace("enrolled", "");
        assert!(!elsewhere.contains("enroll"), "mtslvr {words}: {help}");
    });
}

/// Arguments after which clap prints something and ends belong to clap.
#[test]
fn the_program_has_a_version_and_its_commands_have_none() {
    walk(&mut |words, command| {
        let version = command.get_arguments();
        let has = version
            .filter(|arg| matches!(arg.get_action(), ArgAction::Version))
            .count();
        assert_eq!(has, usize::from(words.is_empty()), "mtslvr {words}");
    });
}
