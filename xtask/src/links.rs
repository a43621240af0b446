//! The links and pictures of Markdown documents, and what they lead to.

#[cfg(test)]
use std::collections::BTreeSet;

/// Returns `document` with `to` of each place that a link or picture leads to; links in blocks and in code are text.
pub fn mapped(document: &str, mut to: impl FnMut(&str) -> String) -> String {
    let mut text = String::with_capacity(document.len());
    let mut block = false;
    for line in document.split_inclusive('\n') {
        let fence = line.starts_with("```");
        if fence || block {
            block ^= fence;
            text.push_str(line);
            continue;
        }
        for (part, span) in line.split('`').enumerate() {
            if part > 0 {
                text.push('`');
            }
            if part % 2 == 1 {
                text.push_str(span);
                continue;
            }
            let mut rest = span;
            while let Some((before, behind)) = rest.split_once("](") {
                text.push_str(before);
                text.push_str("](");
                let Some((target, behind)) = behind.split_once(')') else {
                    rest = behind;
                    continue;
                };
                text.push_str(&to(target));
                text.push(')');
                rest = behind;
            }
            text.push_str(rest);
        }
    }
    text
}

/// Returns where the links and pictures of a document lead.
pub fn links(document: &str) -> Vec<String> {
    let mut found = Vec::new();
    mapped(document, |target| {
        found.push(target.to_owned());
        String::new()
    });
    found
}

/// Splits a link within the repository into the file, empty for the same document, and the anchor. Links elsewhere
/// are none.
pub fn within(link: &str) -> Option<(&str, &str)> {
    let elsewhere = ["https:", "http:", "mailto:"];
    (!elsewhere.iter().any(|scheme| link.starts_with(scheme)))
        .then(|| link.split_once('#').unwrap_or((link, "")))
}

/// Returns the anchors of a document's headings.
#[cfg(test)]
pub fn anchors(document: &str) -> BTreeSet<String> {
    let mut block = false;
    let mut anchors = BTreeSet::new();
    for line in document.lines() {
        block ^= line.starts_with("```");
        let title = line.trim_start_matches('#');
        if block || title.len() == line.len() {
            continue;
        }
        let title = title.trim().to_lowercase();
        let kept = title.chars().filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            _ => c.is_alphanumeric().then_some(c),
        });
        anchors.insert(kept.collect());
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{process, workspace};
    use std::fs;
    use std::path::PathBuf;
    use std::process::Command;

    #[test]
    fn links_in_code_are_none() {
        let document = "[a](b.md) `[c](d)` [![e](f.png)](g)\n```sh\n[h](i)\n```\n[`j`](k#l)\n";
        assert_eq!(links(document), ["b.md", "f.png", "g", "k#l"]);
        assert_eq!(mapped(document, str::to_owned), document);
        let moved = mapped(document, |target| format!("x/{target}"));
        assert!(moved.contains("[![e](x/f.png)](x/g)\n```sh\n[h](i)"));
        assert!(anchors("## Not found, again\n```sh\n# no\n```\n").contains("not-found-again"));
    }

    #[test]
    fn every_link_and_picture_of_every_document_is_there() {
        let mut list = Command::new("git");
        list.args(["ls-files", "*.md"])
            .current_dir(workspace::root());
        let list = process::output(&mut list).unwrap();
        let documents = list.lines().map(|file| workspace::root().join(file));
        let documents: Vec<PathBuf> = documents.filter(|path| path.exists()).collect();
        assert!(documents.len() > 40, "{documents:?}");
        let mut astray = Vec::new();
        for path in documents {
            let text = fs::read_to_string(&path).unwrap();
            for link in links(&text) {
                let Some((file, anchor)) = within(&link) else {
                    continue;
                };
                let target = match file {
                    "" => path.clone(),
                    file => path.parent().unwrap().join(file),
                };
                let there = target.exists()
                    && (anchor.is_empty()
                        || anchors(&fs::read_to_string(&target).unwrap()).contains(anchor));
                if !there {
                    astray.push(format!("{}: {link}", path.display()));
                }
            }
        }
        assert!(astray.is_empty(), "{astray:#?}");
    }
}
