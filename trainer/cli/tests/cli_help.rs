//! Every help text, read from the tree of commands: each is there, in plain words and of a sensible
//! length, and each example is a command line that the program takes.

use clap::{Arg, ArgAction, Command, CommandFactory, Parser};
use mtslvr_cli::Cli;
#[cfg(feature = "train")]
use std::path::PathBuf;

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
            let mut own = shlex::split(own).expect("quotes are closed");
            // What is printed may go to a file.
            if let [.., redirection, _] = &own[..]
                && redirection == ">"
            {
                own.truncate(own.len() - 2);
            }
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

/// Command lines that texts quote are those of the program, too, as far as they go.
#[test]
fn every_quoted_command_line_is_one_of_the_program() {
    let subcommands: Vec<String> = Cli::command()
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    let mut faults = Vec::new();
    let mut quoted = 0;
    walk(&mut |words, command| {
        let own = command.get_long_about().or(command.get_about());
        let args = own_args(command).filter_map(|arg| arg.get_long_help().or(arg.get_help()));
        let texts = own.into_iter().chain(args).map(ToString::to_string);
        for text in texts {
            for line in text.split('`').skip(1).step_by(2) {
                let mut line = shlex::split(line).unwrap_or_default();
                if line
                    .first()
                    .is_some_and(|first| subcommands.contains(first))
                {
                    line.insert(0, "mtslvr".to_owned());
                }
                if line.first().map(String::as_str) != Some("mtslvr") || line.len() == 1 {
                    continue;
                }
                quoted += 1;
                use clap::error::ErrorKind::{
                    DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, InvalidValue,
                    MissingRequiredArgument,
                };
                let goes_on = line.last().is_some_and(|word| word.starts_with("--"));
                match Cli::try_parse_from(&line).map_err(|error| error.kind()) {
                    // A text need not name everything.
                    Ok(_)
                    | Err(
                        DisplayHelp
                        | DisplayHelpOnMissingArgumentOrSubcommand
                        | MissingRequiredArgument,
                    ) => {}
                    Err(InvalidValue) if goes_on => {}
                    Err(kind) => faults.push(format!("mtslvr {words}: {line:?}: {kind:?}")),
                }
            }
        }
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(quoted >= 5, "{quoted}");
}

/// Options that take several values take them in the same ways, and none swallows an argument that follows.
#[test]
fn lists_have_the_same_forms_everywhere() {
    let mut faults = Vec::new();
    let mut lists = 0;
    walk(&mut |words, command| {
        let positional = own_args(command).any(Arg::is_positional);
        for arg in own_args(command).filter(|arg| !arg.is_positional()) {
            let names = arg.get_value_names().unwrap_or_default();
            let [name] = names else { continue };
            let is_list = matches!(arg.get_action(), ArgAction::Append);
            let many = arg
                .get_num_args()
                .is_some_and(|range| range.max_values() > 1);
            let commas = arg.get_value_delimiter() == Some(',');
            let is_path = matches!(name.as_str(), "DIR" | "MODEL");
            // A key or a name with its value may hold anything.
            let is_pair = name.contains('=');
            lists += usize::from(is_list);
            if many != (is_list && !positional && !is_pair) {
                faults.push(format!(
                    "mtslvr {words}, {arg}: several values at a time: {many}"
                ));
            }
            if commas != (is_list && !is_path && !is_pair) {
                faults.push(format!("mtslvr {words}, {arg}: commas: {commas}"));
            }
        }
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(lists >= 5, "{lists}");
}

/// Values that an option of a command line was given.
#[cfg(feature = "train")]
fn given<T: Clone + Send + Sync + 'static>(line: &str, option: &str) -> Vec<T> {
    let words = shlex::split(line).unwrap();
    let matches = Cli::command().try_get_matches_from(words);
    let matches = matches.unwrap_or_else(|error| panic!("{line}: {error}"));
    let (_, mut command) = matches.subcommand().unwrap();
    while let Some((_, sub)) = command.subcommand() {
        command = sub;
    }
    let values = command.get_many::<T>(option).expect("it is given");
    values.cloned().collect()
}

#[cfg(feature = "train")]
#[test]
fn every_form_of_a_list_gives_the_same_values() {
    for form in ["--snr 10,-5", "--snr 10 -5", "--snr 10 --snr -5"] {
        let line = format!("mtslvr stream --data a --background b/c {form}");
        assert_eq!(given::<f32>(&line, "snr"), [10.0, -5.0], "{line}");
    }
    let line = "mtslvr stream --data a --background b/c --snr=-5,0";
    assert_eq!(given::<f32>(line, "snr"), [-5.0, 0.0]);
    for form in ["--shots 1,5", "--shots 1 5", "--shots 1 --shots 5"] {
        for command in ["open-set", "bias"] {
            let line = format!("mtslvr eval {command} --data a {form}");
            assert_eq!(given::<usize>(&line, "shots"), [1, 5], "{line}");
        }
    }
    // A comma is a part of a path.
    for form in ["--data a,b c", "--data a,b --data c"] {
        let line = format!("mtslvr train {form}");
        let paths = ["a,b", "c"].map(PathBuf::from);
        assert_eq!(given::<PathBuf>(&line, "data"), paths, "{line}");
    }
    // An argument behind a list is no part of it.
    for (line, list, argument) in [
        (
            "mtslvr export --calibrate x --calibrate y run",
            "calibrate",
            "run",
        ),
        (
            "mtslvr pack --out o --calibrate x --calibrate y run",
            "calibrate",
            "onnx",
        ),
        ("mtslvr experiment --data x --data y run", "data", "file"),
    ] {
        assert_eq!(given::<PathBuf>(line, list), ["x", "y"].map(PathBuf::from));
        assert_eq!(given::<PathBuf>(line, argument), [PathBuf::from("run")]);
    }
}

/// `--mic` is named only where it works; elsewhere it is said how to get it.
#[test]
fn the_microphone_is_offered_where_it_is_built_in() {
    let built_in = cfg!(feature = "mic");
    walk(&mut |words, command| {
        let help = command.clone().render_long_help().to_string();
        let usage = command.clone().render_usage().to_string();
        let listens = matches!(words, "enrol" | "listen");
        assert_eq!(usage.contains("--mic"), built_in && listens, "{usage}");
        let offered = help.contains("  --mic");
        assert_eq!(offered, built_in && listens, "mtslvr {words}: {help}");
        let told = help.contains("--features mic");
        assert_eq!(told, !built_in && listens, "mtslvr {words}: {help}");
    });
}

/// A command that uses a profile says whose backbone it takes.
#[test]
fn the_default_backbone_of_a_profile_is_its_own() {
    let mut own = Vec::new();
    walk(&mut |words, command| {
        let model = own_args(command).find(|arg| arg.get_long() == Some("model"));
        let help = model
            .and_then(|arg| arg.get_help())
            .map(ToString::to_string);
        if help.is_some_and(|help| help.contains("[default: the profile's own; edge-s for a new")) {
            own.push(words.to_owned());
        }
    });
    let expected = [
        "enrol",
        "listen",
        "classes import",
        "classes test",
        "classes calibrate",
        "review",
    ];
    assert_eq!(own, expected);
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
