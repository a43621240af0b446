//! The firmware's command line.

use core::fmt;
use mtslvr_runtime::fewshot::HeadKind;

/// One word of the command line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Argument<'a> {
    /// `support:LABEL=PATH`: an example of the class LABEL.
    Support {
        /// The class.
        label: &'a str,
        /// A WAV file.
        path: &'a str,
    },
    /// `query=PATH`: a recording to classify.
    Query {
        /// A WAV file.
        path: &'a str,
    },
    /// `threshold=S`: similarity below which a query is *unknown*, instead of the model's.
    Threshold(f32),
    /// `head=KIND`: which linear head is fitted.
    Head(HeadKind),
    /// `delete=LABEL`: forgets a class.
    Delete {
        /// The class.
        label: &'a str,
    },
    /// `flash=PATH`: where the flash is kept.
    Flash {
        /// A file of the host.
        path: &'a str,
    },
    /// `link`: profiles come and go over the board's UART, after all else, until the emulator is ended.
    Link,
    /// `cut=N`: the power goes after so many bytes have been written to flash or erased.
    Cut(u64),
}

/// Why the command line cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentError<'a> {
    /// None of the known forms.
    Unknown(&'a str),
    /// A support argument whose label is empty or holds a space, comma or colon.
    Label(&'a str),
    /// A threshold that is not a number from -1 to 1.
    Threshold(&'a str),
    /// A head that is not known.
    Head(&'a str),
    /// A cut that is not a number of bytes.
    Cut(&'a str),
    /// A quotation mark without its partner.
    Quote,
}

impl fmt::Display for ArgumentError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(word) => write!(
                f,
                "argument {word:?}, expected support:LABEL=PATH, query=PATH, threshold=S, head=KIND, \
                 delete=LABEL, flash=PATH, cut=BYTES or link"
            ),
            Self::Label(found) => write!(
                f,
                "label {found:?}, expected one or more characters but no space, comma or colon"
            ),
            Self::Threshold(found) => {
                write!(f, "threshold {found:?}, expected a number from -1 to 1")
            }
            Self::Head(found) => write!(
                f,
                "head {found:?}, expected nearest-mean, ridge:LAMBDA or logistic:C"
            ),
            Self::Cut(found) => write!(f, "cut {found:?}, expected a number of bytes"),
            Self::Quote => f.write_str("a quotation mark without its partner"),
        }
    }
}

/// The arguments in `line`, behind its first word (the program's name).
///
/// Words are separated by spaces; a word that holds spaces stands in quotation marks.
pub fn arguments(line: &str) -> impl Iterator<Item = Result<Argument<'_>, ArgumentError<'_>>> {
    let mut words = Words { rest: line };
    words.next();
    words.map(|word| word.and_then(parse))
}

fn parse(word: &str) -> Result<Argument<'_>, ArgumentError<'_>> {
    if word == "link" {
        return Ok(Argument::Link);
    }
    let (key, value) = word.split_once('=').ok_or(ArgumentError::Unknown(word))?;
    if let Some(label) = key.strip_prefix("support:") {
        if label.is_empty() || label.contains([' ', ',', ':']) {
            return Err(ArgumentError::Label(label));
        }
        return Ok(Argument::Support { label, path: value });
    }
    match key {
        "query" => Ok(Argument::Query { path: value }),
        "threshold" => match value.parse() {
            Ok(threshold) if (-1.0..=1.0).contains(&threshold) => {
                Ok(Argument::Threshold(threshold))
            }
            _ => Err(ArgumentError::Threshold(value)),
        },
        "delete" => Ok(Argument::Delete { label: value }),
        "flash" => Ok(Argument::Flash { path: value }),
        "cut" => value
            .parse()
            .map(Argument::Cut)
            .map_err(|_| ArgumentError::Cut(value)),
        "head" => head(value)
            .map(Argument::Head)
            .ok_or(ArgumentError::Head(value)),
        _ => Err(ArgumentError::Unknown(word)),
    }
}

fn head(text: &str) -> Option<HeadKind> {
    let (kind, parameter) = text.split_once(':').unwrap_or((text, ""));
    match kind {
        "nearest-mean" if parameter.is_empty() => Some(HeadKind::NearestMean),
        "ridge" => parameter
            .parse()
            .ok()
            .map(|lambda| HeadKind::Ridge { lambda }),
        "logistic" => parameter.parse().ok().map(|c| HeadKind::Logistic { c }),
        _ => None,
    }
}

struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = Result<&'a str, ArgumentError<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.trim_start_matches(' ');
        if rest.is_empty() {
            return None;
        }
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => match quoted.split_once('"') {
                Some(parts) => parts,
                None => {
                    self.rest = "";
                    return Some(Err(ArgumentError::Quote));
                }
            },
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        self.rest = after;
        Some(Ok(word))
    }
}
