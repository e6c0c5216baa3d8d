//! Which programs a hook started, read from strace's output.

use crate::host::Output;
use crate::machine::Machine;
use anyhow::{Context, Result, ensure};

/// One program that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    /// The process that became this program, by its id inside the unit.
    pub pid: u32,
    /// The program's path as it was called.
    pub path: String,
    /// Its arguments, its name first.
    pub argv: Vec<String>,
}

/// strace and its options before the traced command; its output goes to `directory`, a file for each
/// process, with the time of each call.
pub(crate) fn command(directory: &str) -> Vec<String> {
    let words = [
        "strace",
        "-ff",
        "-ttt",
        "-qqq",
        "-s",
        "65536",
        "-e",
        "trace=execve,execveat",
        "-e",
        "signal=none",
        "-o",
    ];
    let output = format!("{directory}/trace");
    words
        .into_iter()
        .map(str::to_owned)
        .chain([output])
        .collect()
}

/// All programs started, in order of time.
pub(crate) fn read(machine: &Machine, directory: &str) -> Result<Vec<Exec>> {
    let Output {
        code,
        stdout,
        stderr,
    } = machine.run(&["grep", "-r", "exec", directory])?;
    ensure!(matches!(code, Some(0 | 1)), "reading the trace: {stderr}");
    let mut execs = stdout
        .lines()
        .filter_map(|line| parse(line).transpose())
        .collect::<Result<Vec<_>>>()?;
    execs.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    Ok(execs.into_iter().map(|(_, exec)| exec).collect())
}

/// `FILE.PID:TIME execve("PATH", ["ARG", …], …) = 0`; nothing for a call that failed.
fn parse(line: &str) -> Result<Option<(f64, Exec)>> {
    let what = || format!("strace line {line:?}");
    let (file, rest) = line.split_once(':').with_context(what)?;
    let pid = file
        .rsplit('.')
        .next()
        .and_then(|pid| pid.parse().ok())
        .with_context(what)?;
    let (time, call) = rest.split_once(' ').with_context(what)?;
    if !call.trim_end().ends_with("= 0") {
        return Ok(None);
    }
    let path_start = call.find('"').with_context(what)?;
    let (path, after) = string(&call[path_start..]).with_context(what)?;
    let mut rest = after
        .trim_start_matches(", ")
        .strip_prefix('[')
        .with_context(what)?;
    let mut argv = Vec::new();
    while rest.starts_with('"') {
        let (word, after) = string(rest).with_context(what)?;
        argv.push(word);
        rest = after.trim_start_matches(", ");
    }
    Ok(Some((
        time.parse().with_context(what)?,
        Exec { pid, path, argv },
    )))
}

/// A string in C's notation at the start of `text`, and what follows it.
fn string(text: &str) -> Option<(String, &str)> {
    let mut bytes = Vec::new();
    let raw = text.as_bytes();
    let mut at = 1;
    loop {
        match raw.get(at)? {
            b'"' => {
                return Some((
                    String::from_utf8_lossy(&bytes).into_owned(),
                    text.get(at + 1..)?,
                ));
            }
            b'\\' => {
                at += 1;
                let digits = raw[at..]
                    .iter()
                    .take(3)
                    .take_while(|byte| (b'0'..=b'7').contains(byte))
                    .count();
                if digits > 0 {
                    let octal = text.get(at..at + digits)?;
                    bytes.push(u8::try_from(u32::from_str_radix(octal, 8).ok()?).ok()?);
                    at += digits;
                    continue;
                }
                bytes.push(match raw.get(at)? {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'v' => 11,
                    b'f' => 12,
                    other => *other,
                });
                at += 1;
            }
            other => {
                bytes.push(*other);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_started_program_is_read() {
        let line = r#"/run/t/trace.77:1700000000.5 execve("/usr/bin/sh", ["sh", "-c", "echo \"a\\b\"\n\303\244, [x]"], 0x7 /* 3 vars */) = 0"#;
        let (time, exec) = parse(line).unwrap().unwrap();
        assert!((time - 1_700_000_000.5).abs() < 1e-3);
        assert_eq!((exec.pid, exec.path.as_str()), (77, "/usr/bin/sh"));
        assert_eq!(exec.argv, ["sh", "-c", "echo \"a\\b\"\nä, [x]"]);
    }

    #[test]
    fn a_program_that_was_not_found_is_not_counted() {
        let line = r#"t.7:1.5 execve("/bin/x", ["x"], 0x7 /* 3 vars */) = -1 ENOENT (No such file or directory)"#;
        assert_eq!(parse(line).unwrap().map(|(_, exec)| exec), None);
    }
}
