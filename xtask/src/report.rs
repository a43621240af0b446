//! The output of firmwares, line by line.

use anyhow::{Context, Error, Result};
use std::str::FromStr;

/// All lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Lines in the order in which they were printed.
    pub lines: Vec<Line>,
}

/// Keys and values in order. The last value may hold spaces if it is that of `file` or `name`.
pub type Fields = Vec<(String, String)>;

/// One line: its kind, then `key=value` fields, or free text where the kind ends with a colon.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The first word.
    pub kind: String,
    /// The rest.
    pub fields: Fields,
}

impl Report {
    /// The lines of one kind.
    pub fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Line> {
        self.lines.iter().filter(move |line| line.kind == kind)
    }
}

impl Line {
    /// Returns the value of a field.
    ///
    /// # Errors
    /// If the line has no such field.
    pub fn get(&self, key: &str) -> Result<&str> {
        let field = self.fields.iter().find(|(name, _)| name == key);
        let (_, value) = field.with_context(|| format!("no field {key} in {self:?}"))?;
        Ok(value)
    }

    /// Returns the value of a field that is a number.
    ///
    /// # Errors
    /// If the line has no such field, or its value is no number.
    pub fn number(&self, key: &str) -> Result<u64> {
        let value = self.get(key)?;
        value
            .parse()
            .with_context(|| format!("{key}={value} is not a number"))
    }

    /// The line without a field.
    pub fn without(&self, key: &str) -> Self {
        let mut line = self.clone();
        line.fields.retain(|(name, _)| name != key);
        line
    }
}

impl FromStr for Report {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let lines = text.lines().filter(|line| !line.is_empty());
        Ok(Self {
            lines: lines.map(str::parse).collect::<Result<_>>()?,
        })
    }
}

impl FromStr for Line {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        let (kind, mut rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut fields = Vec::new();
        if let Some(kind) = kind.strip_suffix(':') {
            fields.push(("text".to_owned(), rest.to_owned()));
            return Ok(Self {
                kind: kind.to_owned(),
                fields,
            });
        }
        while !rest.is_empty() {
            let (key, after) = rest
                .split_once('=')
                .with_context(|| format!("no key=value in {rest:?} of {line:?}"))?;
            let (value, after) = match key {
                "file" | "name" => (after, ""),
                _ => after.split_once(' ').unwrap_or((after, "")),
            };
            fields.push((key.to_owned(), value.to_owned()));
            rest = after;
        }
        Ok(Self {
            kind: kind.to_owned(),
            fields,
        })
    }
}
