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
        "-xx",
        "-s",
        "65536",
        "-e",
        "trace=execve,execveat",
        "-e",
        "signal=none",
        "-o",
    ];
    let output = format!("{directory}/trace");
    words.into_iter().map(str::to_owned).chain([output]).collect()
}

/// All programs started, in order of time.
pub(crate) fn read(machine: &Machine, directory: &str) -> Result<Vec<Exec>> {
    let Output { code, stdout, stderr } = machine.run(&["grep", "-r", "exec", directory])?;
    ensure!(matches!(code, Some(0 | 1)), "reading the trace: {stderr}");
    let mut execs = stdout.lines().filter_map(|line| parse(line).transpose()).collect::<Result<Vec<_>>>()?;
    execs.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    Ok(execs.into_iter().map(|(_, exec)| exec).collect())
}

/// `FILE.PID:TIME execve("PATH", ["ARG", …], …) = 0`; nothing for a call that failed.
fn parse(line: &str) -> Result<Option<(f64, Exec)>> {
    let what = || format!("strace line {line:?}");
    let (file, rest) = line.split_once(':').with_context(what)?;
    let pid = file.rsplit('.').next().unwrap_or_default();
    let (time, call) = rest.split_once(' ').with_context(what)?;
    if !call.trim_end().ends_with("= 0") {
        return Ok(None);
    }
    let strings = call.split('"').skip(1).step_by(2).map(string);
    let mut argv = strings.collect::<Result<Vec<_>>>().with_context(what)?;
    ensure!(!argv.is_empty(), what());
    let exec = Exec { pid: pid.parse().with_context(what)?, path: argv.remove(0), argv };
    Ok(Some((time.parse().with_context(what)?, exec)))
}

/// A string in strace's hexadecimal notation, such as `\x6c\x73`.
fn string(text: &str) -> Result<String> {
    let bytes = hex::decode(text.replace("\\x", ""))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_started_program_is_read() {
        let line = r#"/run/t/trace.77:1700000000.5 execve("\x2f\x73\x68", ["\x73\x68", "\x2d\x63", "\x22\xc3\xa4\x0a"], 0x7 /* 3 vars */) = 0"#;
        let (time, exec) = parse(line).unwrap().unwrap();
        assert!((time - 1_700_000_000.5).abs() < 1e-3);
        assert_eq!((exec.pid, exec.path.as_str()), (77, "/sh"));
        assert_eq!(exec.argv, ["sh", "-c", "\"ä\n"]);
    }

    #[test]
    fn a_program_that_was_not_found_is_not_counted() {
        let line = r#"t.7:1.5 execve("\x78", ["\x78"], 0x7 /* 3 vars */) = -1 ENOENT (No such file or directory)"#;
        assert_eq!(parse(line).unwrap().map(|(_, exec)| exec), None);
    }
}
