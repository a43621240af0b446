//! Pieces of HTML that the parts of a page are made of.

use super::data::Fact;
use super::escape::Escaped;
use std::fmt::{Display, Write};

pub(super) fn section(body: &mut String, title: &str, lead: &str, content: &str) {
    let _ = write!(body, "<section>\n<h2>{}</h2>\n", Escaped(title));
    if !lead.is_empty() {
        let _ = writeln!(body, "<p>{}</p>", Escaped(lead));
    }
    let _ = write!(body, "{content}\n</section>\n");
}

pub(super) fn facts(facts: &[Fact]) -> String {
    let mut list = String::from("<dl>\n");
    for Fact { name, value } in facts {
        let (name, value): (&dyn Display, &dyn Display) = (&Escaped(name), &Escaped(value));
        let _ = writeln!(list, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    list.push_str("</dl>");
    list
}
