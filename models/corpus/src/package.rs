//! Debian's packages: unpacked in the work folder, installed, or fetched from the archive.

use crate::copyright::Copyright;
use crate::program::{self, Missing};
use anyhow::{Context, Result, anyhow};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Source of packages.
#[derive(Debug)]
pub struct Packages {
    /// Folder of unpacked packages, each in a folder of its name.
    pub folder: PathBuf,
    /// Whether packages may be fetched with `apt-get download`.
    pub fetch: bool,
}

/// A package's files.
#[derive(Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its copyright file.
    pub copyright: Copyright,
    root: PathBuf,
    /// Paths below the root, without a slash in front, sorted.
    files: Vec<String>,
}

/// Name of the file with the version of an unpacked package.
const VERSION: &str = ".version";

impl Packages {
    /// Finds the package `name`, or fetches and unpacks it.
    ///
    /// # Errors
    /// [`Missing`]: it is not there and cannot be fetched.
    pub fn get(&self, name: &str) -> Result<Package, Missing> {
        let unpacked = self.folder.join(name);
        let package = if unpacked.is_dir() {
            Package::unpacked(name, unpacked)
        } else if let Some(version) = installed_version(name) {
            Package::installed(name, version)
        } else if !self.fetch {
            Err(anyhow!("it is not installed, and nothing may be fetched"))
        } else {
            self.fetch(name)
                .and_then(|()| Package::unpacked(name, unpacked))
        };
        package.map_err(|error| Missing::new(name, format!("{name} is left out: {error:#}")))
    }

    /// Fetches the package `name` and unpacks it into its folder.
    fn fetch(&self, name: &str) -> Result<()> {
        fs::create_dir_all(&self.folder)?;
        let work = tempfile::Builder::new()
            .prefix(".fetching-")
            .tempdir_in(&self.folder)?;
        eprintln!("Fetching {name} ...");
        program::run(
            Command::new("apt-get")
                .args(["download", name])
                .current_dir(work.path()),
        )?;
        let deb = fs::read_dir(work.path())?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|e| e == "deb"))
            .context("apt-get download left no .deb file")?;
        self.unpack(name, &deb)
    }

    /// Unpacks the file `deb` as the package `name`. The folder has its name once it is whole.
    pub fn unpack(&self, name: &str, deb: &Path) -> Result<()> {
        let work = tempfile::Builder::new()
            .prefix(".unpacking-")
            .tempdir_in(&self.folder)?;
        let root = work.path().join(name);
        program::run(
            Command::new("dpkg-deb")
                .arg("--extract")
                .arg(deb)
                .arg(&root),
        )?;
        let version = program::run(
            Command::new("dpkg-deb")
                .arg("--field")
                .arg(deb)
                .arg("Version"),
        )?;
        fs::write(root.join(VERSION), version)?;
        fs::rename(&root, self.folder.join(name))?;
        Ok(())
    }
}

impl Package {
    fn unpacked(name: &str, root: PathBuf) -> Result<Self> {
        let mut files = Vec::new();
        list(&root, "", &mut files)?;
        let version = fs::read_to_string(root.join(VERSION)).unwrap_or_default();
        Self::new(name, version.trim().to_owned(), root, files)
    }

    fn installed(name: &str, version: String) -> Result<Self> {
        let list = program::run(Command::new("dpkg-query").args(["--listfiles", name]))?;
        let files = String::from_utf8_lossy(&list)
            .lines()
            .filter(|line| Path::new(line).is_file())
            .map(|line| line.trim_start_matches('/').to_owned())
            .collect();
        Self::new(name, version, PathBuf::from("/"), files)
    }

    fn new(name: &str, version: String, root: PathBuf, mut files: Vec<String>) -> Result<Self> {
        files.sort();
        let copyright = root.join("usr/share/doc").join(name).join("copyright");
        let text = fs::read(&copyright)
            .with_context(|| format!("cannot read its licence in {}", copyright.display()))?;
        Ok(Self {
            name: name.to_owned(),
            version,
            copyright: Copyright::parse(&String::from_utf8_lossy(&text)),
            root,
            files,
        })
    }

    /// Paths of the package's files below `folder`, which ends with `/`, relative to it.
    pub fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        self.files
            .iter()
            .filter_map(move |path| path.strip_prefix(folder))
    }

    /// Returns where the file `path` of the package lies.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

fn installed_version(name: &str) -> Option<String> {
    let status = program::run(Command::new("dpkg-query").args([
        "--show",
        "--showformat=${db:Status-Status} ${Version}",
        name,
    ]))
    .ok()?;
    let status = String::from_utf8(status).ok()?;
    Some(status.strip_prefix("installed ")?.to_owned())
}

fn list(folder: &Path, prefix: &str, files: &mut Vec<String>) -> Result<()> {
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.push(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds the file of a package with a sound and a copyright file, as Debian does.
    fn deb(dir: &Path) -> PathBuf {
        let tree = dir.join("tree");
        for (path, text) in [
            (
                "DEBIAN/control",
                "Package: tiny-sounds\nVersion: 1.2-3\nArchitecture: all\n\
                 Maintainer: N. N. <n@example.org>\nDescription: a sound\n",
            ),
            (
                "usr/share/doc/tiny-sounds/copyright",
                "Files: *\nCopyright: N. N.\nLicense: CC0-1.0\n",
            ),
            ("usr/share/tiny/a/b.txt", "b"),
            ("usr/share/tiny/c.txt", "c"),
        ] {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let deb = dir.join("tiny-sounds_1.2-3_all.deb");
        program::run(
            Command::new("dpkg-deb")
                .args(["--root-owner-group", "--build"])
                .arg(&tree)
                .arg(&deb),
        )
        .unwrap();
        deb
    }

    #[test]
    #[cfg_attr(not(target_os = "linux"), ignore = "dpkg-deb is Debian's")]
    fn a_deb_file_is_unpacked_and_read() {
        let dir = tempfile::tempdir().unwrap();
        let packages = Packages {
            folder: dir.path().join("packages"),
            fetch: false,
        };
        fs::create_dir(&packages.folder).unwrap();
        packages.unpack("tiny-sounds", &deb(dir.path())).unwrap();
        assert_eq!(fs::read_dir(&packages.folder).unwrap().count(), 1);
        let package = packages.get("tiny-sounds").unwrap();
        assert_eq!(package.version, "1.2-3");
        let files: Vec<_> = package.below("usr/share/tiny/").collect();
        assert_eq!(files, ["a/b.txt", "c.txt"]);
        let stanza = package.copyright.stanza("c.txt").unwrap();
        assert_eq!(stanza.licence.to_string(), "CC0-1.0");
        assert_eq!(
            fs::read(package.path("usr/share/tiny/c.txt")).unwrap(),
            b"c"
        );
    }

    #[test]
    fn what_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let packages = Packages {
            folder: dir.path().to_owned(),
            fetch: false,
        };
        let missing = packages.get("no-such-package").unwrap_err();
        assert_eq!(missing.package, "no-such-package");
        // A package that does not say its licence is not used.
        fs::create_dir(dir.path().join("mute")).unwrap();
        let missing = packages.get("mute").unwrap_err();
        assert!(missing.consequence.contains("licence"), "{missing:?}");
    }
}
