//! `/usr/share/doc/PACKAGE/copyright`: who holds the rights in a file, and its licence.

use crate::licence::Licence;

/// A copyright file.
#[derive(Clone, Debug)]
pub enum Copyright {
    /// Written in Debian's machine-readable format (DEP-5): stanzas, of which the last that matches
    /// a file holds.
    Stanzas(Vec<Stanza>),
    /// Written freely, its white space reduced to single spaces.
    Text(String),
}

/// A `Files:` stanza.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stanza {
    /// Wildcards, `*` and `?`, for whole paths in the source package.
    patterns: Vec<String>,
    /// Who holds the rights.
    pub holders: String,
    /// The licence.
    pub licence: Licence,
}

impl Copyright {
    /// Reads the text of a copyright file.
    pub fn parse(text: &str) -> Self {
        let mut stanzas = Vec::new();
        for paragraph in paragraphs(text) {
            let field = |name: &str| {
                let same = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
                paragraph.iter().find(same).map(|(_, value)| value.as_str())
            };
            if let (Some(files), Some(licence)) = (field("Files"), field("License")) {
                stanzas.push(Stanza {
                    patterns: patterns(files),
                    holders: one_line(field("Copyright").unwrap_or_default()),
                    // The text of the licence may follow on the next lines.
                    licence: Licence::stated(licence.lines().next().unwrap_or_default()),
                });
            }
        }
        if stanzas.is_empty() {
            Self::Text(one_line(text))
        } else {
            Self::Stanzas(stanzas)
        }
    }

    /// Finds the stanza for `path`, a path in the source package. Free text has none.
    pub fn stanza(&self, path: &str) -> Option<&Stanza> {
        let Self::Stanzas(stanzas) = self else {
            return None;
        };
        let holds = |stanza: &&Stanza| stanza.patterns.iter().any(|p| matches(p, path));
        stanzas.iter().rev().find(holds)
    }

    /// Checks whether free text says `phrase`, however its lines are broken.
    pub fn says(&self, phrase: &str) -> bool {
        matches!(self, Self::Text(text) if text.contains(&one_line(phrase)))
    }
}

/// Fields of each paragraph: a name, and its lines without the indentation.
fn paragraphs(text: &str) -> Vec<Vec<(String, String)>> {
    let mut paragraphs = vec![Vec::<(String, String)>::new()];
    for line in text.lines() {
        if line.trim().is_empty() {
            paragraphs.push(Vec::new());
            continue;
        }
        let fields = paragraphs.last_mut().expect("it begins with one");
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    paragraphs
}

/// Patterns of a `Files:` field. They are set apart by white space; names with spaces that are not
/// escaped are common, so that a whole line counts as a pattern too.
fn patterns(files: &str) -> Vec<String> {
    files
        .lines()
        .chain(files.split_whitespace())
        .map(|pattern| pattern.trim().trim_start_matches("./").to_owned())
        .filter(|pattern| !pattern.is_empty())
        .collect()
}

/// Checks whether all of `path` matches `pattern`: `*` stands for any text, `?` for a character.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.chars().collect(), path.chars().collect());
    let (mut at, mut next) = (0, 0);
    // Where the last `*` was, and how far the text reached that it stands for.
    let mut star: Option<(usize, usize)> = None;
    while next < path.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, next));
                at += 1;
            }
            Some('?') => (at, next) = (at + 1, next + 1),
            Some(c) if *c == path[next] => (at, next) = (at + 1, next + 1),
            _ => match &mut star {
                Some((place, reached)) => {
                    *reached += 1;
                    (at, next) = (*place + 1, *reached);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAME: &str = "\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: game

Files: *
Copyright: 2010 A. Coder <a@example.org>
License: GPL-3+

Files: sounds/*
Copyright: Various
License: public-domain
 Based on sounds taken from elsewhere.

Files: sounds/heavy rocket hit.wav
Copyright: Copyright M. K.
License: CC-BY-SA-3.0
Comment: Taken from
 License: GPL-2

Files:
 data/kit?one.kit
 ./data/two*
Copyright: B. Drummer
License: CC-BY-4.0

License: GPL-3+
 This program is free software.
";

    fn licence(path: &str) -> String {
        Copyright::parse(GAME)
            .stanza(path)
            .unwrap()
            .licence
            .to_string()
    }

    #[test]
    fn the_last_stanza_that_matches_holds() {
        assert_eq!(licence("src/main.c"), "GPL-3+");
        assert_eq!(licence("sounds/laser.wav"), "public-domain");
        assert_eq!(licence("sounds/heavy rocket hit.wav"), "CC-BY-SA-3.0");
        assert_eq!(licence("data/kit one.kit"), "CC-BY-4.0");
        assert_eq!(licence("data/two/three"), "CC-BY-4.0");
        let copyright = Copyright::parse(GAME);
        let stanza = copyright.stanza("sounds/heavy rocket hit.wav").unwrap();
        assert_eq!(stanza.holders, "Copyright M. K.");
    }

    #[test]
    fn free_text_is_searched_for_a_statement() {
        let text = "Upstream: someone\n\nThese files are distributed under the Creative\n  Commons \
                    licence.\nLicense: see above\n";
        let copyright = Copyright::parse(text);
        assert!(copyright.says("distributed under the\nCreative Commons licence"));
        assert!(!copyright.says("public domain"));
        assert!(copyright.stanza("a").is_none());
        assert!(!Copyright::parse(GAME).says("free software"));
    }

    #[test]
    fn wildcards_match_whole_paths() {
        assert!(matches("*", "") && matches("*", "a/b"));
        assert!(matches("a*c*e", "abcde") && !matches("a*c*e", "abcd"));
        assert!(matches("?b", "ab") && !matches("?b", "b"));
        assert!(!matches("sounds/*", "x/sounds/y") && !matches("a", "ab"));
        assert!(matches("*hai*", "images/outfit/battery hai.png"));
    }
}
