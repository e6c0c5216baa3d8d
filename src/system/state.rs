//! The charm's own directory: what must be remembered between hooks, and the locks.
//!
//! Only root can enter it. What can be seen on the unit is not stored here; what is here is either an answer that is
//! expensive to get (a cache, keyed by what it depends on) or cannot be seen at all (the originals, the last good
//! settings).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cap_std::fs::File;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::root::at;
use super::{Access, Entry, Root, bounds, directory};

/// The state directory: root, 0700.
pub const STATE_DIRECTORY: &str = "/var/lib/magnum-capi-helm";
/// How long to wait for other runs of the charm on this unit: longer than the kernel lets two hold the lock one after
/// the other, such as a hook and the guard.
pub const LOCK_LIMIT: Duration = Duration::from_secs(2 * bounds::KILLED_AFTER as u64 + 10);

/// Returns the path of `name` in the state directory.
pub fn state_path(name: &str) -> PathBuf {
    Path::new(STATE_DIRECTORY).join(name)
}

/// The lock's file. It holds a byte while a run that writes elsewhere has not finished.
const LOCK: &str = "lock";

/// Held while the charm works on the unit; dropping it lets the next run in.
#[derive(Debug)]
pub struct Lock(Flock<fs::File>);

impl Lock {
    /// Says that no temporary file is left outside the state directory.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn finish(self) -> Result<()> {
        // A run that was not marked changes nothing.
        match self.0.metadata().context("inspecting the lock")?.len() {
            0 => Ok(()),
            _ => self.0.set_len(0).context("writing to the lock"),
        }
    }
}

/// The version of what the cached answers mean: those of another one are asked for again. What is no cache is read in any
/// version: a field that is added has a default, none that is there gets another meaning, and unknown ones are ignored.
const SCHEMA: u32 = 1;

/// An answer that is expensive to get, and what it depends on.
#[derive(Serialize, Deserialize)]
struct Cached<K, T> {
    /// None in those of the first revisions.
    #[serde(default)]
    schema: u32,
    depends_on: K,
    answer: T,
}

impl Root {
    /// Returns the answer in a state file while it depends on `key`, else a new one, which is then kept there. A file
    /// that cannot be read counts as none: it is made anew.
    ///
    /// # Errors
    /// What `ask` fails with.
    pub fn cached<K: Serialize + DeserializeOwned + PartialEq, T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        key: K,
        ask: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        match self.remembered::<Option<Cached<K, T>>>(name) {
            Some(cached) if cached.schema != SCHEMA => {
                tracing::info!("{name} is of schema {}, and not {SCHEMA}; it is made anew", cached.schema);
            }
            Some(cached) if cached.depends_on == key => return Ok(cached.answer),
            _ => {}
        }
        let cached = Cached { schema: SCHEMA, depends_on: key, answer: ask()? };
        self.keep(name, &cached);
        Ok(cached.answer)
    }

    /// Writes a JSON file of the state directory without which the charm only does more: that it cannot be written is no
    /// fault of a hook.
    pub fn keep<T: Serialize>(&self, name: &str, value: &T) {
        if let Err(error) = self.save(name, value) {
            tracing::warn!("{name} is not kept, so the next hook does more: {error:#}");
        }
    }

    /// Reads a JSON file of the state directory without which the charm only does more; the default if it is not there
    /// or cannot be read.
    pub fn remembered<T: DeserializeOwned + Default>(&self, name: &str) -> T {
        let read = self.load_or(name, "it is made anew").inspect_err(|error| tracing::info!("{error:#}"));
        read.ok().flatten().unwrap_or_default()
    }

    /// Returns the answer in a state file, whatever it depended on; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn last_answer<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        Ok(self.load::<Cached<IgnoredAny, T>>(name)?.map(|cached| cached.answer))
    }

    /// Reads a JSON file of the state directory that the charm can make anew; `None` if it is not there.
    ///
    /// # Errors
    /// If it cannot be read or does not parse.
    pub fn load<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        self.load_or(name, "remove it and run any hook")
    }

    /// Reads a JSON file of the state directory; `remedy` says what to do when it is damaged.
    ///
    /// # Errors
    /// If it cannot be read or does not parse.
    pub fn load_or<T: DeserializeOwned>(&self, name: &str, remedy: &str) -> Result<Option<T>> {
        let path = state_path(name);
        let Some(text) = self.read_text(&path)? else { return Ok(None) };
        // serde_json's message may quote what it read, and a state file may hold a secret.
        serde_json::from_str(&text).map(Some).map_err(|error| {
            let (path, line, column) = (path.display(), error.line(), error.column());
            anyhow::anyhow!("{path} is damaged (line {line}, column {column}); {remedy}")
        })
    }

    /// Writes a JSON file of the state directory, readable by root only.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(value).with_context(|| format!("encoding {name}"))?;
        bytes.push(b'\n');
        self.write(&state_path(name), &bytes, Access::PRIVATE)
    }

    /// Makes the state directory if needed.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn make_state_directory(&self) -> Result<()> {
        self.make_directory(Path::new(STATE_DIRECTORY), 0o700)
    }

    /// Makes the state directory if needed and takes the lock, waiting for whoever has it.
    ///
    /// # Errors
    /// If the directory cannot be made, or the lock is not free within [`LOCK_LIMIT`].
    pub fn lock(&self) -> Result<Lock> {
        if let Some(lock) = self.lock_if_present()? {
            return Ok(lock);
        }
        self.make_state_directory()?;
        self.lock_if_present()?.context("the charm has left this unit meanwhile")
    }

    /// Says, before the first write outside the state directory, that a temporary file may be left there, should this
    /// run be killed. Without a state directory nothing is said.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn mark_unfinished(&self) -> Result<()> {
        let path = state_path(LOCK);
        let file = present(&path, self.open_or_create(&path))?;
        file.map_or(Ok(()), |file| at("writing to", &path, file.set_len(1)))
    }

    /// Whether a temporary file may be left outside the state directory: by a run that was killed or failed, or by this
    /// one.
    ///
    /// # Errors
    /// If the lock cannot be looked at.
    pub fn is_unfinished(&self) -> Result<bool> {
        Ok(self.metadata(&state_path(LOCK))?.is_some_and(|meta| meta.len() > 0))
    }

    /// Takes the lock without making anything; `None` if there is no state directory, also when it is removed
    /// meanwhile: the charm has left.
    ///
    /// # Errors
    /// If the lock is not free within [`LOCK_LIMIT`].
    pub fn lock_if_present(&self) -> Result<Option<Lock>> {
        let (path, began) = (state_path(LOCK), Instant::now());
        while began.elapsed() < LOCK_LIMIT {
            let Some(file) = present(&path, self.open_or_create(&path))? else { return Ok(None) };
            if let Some(lock) = attempt(&path, file)? {
                return Ok(Some(lock));
            }
            std::thread::sleep(Duration::from_millis(50));
            bounds::put_off_end();
        }
        bail!("another run of the charm has held {} for {} s", path.display(), LOCK_LIMIT.as_secs())
    }

    /// Takes the lock of this name; `None` if it is held.
    ///
    /// # Errors
    /// If it or the state directory cannot be made.
    pub fn try_lock(&self, name: &str) -> Result<Option<Lock>> {
        self.make_state_directory()?;
        let path = state_path(name);
        present(&path, self.open_or_create(&path))?.map_or(Ok(None), |file| attempt(&path, file))
    }

    /// Takes the lock of the directory at `path`; `None` if it is held, or nothing is there.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn lock_directory(&self, path: &Path) -> Result<Option<Lock>> {
        let opened = self.parent(path).and_then(|(parent, name)| directory::open_file(&parent, name));
        present(path, opened)?.map_or(Ok(None), |file| attempt(path, file))
    }

    fn open_or_create(&self, path: &Path) -> io::Result<File> {
        self.parent(path).and_then(|(parent, name)| directory::open_or_create_file(&parent, name))
    }

    /// Adds a line to a file of the state directory, and completes a last line that a full disk cut off.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn append_line(&self, name: &str, line: &str) -> Result<()> {
        let path = state_path(name);
        let mut bytes = match self.inspect(&path)? {
            Entry::File(file) => file.bytes,
            Entry::Absent => Vec::new(),
            _ => bail!("{} is not a file of at most 8 MiB", path.display()),
        };
        if bytes.last().is_some_and(|last| *last != b'\n') {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        self.write(&path, &bytes, Access::PRIVATE)
    }
}

/// `None` if nothing is there to be opened.
fn present(path: &Path, opened: io::Result<File>) -> Result<Option<fs::File>> {
    match opened {
        Err(error) if directory::is_absent(&error) => Ok(None),
        opened => at("opening", path, opened.map(|file| Some(file.into_std()))),
    }
}

/// Takes the lock of an open file; `None` if it is held.
fn attempt(path: &Path, file: fs::File) -> Result<Option<Lock>> {
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(Lock(lock))),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error).with_context(|| format!("locking {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use crate::system::testing::Scratch;

    use super::*;

    #[test]
    fn a_lock_is_held_by_one_and_makes_nothing_where_the_charm_has_left() {
        let scratch = Scratch::new();
        let root = &scratch.root;
        assert!(root.lock_if_present().unwrap().is_none());
        let lock = root.lock().unwrap();
        assert!(root.try_lock(LOCK).unwrap().is_none());
        drop(lock);
        assert!(root.try_lock(LOCK).unwrap().is_some());
    }

    #[test]
    fn a_run_that_wrote_is_unfinished_until_it_or_a_later_one_says_so() {
        let scratch = Scratch::new();
        let root = &scratch.root;
        let run = |is_finished: bool| {
            let lock = root.lock().unwrap();
            root.mark_unfinished().unwrap();
            if is_finished { lock.finish().unwrap() } else { drop(lock) }
        };
        for is_finished in [true, false, true] {
            run(is_finished);
            assert_eq!(root.is_unfinished().unwrap(), !is_finished);
        }
    }

    #[test]
    fn an_answer_is_kept_until_what_it_depends_on_changes_or_it_cannot_be_read() {
        let scratch = Scratch::new();
        let root = &scratch.root;
        root.make_state_directory().unwrap();
        assert_eq!(root.last_answer::<i32>("x.json").unwrap(), None);
        let ask = |key: &str, answer: i32| root.cached("x.json", key.to_owned(), || Ok(answer)).unwrap();
        assert_eq!([ask("a", 1), ask("a", 2), ask("b", 3)], [1, 1, 3]);
        root.write(&state_path("x.json"), b"{", Access::PRIVATE).unwrap();
        assert_eq!([ask("b", 4), ask("b", 5)], [4, 4]);
        assert_eq!(root.last_answer::<i32>("x.json").unwrap(), Some(4));
    }

    #[test]
    fn an_answer_of_another_schema_is_asked_for_again_and_one_with_more_fields_is_not() {
        let scratch = Scratch::new();
        let root = &scratch.root;
        for (text, expected) in [
            (r#"{"schema": 1, "depends_on": 1, "answer": 2}"#, 2),
            (r#"{"schema": 1, "depends_on": 1, "answer": 2, "new": []}"#, 2),
            (r#"{"schema": 2, "depends_on": 1, "answer": 2}"#, 3),
            (r#"{"depends_on": 1, "answer": 2}"#, 3),
            (r#"{"schema": 2, "something": "else"}"#, 3),
        ] {
            scratch.put(state_path("x.json"), text);
            assert_eq!(root.cached("x.json", 1, || Ok(3)).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn an_answer_that_cannot_be_kept_is_an_answer_all_the_same() {
        let scratch = Scratch::new();
        // Nobody can write into what is no directory.
        scratch.put(STATE_DIRECTORY, "");
        assert_eq!(scratch.root.cached("x.json", 1, || Ok(2)).unwrap(), 2);
        assert!(scratch.root.save("x.json", &1).is_err());
    }

    #[test]
    fn a_damaged_state_file_is_named_with_its_place_and_never_quoted() {
        let scratch = Scratch::new();
        let root = &scratch.root;
        root.make_state_directory().unwrap();
        root.save("x.json", &vec![1, 2]).unwrap();
        assert_eq!(root.load::<Vec<i32>>("x.json").unwrap(), Some(vec![1, 2]));
        assert_eq!(root.load::<Vec<i32>>("absent.json").unwrap(), None);
        root.write(&state_path("x.json"), b"{\"hunter2\"", Access::PRIVATE).unwrap();
        let error = format!("{:#}", root.load::<Vec<i32>>("x.json").unwrap_err());
        assert!(error.contains("x.json is damaged (line 1, column"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn lines_are_added_to_what_is_there() {
        let scratch = Scratch::new();
        let root = &scratch.root;
        root.make_state_directory().unwrap();
        root.append_line("history", "one").unwrap();
        root.append_line("history", "two").unwrap();
        assert_eq!(root.read(&state_path("history")).unwrap(), b"one\ntwo\n");
        // Cut off by a full disk, in the middle of a character.
        root.write(&state_path("history"), b"one\nt\xc3", Access::PRIVATE).unwrap();
        root.append_line("history", "two").unwrap();
        assert_eq!(root.read(&state_path("history")).unwrap(), b"one\nt\xc3\ntwo\n");
    }
}
