//! How much is read of what others put into their directories: so many names of each, and so many files and bytes
//! together where each file is small enough by itself.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use thiserror::Error;

use super::Root;

/// A directory or file with which there is more than is read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} {what}; remove what does not belong there", .path.display())]
pub struct TooMuch {
    pub path: PathBuf,
    pub what: String,
}

/// What may still be read.
#[derive(Debug)]
pub struct Budget {
    most: (usize, usize),
    files: usize,
    bytes: usize,
}

impl Budget {
    pub const fn new(files: usize, bytes: usize) -> Self {
        Self { most: (files, bytes), files, bytes }
    }

    /// Returns the content of a file; `None` if nothing is there.
    ///
    /// # Errors
    /// [`TooMuch`] if it is one too many; and if it is there but cannot be read.
    pub fn read(&mut self, root: &Root, path: &Path) -> Result<Option<Vec<u8>>> {
        let (files, bytes) = self.most;
        let what = || format!("is too much, for {files} files with {bytes} bytes together are read");
        ensure!(self.files > 0, TooMuch { path: path.to_owned(), what: what() });
        let Some(content) = root.content(path)? else { return Ok(None) };
        let Some(left) = self.bytes.checked_sub(content.len()) else {
            self.files = 0;
            bail!(TooMuch { path: path.to_owned(), what: what() });
        };
        (self.files, self.bytes) = (self.files - 1, left);
        Ok(Some(content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::testing::Scratch;

    #[test]
    fn one_file_or_byte_more_than_all_may_have_is_refused_and_nothing_read_after_it() {
        let scratch = Scratch::new();
        for name in ["a", "b", "c"] {
            scratch.put(format!("/etc/{name}"), "1234");
        }
        scratch.put("/etc/d", "");
        let refused = |files, bytes| {
            let mut budget = Budget::new(files, bytes);
            let mut read = |path| budget.read(&scratch.root, Path::new(path)).err();
            let errors = ["/etc/a", "/etc/none", "/etc/b", "/etc/c", "/etc/d"].map(&mut read).into_iter().flatten();
            let paths = errors.map(|error| error.downcast::<TooMuch>().unwrap().path);
            paths.map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(refused(4, 12), "");
        assert_eq!(refused(3, 12), "/etc/d");
        assert_eq!(refused(4, 11), "/etc/c /etc/d");
    }
}
