//! The driver's wheel, as bytes: its checksum, and its members.
//!
//! A [wheel](https://packaging.python.org/en/latest/specifications/binary-distribution-format/) is a zip whose members
//! are what lies in the site directory, RECORD included. The driver's has nothing else (no scripts, no data files, no
//! links), so writing its members is installing it. One with anything else is refused by that member's name, before
//! anything is written.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use anyhow::Result;
use zip::ZipArchive;
use zip::result::ZipError;

use super::installed::version_in;
use super::{PACKAGE, not_the_wheel};
use crate::juju::settings::{DriverSource, Pin, Sha256};
use crate::magnum::{DRIVERS_GROUP, entry_points};
use crate::problem::Problem;
use crate::system::sha256;

/// The driver has 30 members and 200 kB.
const MOST_MEMBERS: usize = 300;
/// Counted while reading: the sizes that a zip declares need not be true.
const MOST_BYTES: u64 = 16 << 20;
const DEEPEST: usize = 8;
/// The most bytes of a zip's directory: names, and what else it says of the members.
const MOST_OF_DIRECTORY: usize = 1 << 20;
/// The length of the record at a zip's end, and the mark that it begins with.
const END_LENGTH: usize = 22;
const END_MARK: &[u8] = b"PK\x05\x06";
/// The ends of the names of compiled code: of bytecode, which Python may load in place of the source, and of extensions.
const COMPILED: [&str; 3] = [".pyc", ".pyo", ".so"];

/// Returns a wheel's sha256, if it is not another than `driver-sha256` wants.
///
/// # Errors
/// A [`Problem`] if it is.
pub fn checked_sha256(wheel: &[u8], source: &DriverSource) -> Result<Sha256> {
    let found: Sha256 = sha256(wheel).parse()?;
    if source.sha256.as_ref().is_some_and(|wanted| *wanted != found) {
        let summary = "Wheel of the driver does not match driver-sha256";
        let wrong = format!("driver-sha256: the wheel has sha256 {found}, not the one that is set");
        let remedy = format!("give the right wheel, or set driver-sha256={found} if you trust this one");
        return Err(Problem::blocked(summary, format!("{wrong}; {remedy}")).into());
    }
    Ok(found)
}

/// Returns the content of every file in a wheel, by its name.
///
/// # Errors
/// A [`Problem`] if it is not a wheel of the pinned driver, or holds anything but regular files of the driver's own.
pub fn members(wheel: &[u8], source: &DriverSource) -> Result<BTreeMap<String, Vec<u8>>, Problem> {
    let refused = |what: &str| not_the_wheel(source, what);
    let broken = |error: ZipError| refused(&error.to_string());
    if let Some(why) = excess(wheel) {
        return Err(refused(why));
    }
    let mut archive = ZipArchive::new(Cursor::new(wheel)).map_err(broken)?;
    let (mut members, mut left, mut packed) = (BTreeMap::new(), MOST_BYTES, 0_u64);
    for index in 0..archive.len() {
        let member = archive.by_index(index).map_err(broken)?;
        let name = member.name().to_owned();
        let shown = name.escape_debug().take(200).collect::<String>();
        if let Some(why) = objection(&name, member.unix_mode(), &source.pin) {
            return Err(refused(&format!("it holds {shown}, {why}")));
        }
        if member.is_dir() {
            continue;
        }
        // A member may share its bytes with others, and take long to unpack to nothing.
        packed = member.compressed_size().saturating_add(packed);
        if packed > wheel.len() as u64 {
            return Err(refused("its members overlap"));
        }
        let mut bytes = Vec::new();
        let read = member.take(left + 1).read_to_end(&mut bytes);
        read.map_err(|error| refused(&format!("it holds {shown}, which cannot be read: {error}")))?;
        left = left.checked_sub(bytes.len() as u64).ok_or_else(|| {
            refused(&format!("it holds {shown}, with which it has more than {} MiB", MOST_BYTES >> 20))
        })?;
        members.insert(name, bytes);
    }
    let is_below_file = |name: &&String| name.match_indices('/').any(|(at, _)| members.contains_key(&name[..at]));
    if let Some(name) = members.keys().find(is_below_file) {
        return Err(refused(&format!("it holds {}, which is below a file", name.escape_debug())));
    }
    for (name, bytes) in members.iter().filter(|(name, _)| name.ends_with("/entry_points.txt")) {
        if let Some(why) = foreign_entry_point(bytes) {
            return Err(refused(&format!("it holds {}, {why}", name.escape_debug())));
        }
    }
    Ok(members)
}

/// Says why a file of entry points is not the driver's: root may run the programs that look into other groups.
fn foreign_entry_point(bytes: &[u8]) -> Option<String> {
    let Ok(text) = str::from_utf8(bytes) else { return Some("which is not UTF-8".to_owned()) };
    let is_own = |(group, name): &(&str, &str)| match *group {
        DRIVERS_GROUP => true,
        // With which operators make a sample of the configuration, since 1.4.0.
        "oslo.config.opts" => name.starts_with("capi_helm"),
        _ => false,
    };
    let (group, _) = entry_points(text).find(|found| !is_own(found))?;
    let shown: String = group.escape_debug().take(200).collect();
    Some(format!("which registers code that is no driver of Magnum in [{shown}]"))
}

/// Says why a zip is not one that a wheel is. This comes before the library, which tries every record that could be its
/// end, and reads the whole directory into memory.
fn excess(wheel: &[u8]) -> Option<&'static str> {
    let Some((before, end)) = wheel.split_last_chunk::<END_LENGTH>().filter(|(_, end)| end.starts_with(END_MARK))
    else {
        return Some("it does not end as a zip does");
    };
    let short = |at: usize| usize::from(u16::from_le_bytes([end[at], end[at + 1]]));
    let long = |at: usize| short(at) + (short(at + 2) << 16);
    let (count, size, start) = (short(10), long(12), long(16));
    if count > MOST_MEMBERS || size > MOST_OF_DIRECTORY {
        return Some("it holds too many files");
    }
    let is_plain = short(4) == 0 && short(6) == 0 && short(8) == count && start + size == before.len();
    if !is_plain || before.windows(END_MARK.len()).any(|bytes| bytes == END_MARK) {
        return Some("it is not a plain zip");
    }
    None
}

/// Says why a member does not belong in the driver's wheel.
fn objection(name: &str, mode: Option<u32>, pin: &Pin) -> Option<&'static str> {
    let mode = mode.unwrap_or_default();
    let parts: Vec<&str> = name.strip_suffix('/').unwrap_or(name).split('/').collect();
    // The kind, of which 0 stands for none given; then setuid, setgid and sticky.
    if !matches!(mode & 0o170_000, 0 | 0o100_000 | 0o040_000) || mode & 0o7000 != 0 {
        return Some("which is not a plain file");
    }
    if parts.len() > DEEPEST {
        return Some("which lies too deep");
    }
    let is_odd = |part: &&str| matches!(*part, "" | "." | "..") || part.len() > 255;
    if parts.iter().any(is_odd) || name.contains('\\') || name.chars().any(char::is_control) {
        return Some("whose name is not a plain relative path");
    }
    if parts.contains(&"__pycache__") || COMPILED.iter().any(|end| name.ends_with(end)) {
        return Some("which is compiled code");
    }
    match version_in(parts[0]) {
        Some(version) if version.parse().as_ref() != Ok(pin.version()) => Some("which is of another version"),
        None if parts[0] != PACKAGE => Some("which is not the driver's own"),
        _ if parts.len() == 1 && !name.ends_with('/') => Some("which should be a directory"),
        _ => None,
    }
}

#[cfg(test)]
#[path = "wheel_tests.rs"]
mod tests;
