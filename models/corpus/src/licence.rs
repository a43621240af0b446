//! Licences by name, and whether a model that is passed on may learn from what is under them.

use regex_lite::Regex;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Name of a licence, as SPDX writes it where the text allows to tell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Licence(String);

impl Licence {
    /// Names the licence that `text` states: a short name or a sentence. Text that states no known
    /// licence becomes the name itself.
    pub fn stated(text: &str) -> Self {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let lower = text.to_lowercase();
        let has = |pattern: &str| {
            Regex::new(pattern)
                .expect("the patterns are constants")
                .is_match(&lower)
        };
        // An offer of several licences, and whatever restricts use, keeps its own words.
        if has(r"\bor\b.*\bcc|non-?commercial|no-?deriv|\bnc\b|\bnd\b") {
            return Self(text);
        }
        let name = if has(r"\bcc-?0\b|creative commons (zero|0)") {
            "CC0-1.0".into()
        } else if has(r"\bcc-(by-sa|sa-by)|attribution[ -]+share[ -]?alike") {
            versioned("CC-BY-SA", &lower)
        } else if has(r"\bcc-by\b|creative commons attribution") {
            versioned("CC-BY", &lower)
        } else if has(r"\blgpl|lesser general public") {
            text
        } else if has(r"\bgpl|general public licen[cs]e") {
            if has(r"exception") || lower.starts_with("gpl") {
                text
            } else {
                "GPL".into()
            }
        } else if has(r"public[ -]domain|^pd$") {
            "public-domain".into()
        } else if has(r"\b(mit|expat)\b") {
            "MIT".into()
        } else {
            text
        };
        Self(name)
    }

    /// Takes `name` as it is, where a list names several licences.
    pub fn named(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// Whether a model that is passed on may learn from it: public domain, permissive, CC BY or
    /// CC BY-SA. Licences that are not known count as not free.
    pub fn is_free(&self) -> bool {
        let name = self.0.to_lowercase();
        !self.is_restricted()
            && ([
                "cc0",
                "cc-by",
                "public-domain",
                "mit",
                "bsd",
                "apache",
                "est-",
                "output of ",
            ]
            .iter()
            .any(|free| name.starts_with(free))
                || name.contains(" or cc-by"))
    }

    /// Whether it forbids commercial use or changes. Nothing under such a licence is taken at all.
    pub fn is_restricted(&self) -> bool {
        let restricts = Regex::new(r"(?i)non-?commercial|no-?deriv|\bnc\b|\bnd\b");
        restricts
            .expect("the pattern is a constant")
            .is_match(&self.0)
    }
}

impl fmt::Display for Licence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `name` with the version that `text` gives.
fn versioned(name: &str, text: &str) -> String {
    let version = Regex::new(r"[1-4]\.[05]").expect("the pattern is a constant");
    version
        .find(text)
        .map_or_else(|| name.to_owned(), |v| format!("{name}-{}", v.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_become_names() {
        for (text, name, free) in [
            ("CC-BY-SA-3.0", "CC-BY-SA-3.0", true),
            ("CC-SA-BY-3.0", "CC-BY-SA-3.0", true),
            (
                "This work is licensed under the Creative Commons 0 License.",
                "CC0-1.0",
                true,
            ),
            (
                "Creative Commons - Attribution-ShareAlike 3.0 Unported",
                "CC-BY-SA-3.0",
                true,
            ),
            (
                "Attribution-Share Alike 3.0 United States",
                "CC-BY-SA-3.0",
                true,
            ),
            (
                "cc-by ==> http://creativecommons.org/licenses/by/3.0/",
                "CC-BY-3.0",
                true,
            ),
            ("public-domain\nBased on sounds", "public-domain", true),
            ("Expat", "MIT", true),
            ("BSD-3-clause", "BSD-3-clause", true),
            ("GPL-3 or CC-BY-3.0", "GPL-3 or CC-BY-3.0", true),
            ("GPL", "GPL", false),
            ("GPL-2+", "GPL-2+", false),
            (
                "This drumkit is distributed under the GPL version 2 license",
                "GPL",
                false,
            ),
            ("LGPL-2.1+", "LGPL-2.1+", false),
            ("Something of our own", "Something of our own", false),
        ] {
            let licence = Licence::stated(text);
            assert_eq!(licence.to_string(), name, "{text}");
            assert_eq!(licence.is_free(), free, "{text}");
            assert!(!licence.is_restricted(), "{text}");
        }
    }

    #[test]
    fn restricted_licences_are_never_free() {
        for text in [
            "CC-BY-NC-SA-4.0",
            "CC-BY-ND-3.0",
            "Creative Commons Attribution-NonCommercial 3.0",
            "free for non-commercial use",
        ] {
            let licence = Licence::stated(text);
            assert!(licence.is_restricted() && !licence.is_free(), "{text}");
        }
    }
}
