//! The charm's one program: event in, exit code out.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use magnum_capi_helm::juju::{Context, Event, log};
use magnum_capi_helm::system::{System, bounds};
use magnum_capi_helm::{actions, driver, escape, guard, preflight, reconcile, smoketest};
use nix::sys::prctl::set_no_new_privs;

fn main() -> ExitCode {
    let dispatch_path = std::env::var("JUJU_DISPATCH_PATH").ok();
    let program = std::env::args().next().unwrap_or_default();
    let event = Event::new(dispatch_path.as_deref(), &program);
    match run(&event) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(event: &Event) -> anyhow::Result<ExitCode> {
    let system = Arc::new(System::local()?);
    // First of all: whatever fails is to be logged.
    log::init(match event {
        Event::Command => log::Sink::Stderr,
        _ => log::Sink::Juju(Arc::clone(&system)),
    })?;
    set_bounds(event).context("the unit's container must allow what bounds the charm's program (prctl, setrlimit)")?;
    let context = Context::from_environment();
    match event {
        Event::Reconcile(hook) => reconcile::reconcile(&system, hook, &context)?,
        Event::Remove => reconcile::remove(&system)?,
        Event::Action(name) => actions::run(&system, name, &context)?,
        Event::Unknown(name) => tracing::debug!("nothing to do for {name}"),
        Event::Command => return command(&system),
    }
    Ok(ExitCode::SUCCESS)
}

/// Sets the bounds of this process.
fn set_bounds(event: &Event) -> anyhow::Result<()> {
    bounds::apply()?;
    // The helm of a person who types preflight may be a snap, which cannot start without new privileges.
    if *event != Event::Command {
        set_no_new_privs().context("forbidding new privileges")?;
    }
    if has_end(event) {
        bounds::set_end();
    }
    Ok(())
}

/// The smoketest and its cleaner wait as long as they are told to. The fetcher and preflight have limits of their own.
fn has_end(event: &Event) -> bool {
    match event {
        Event::Action(name) => name != "smoketest",
        Event::Command => std::env::args_os().nth(1).is_some_and(|command| command == guard::COMMAND),
        _ => true,
    }
}

/// Runs a command of the program: those of the charm itself, and those that a person types.
fn command(system: &System) -> anyhow::Result<ExitCode> {
    let done = |ended: anyhow::Result<()>| ended.map(|()| ExitCode::SUCCESS);
    let mut arguments = std::env::args_os().skip(1);
    let ended = match arguments.next() {
        Some(command) if command == "preflight" => preflight::run(system, arguments),
        Some(command) if command == driver::FETCHER => return driver::run_fetcher(system),
        Some(command) if command == guard::COMMAND => return done(reconcile::repair(system)),
        Some(command) if command == smoketest::CLEANER => return done(smoketest::clean_up(system)),
        Some(other) => Err(anyhow::anyhow!("{} is not a command", other.display())),
        None => Err(anyhow::anyhow!("no command is given")),
    };
    Ok(ended.unwrap_or_else(|error| {
        eprintln!("{}\n\n{}", escape::log(&format!("{error:#}")), include_str!("usage.txt").trim_end());
        ExitCode::from(2)
    }))
}
