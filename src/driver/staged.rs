//! A driver in a directory of its own, beside the site directory: so that it can be renamed into place, and so that
//! user magnum can load it from there before.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::errno::Errno;

use super::{InstalledDrivers, fetcher, not_the_wheel, releases, wheel};
use crate::juju::settings::{DriverSource, Sha256};
use crate::magnum::Python;
use crate::system::{Access, Backups, Entry, Root, System, Temporary, sha256, state_path};

/// The wheel of the driver that was installed last: to put it back takes no network.
const WHEEL: &str = "driver.whl";
/// The wheel of the driver that was installed before it.
const WHEEL_BEFORE: &str = "driver-before.whl";

/// A staged driver; its directory goes when this is dropped.
#[derive(Debug)]
pub struct StagedDriver {
    directory: Temporary,
    /// The site directory.
    site: PathBuf,
    wheel: Vec<u8>,
    pub sha256: Sha256,
}

impl StagedDriver {
    /// Gets the pinned wheel and unpacks it beside the site directory. `known` is the sha256 of the wheel that was
    /// installed before, if that may be used again.
    ///
    /// # Errors
    /// A [`Problem`](crate::problem::Problem) if the index does not serve it, it is not the pinned wheel, or is one
    /// that would write elsewhere; and if the site directory is not root's alone.
    pub fn obtain(
        system: &System,
        source: &DriverSource,
        known: Option<&Sha256>,
        python: &Python,
        proxy: &[(String, String)],
    ) -> Result<Self> {
        let root = &system.root;
        let (wheel, is_fetched) = if let Some(resource) = &source.wheel {
            let Entry::File(file) = root.inspect(resource)? else {
                let what = "it is missing, not a file, or a file of more than 8 MiB";
                return Err(not_the_wheel(source, what).into());
            };
            (file.bytes, false)
        } else if let Some(wheel) = installed_before(root, known)? {
            (wheel, false)
        } else {
            (fetcher::fetch(system, source, &python.version, proxy)?, true)
        };
        let sha256 = wheel::checked_sha256(&wheel, source)?;
        if is_fetched {
            releases::check(source, &sha256)?;
        }
        let members = wheel::members(&wheel, source)?;
        let parent = python.site.parent();
        let parent = parent.with_context(|| format!("{} has no parent", python.site.display()))?;
        root.ensure_roots_alone(&python.site)?;
        root.mark_unfinished()?;
        root.make_directories(parent)?;
        let directory = root.temporary_directory(parent)?;
        for (name, bytes) in members {
            let path = directory.path().join(name);
            root.make_directories(path.parent().unwrap_or(directory.path()))?;
            root.write(&path, &bytes, Access::PUBLIC)?;
        }
        Ok(Self { directory, site: python.site.clone(), wheel, sha256 })
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Puts it in place of whatever driver the site directory holds. What stood there before the charm is backed up.
    ///
    /// # Errors
    /// If a rename fails; what is then in place is found by the next comparison with RECORD.
    pub fn install(&self, root: &Root, backups: &mut Backups) -> Result<()> {
        let site = &self.site;
        // The package first, dist-info last, as they sort: what RECORD is compared with is never newer than it.
        let names = root.names(self.path())?;
        let new: Vec<PathBuf> = names.iter().map(|name| site.join(name)).collect();
        let mut old: Vec<PathBuf> =
            InstalledDrivers::inspect(root, site)?.0.into_iter().map(|driver| driver.dist_info).collect();
        old.retain(|path| !new.contains(path));
        for path in new.iter().chain(&old) {
            backups.back_up(root, path)?;
        }
        for (name, path) in names.iter().zip(&new) {
            replace(root, &self.path().join(name), path)?;
        }
        for path in &old {
            root.remove(path)?;
        }
        keep(root, &self.wheel)
    }
}

/// Keeps a wheel, and the one that was kept before, if it is another one.
fn keep(root: &Root, wheel: &[u8]) -> Result<()> {
    match root.inspect(&state_path(WHEEL))? {
        Entry::File(file) if file.bytes == wheel => return Ok(()),
        Entry::File(_) => root.rename(&state_path(WHEEL), &state_path(WHEEL_BEFORE))?,
        _ => {}
    }
    root.write(&state_path(WHEEL), wheel, Access::PRIVATE)
}

fn installed_before(root: &Root, known: Option<&Sha256>) -> Result<Option<Vec<u8>>> {
    for name in [WHEEL, WHEEL_BEFORE] {
        let Entry::File(file) = root.inspect(&state_path(name))? else { continue };
        if known.is_some_and(|known| known.to_string() == sha256(&file.bytes)) {
            return Ok(Some(file.bytes));
        }
    }
    Ok(None)
}

/// Puts `new` where `old` is, in one step where the file system can (ZFS before 2.2 cannot).
fn replace(root: &Root, new: &Path, old: &Path) -> Result<()> {
    let is_unsupported = |error: &anyhow::Error| {
        let cause = error.root_cause().downcast_ref::<std::io::Error>();
        cause.is_some_and(|error| error.raw_os_error() == Some(Errno::EINVAL as i32))
    };
    match root.exchange(new, old) {
        Err(error) if is_unsupported(&error) => replace_in_two_steps(root, new, old),
        exchanged => exchanged,
    }
}

fn replace_in_two_steps(root: &Root, new: &Path, old: &Path) -> Result<()> {
    if root.metadata(old)?.is_some() {
        root.rename(old, &new.with_extension("replaced"))?;
    }
    root.rename(new, old)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{pin, python, wheel};
    use super::*;
    use crate::juju::settings::Address;
    use crate::problem::Problem;
    use crate::system::testing::Scratch;
    use crate::system::{Account, Command, Host, Output};

    /// A fetcher that brings this.
    struct Fetcher(Vec<u8>);

    impl Host for Fetcher {
        fn run(&self, _: &Command) -> Result<Output> {
            Ok(Output { code: Some(0), stdout: self.0.clone(), ..Output::default() })
        }

        fn account(&self, _: &str) -> Result<Option<Account>> {
            Ok(None)
        }
    }

    #[test]
    fn a_wheel_of_a_known_release_is_the_published_one_or_the_operator_vouches_for_it() {
        let (scratch, built) = (Scratch::new(), wheel(&[]));
        let system = System::new(scratch.root.clone(), Fetcher(built.clone()));
        let index = Some(Address::new("index-url", "https://me:hunter2@mirror.example/simple").unwrap());
        let mut source = DriverSource { pin: pin(), sha256: None, index, wheel: None };
        let obtain = |source: &DriverSource| {
            let staged = StagedDriver::obtain(&system, source, None, &python(), &[]);
            staged.map(|staged| staged.sha256.clone())
        };
        let refused: Problem = obtain(&source).unwrap_err().downcast().unwrap();
        assert_eq!(refused.summary, "Wheel of the driver is not the published one");
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
        source.sha256 = Some(sha256(&built).parse().unwrap());
        assert_eq!(Some(obtain(&source).unwrap()), source.sha256);
    }

    #[test]
    fn a_resource_that_is_no_wheel_at_all_is_a_problem_and_no_fault() {
        let scratch = Scratch::new();
        scratch.put("/large", "");
        std::fs::File::options().write(true).open(scratch.path("/large")).unwrap().set_len(9 << 20).unwrap();
        let system = System::new(scratch.root.clone(), Fetcher(wheel(&[])));
        for path in ["/large", "/none", "/etc"] {
            let source = DriverSource { pin: pin(), sha256: None, index: None, wheel: Some(path.into()) };
            let refused = StagedDriver::obtain(&system, &source, None, &python(), &[]).unwrap_err();
            let refused: Problem = refused.downcast().unwrap();
            assert!(refused.detail.contains("a file of more than 8 MiB; run: juju attach"), "{refused}");
        }
    }

    #[test]
    fn where_an_exchange_is_not_supported_the_new_one_comes_into_place_too() {
        let scratch = Scratch::new();
        let (new, old) = (Path::new("/etc/staged/it"), Path::new("/etc/it"));
        for content in ["first", "second"] {
            scratch.put(new.join("file"), content);
            replace_in_two_steps(&scratch.root, new, old).unwrap();
            assert_eq!(scratch.text("/etc/it/file").as_deref(), Some(content));
        }
        assert_eq!(scratch.text("/etc/staged/it.replaced/file").as_deref(), Some("first"));
    }
}
