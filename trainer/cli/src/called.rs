//! The words by which the program is called again, for every command line that it suggests.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::LazyLock;

/// Name of the program in documents and in the texts of this source.
pub(super) const NAME: &str = "mtslvr";

/// Words for this process.
static CALLED: LazyLock<String> = LazyLock::new(|| {
    let own = std::env::args_os().next();
    let own = own.unwrap_or_else(|| OsString::from(NAME));
    called_by(&own, std::env::var_os("PATH").as_deref())
});

/// Returns the words that call this program again in a POSIX shell: its name if the search path leads to it,
/// otherwise the path that it was called by.
pub(super) fn called() -> &'static str {
    &CALLED
}

/// Returns `text` with the words that call this program in each command line that it quotes.
pub(super) fn as_called(text: &str) -> Cow<'_, str> {
    with_name(text, called())
}

fn with_name<'t>(text: &'t str, name: &str) -> Cow<'t, str> {
    // The second is that of `arecord ... | mtslvr listen -`.
    const BEFORE: [&str; 2] = ["`", "| "];
    if name == NAME {
        return Cow::Borrowed(text);
    }
    let called = |text: String, before| {
        text.replace(&format!("{before}{NAME} "), &format!("{before}{name} "))
    };
    Cow::Owned(BEFORE.into_iter().fold(text.to_owned(), called))
}

/// Returns the words for a program that was called by `own`, where programs are looked for in `search`.
fn called_by(own: &OsStr, search: Option<&OsStr>) -> String {
    let path = Path::new(own);
    let Some(name) = path.file_name() else {
        return NAME.to_owned();
    };
    let is_bare = path.components().count() == 1;
    let file = path.canonicalize().ok();
    let leads_here = || {
        let folders = search.into_iter().flat_map(std::env::split_paths);
        let mut found = folders.map(|folder| folder.join(name));
        let found = found.find(|path| path.is_file())?.canonicalize().ok();
        Some(found.is_some() && found == file)
    };
    let words = if is_bare || leads_here() == Some(true) {
        name
    } else {
        own
    };
    quoted(&words.to_string_lossy()).into_owned()
}

/// Returns `word` with quotes where a POSIX shell needs them.
pub(super) fn quoted(word: &str) -> Cow<'_, str> {
    // Only a NUL cannot be quoted, and no argument of a process holds one.
    shlex::try_quote(word).unwrap_or(Cow::Borrowed(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_enough_where_the_search_path_leads_to_the_program() {
        let place = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "the second"].map(|name| place.path().join(name));
        for folder in [&first, &second] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join(NAME), b"").unwrap();
        }
        let search = std::env::join_paths([&first, &second]).unwrap();
        let called = |own: &Path| called_by(own.as_os_str(), Some(&search));
        assert_eq!(called(Path::new(NAME)), NAME);
        assert_eq!(called(&first.join(NAME)), NAME);
        // A shell would run the other one.
        let own = second.join(NAME);
        assert_eq!(called(&own), format!("'{}'", own.display()));
        assert_eq!(called_by(OsStr::new("./mtslvr"), None), "./mtslvr");
        assert_eq!(called_by(OsStr::new(""), None), NAME);
    }

    #[test]
    fn only_quoted_command_lines_are_changed() {
        let text = "mtslvr: run `mtslvr enrol NAME` or `arecord | mtslvr listen -`";
        let changed = "mtslvr: run `./mtslvr enrol NAME` or `arecord | ./mtslvr listen -`";
        assert_eq!(with_name(text, "./mtslvr"), changed);
        assert_eq!(with_name(text, NAME), text);
    }
}
