//! Follows links as a program does that opens a file: for programs, for what else packages put into directories of root,
//! and for magnum.conf, which may be a link. Everything else that is read or written stands behind no link.

use std::io;
use std::path::{Component, Path, PathBuf};

use anyhow::Result;
use cap_std::fs::Metadata;

use super::Root;
use super::root::at;

/// The most links that lead from one path to a file.
const MOST_LINKS: usize = 8;

impl Root {
    /// Follows the links at the end of `path` and on the way to it.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn resolve(&self, path: &Path) -> Result<PathBuf> {
        Ok(self.resolve_with_metadata(path)?.0)
    }

    /// Follows links as [`Self::resolve`] does, and returns the metadata of what stands at their end; `None` if nothing
    /// is there, or if there are too many links.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn resolve_with_metadata(&self, path: &Path) -> Result<(PathBuf, Option<Metadata>)> {
        self.follow(path, |_| Ok(()))
    }

    /// Follows links as [`Self::resolve_with_metadata`] does, and shows `look` each link, and the path at their end. There
    /// is no link on the way to any of them.
    pub(super) fn follow(
        &self,
        path: &Path,
        look: impl Fn(&Path) -> Result<()>,
    ) -> Result<(PathBuf, Option<Metadata>)> {
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            let found = at("resolving", &path, self.find(&path))?;
            let link = match &found {
                Some((_, _, meta)) if meta.is_symlink() => Some(path.clone()),
                Some(_) => None,
                None => at("resolving", &path, self.link_above(&path))?,
            };
            let Some(link) = link else {
                look(&path)?;
                return Ok((path, found.map(|(_, _, meta)| meta)));
            };
            look(&link)?;
            let (parent, name) = at("resolving", &link, self.parent(&link))?;
            let target = at("resolving", &link, parent.read_link_contents(name))?;
            let rest = path.strip_prefix(&link)?.to_owned();
            // No directory above a link is a link itself, so that `..` is the one above by name too.
            path.clone_from(&link);
            path.pop();
            for component in target.components() {
                match component {
                    Component::RootDir => path = PathBuf::from("/"),
                    Component::ParentDir => drop(path.pop()),
                    Component::Normal(name) => path.push(name),
                    Component::CurDir | Component::Prefix(_) => {}
                }
            }
            path.extend(&rest);
        }
        Ok((path, None))
    }

    /// Returns the first link on the way to `path`.
    fn link_above(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let above: Vec<&Path> = path.ancestors().skip(1).filter(|above| above.file_name().is_some()).collect();
        for directory in above.into_iter().rev() {
            match self.find(directory)? {
                Some((_, _, meta)) if meta.is_symlink() => return Ok(Some(directory.to_owned())),
                Some(_) => {}
                None => break,
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use crate::system::testing::Scratch;

    use super::*;

    #[test]
    fn directories_that_are_links_as_bin_is_are_followed_too() {
        let scratch = Scratch::new();
        scratch.put("/usr/bin/python3.11", "");
        scratch.link("/usr/bin/python3", "/bin/python3.11");
        scratch.link("/bin", "usr/bin");
        scratch.link("/sbin", "../bin/");
        scratch.link("/a", "b");
        scratch.link("/b", "a");
        for path in ["/bin/python3", "/sbin/python3", "/bin/python3.11"] {
            let (end, meta) = scratch.root.resolve_with_metadata(Path::new(path)).unwrap();
            assert_eq!((end.as_path(), meta.is_some()), (Path::new("/usr/bin/python3.11"), true), "{path}");
        }
        let (end, meta) = scratch.root.resolve_with_metadata(Path::new("/sbin/none/x")).unwrap();
        assert_eq!((end.as_path(), meta.is_some()), (Path::new("/usr/bin/none/x"), false));
        scratch.link("/long", "x".repeat(300));
        for path in ["/a/x", "/long"] {
            assert!(scratch.root.resolve_with_metadata(Path::new(path)).unwrap().1.is_none(), "{path}");
        }
    }
}
