//! Checks that the oldest supported unit can start a built binary.
//!
//! The units run Ubuntu 22.04 or later. A binary that is built on a newer system may not start there, so its ELF
//! version needs (the ones that `ld.so` checks) are read before it is packed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::Endianness;
use object::elf::FileHeader64;
use object::read::elf::ElfFile;
use object::{Object as _, ObjectSymbol as _};

/// The glibc of Ubuntu 22.04, the oldest base of the charm.
pub const OLDEST: Release = Release { major: 2, minor: 35 };

/// The libraries that every unit has: glibc's own and libgcc's unwinder, both essential on Ubuntu.
const ESSENTIAL: [&str; 6] = ["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libgcc_s.so.1"];

/// A release of glibc.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    major: u32,
    minor: u32,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The symbols that a binary needs, by version node (`GLIBC_2.34`), and its libraries.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Needs {
    versions: BTreeMap<String, BTreeSet<String>>,
    libraries: BTreeSet<String>,
}

impl Needs {
    /// Reads the needs of the ELF file at `path`.
    pub fn of(path: &Path) -> Result<Self> {
        let data = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&data).with_context(|| format!("reading the ELF file {}", path.display()))
    }

    fn parse(data: &[u8]) -> Result<Self> {
        let elf = ElfFile::<FileHeader64<Endianness>>::parse(data)?;
        let mut needs = Self::default();
        for library in elf.import_libraries()? {
            needs.libraries.insert(text(library?.name()));
        }
        let Some(table) = elf.elf_section_table().versions(elf.endian(), elf.data())? else {
            return Ok(needs);
        };
        for symbol in elf.dynamic_symbols().filter(|s| s.is_undefined()) {
            let index = table.version_index(elf.endian(), symbol.index()).index();
            if let Some(version) = table.version(index)? {
                needs.add(&text(version.name()), &text(symbol.name_bytes()?));
            }
        }
        Ok(needs)
    }

    fn add(&mut self, version: &str, symbol: &str) {
        self.versions.entry(version.to_owned()).or_default().insert(symbol.to_owned());
    }

    /// Returns the newest glibc release that is needed.
    pub fn newest(&self) -> Option<Release> {
        self.versions.keys().filter_map(|v| release(v)).max()
    }

    /// Checks that a unit with glibc `oldest` can start the binary; the error names every symbol and library that such
    /// a unit does not have.
    pub fn check(&self, oldest: Release) -> Result<()> {
        let mut missing: Vec<String> = Vec::new();
        for (version, symbols) in &self.versions {
            // A node of glibc that is not a release (GLIBC_ABI_DT_RELR came with 2.36) cannot be compared, so it is
            // refused.
            let fits = match release(version) {
                Some(release) => release <= oldest,
                None => !version.starts_with("GLIBC_"),
            };
            if !fits {
                let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
                missing.push(format!("{version} (for {})", symbols.join(", ")));
            }
        }
        for library in &self.libraries {
            if !ESSENTIAL.contains(&library.as_str()) && !library.starts_with("ld-linux") {
                missing.push(format!("the library {library}"));
            }
        }
        if !missing.is_empty() {
            bail!("a unit with glibc {oldest} cannot run it: it needs {}", missing.join("; "));
        }
        Ok(())
    }
}

/// `GLIBC_2.2.5` is the release 2.2: the third number only ever occurs below 2.4.
fn release(version: &str) -> Option<Release> {
    let mut numbers = version.strip_prefix("GLIBC_")?.split('.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    Some(Release { major, minor })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(symbols: &[(&str, &str)]) -> Needs {
        let mut needs = Needs::default();
        for (version, symbol) in symbols {
            needs.add(version, symbol);
        }
        needs
    }

    #[test]
    fn the_oldest_release_is_allowed_and_one_above_is_not() {
        for (version, allowed) in [
            ("GLIBC_2.2.5", true),
            ("GLIBC_2.9", true),
            ("GLIBC_2.35", true),
            ("GLIBC_2.36", false),
            ("GLIBC_2.100", false),
            ("GLIBC_3.0", false),
            ("GLIBC_ABI_DT_RELR", false),
            ("GLIBC_PRIVATE", false),
            ("GCC_3.0", true),
        ] {
            let result = needs(&[(version, "f")]).check(OLDEST);
            assert_eq!(result.is_ok(), allowed, "{version}: {result:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_symbols_that_are_too_new_and_no_others() {
        let message = needs(&[
            ("GLIBC_2.34", "pthread_create"),
            ("GLIBC_2.38", "__isoc23_strtol"),
            ("GLIBC_2.39", "pidfd_spawnp"),
            ("GLIBC_2.39", "pidfd_getpid"),
        ])
        .check(OLDEST)
        .unwrap_err()
        .to_string();
        assert_eq!(
            message,
            "a unit with glibc 2.35 cannot run it: it needs GLIBC_2.38 (for __isoc23_strtol); \
             GLIBC_2.39 (for pidfd_getpid, pidfd_spawnp)"
        );
    }

    #[test]
    fn a_library_that_not_every_unit_has_is_refused() {
        let mut needs = needs(&[("GLIBC_2.34", "f")]);
        needs.libraries.insert("libc.so.6".to_owned());
        needs.libraries.insert("ld-linux-x86-64.so.2".to_owned());
        assert!(needs.check(OLDEST).is_ok());
        needs.libraries.insert("libssl.so.3".to_owned());
        let message = needs.check(OLDEST).unwrap_err().to_string();
        assert!(message.ends_with("it needs the library libssl.so.3"), "{message}");
    }

    #[test]
    fn releases_compare_as_numbers() {
        let newest = needs(&[("GLIBC_2.9", "a"), ("GLIBC_2.34", "b"), ("GCC_14.0", "c")]).newest();
        assert_eq!(newest.unwrap().to_string(), "2.34");
    }

    #[test]
    fn the_needs_of_a_real_binary_are_found() {
        let needs = Needs::of(&std::env::current_exe().unwrap()).unwrap();
        assert!(needs.libraries.contains("libc.so.6"), "{needs:?}");
        assert!(needs.newest().is_some(), "{needs:?}");
        let ancient = Release { major: 2, minor: 1 };
        assert!(needs.check(ancient).is_err());
    }
}
