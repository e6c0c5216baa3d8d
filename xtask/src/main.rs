//! `cargo xtask …`: the project's tasks, from packing the charm to the whole test run.
//!
//! This file only reads the command line. Each task has a file of its own.

mod bench;
mod binary;
mod charm;
mod demo;
mod digest;
mod exec;
mod glibc;
mod lab;
mod package;
mod reproduce;
mod screen;
mod stages;
mod test;
mod tools;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};
use lexopt::prelude::{Long, Short, Value, ValueExt as _};

use crate::binary::Link;
use crate::workspace::Workspace;

const HELP: &str = "\
The project's tasks.

Usage: cargo xtask <command> [options]

Commands:
  package   Write the charm to target/charm/
      --out DIR    write it there instead
      --analyse    then run `charmcraft analyse` on it and check charmcraft.yaml
      --reproduce  then build it again in another directory and compare the bytes
      --zig        link against the old glibc at once, without trying the host's
  test      Run every check there is, on real units too (needs root)
      --no-lab     leave out the tests that boot a unit; needs no root
      NAME...      only the tests whose names contain one of these
  demo      Play the whole story on a real unit, from deploy to remove (needs root)
  bench     Measure what the charm costs a unit (needs root)
  help      Show this text
";

fn main() -> ExitCode {
    match run(lexopt::Parser::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: lexopt::Parser) -> Result<()> {
    let command = match args.next()? {
        Some(Value(command)) => command.string()?,
        Some(Long("help") | Short('h')) => "help".to_owned(),
        Some(other) => return Err(other.unexpected().into()),
        None => bail!("no command given\n\n{HELP}"),
    };
    match command.as_str() {
        "package" => match package_options(&mut args)? {
            Some(options) => package::run(&Workspace::find()?, &options),
            None => help(),
        },
        "test" => match test_options(&mut args)? {
            Some(scope) => test::run(Workspace::find()?, scope),
            None => help(),
        },
        "demo" => match no_options(&mut args)? {
            Some(()) => demo::run(&Workspace::find()?),
            None => help(),
        },
        "bench" => match no_options(&mut args)? {
            Some(()) => bench::run(&Workspace::find()?),
            None => help(),
        },
        "help" => help(),
        other => bail!("unknown command `{other}`\n\n{HELP}"),
    }
}

fn help() -> Result<()> {
    print!("{HELP}");
    Ok(())
}

/// The options of `package`, or none when help was asked for.
fn package_options(args: &mut lexopt::Parser) -> Result<Option<package::Options>> {
    let mut options = package::Options::default();
    while let Some(arg) = args.next()? {
        match arg {
            Long("out") => options.out = Some(args.value()?.into()),
            Long("analyse") => options.analyse = true,
            Long("reproduce") => options.reproduce = true,
            Long("zig") => options.link = Link::OldGlibc,
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(options))
}

/// The options of `test`, or none when help was asked for.
fn test_options(args: &mut lexopt::Parser) -> Result<Option<test::Scope>> {
    let mut without_units = false;
    let mut names = Vec::new();
    while let Some(arg) = args.next()? {
        match arg {
            Long("no-lab") => without_units = true,
            Value(name) => names.push(name.string()?),
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(match (without_units, names.is_empty()) {
        (true, true) => test::Scope::WithoutUnits,
        (true, false) => bail!("name the tests to run, or leave some out with --no-lab; not both"),
        (false, true) => test::Scope::Everything,
        (false, false) => test::Scope::Named(names),
    }))
}

/// Nothing more on the command line; none when help was asked for.
fn no_options(args: &mut lexopt::Parser) -> Result<Option<()>> {
    match args.next()? {
        None => Ok(Some(())),
        Some(Long("help") | Short('h')) => Ok(None),
        Some(other) => Err(other.unexpected().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(line: &[&str]) -> String {
        let words = std::iter::once("xtask").chain(line.iter().copied());
        run(lexopt::Parser::from_iter(words))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_is_not_understood_is_refused_before_anything_runs() {
        assert!(refusal(&[]).contains("no command given"));
        assert!(refusal(&["pack"]).contains("unknown command `pack`"));
        assert!(refusal(&["package", "--fast"]).contains("--fast"));
        assert!(refusal(&["test", "--unit"]).contains("--unit"));
        assert!(refusal(&["test", "--no-lab", "deploy"]).contains("not both"));
        assert!(refusal(&["demo", "--slow"]).contains("--slow"));
        assert!(refusal(&["bench", "50"]).contains("50"));
        assert!(refusal(&["package", "--out"]).contains("--out"));
    }
}
