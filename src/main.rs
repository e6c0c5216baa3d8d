//! The charm's one program: event in, exit code out.

use std::process::ExitCode;
use std::sync::Arc;

use magnum_capi_helm::juju::{Context, Event, log};
use magnum_capi_helm::system::System;
use magnum_capi_helm::{actions, escape, guard, preflight, reconcile, smoketest};
use nix::sys::resource::{Resource, setrlimit};

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
    // A core dump would hold the kubeconfig.
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    let system = Arc::new(System::local()?);
    log::init(match event {
        Event::Command => log::Sink::Stderr,
        _ => log::Sink::Juju(Arc::clone(&system)),
    })?;
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

/// Runs a command of the program: the guard's and the smoketest's own, and those that a person types.
fn command(system: &System) -> anyhow::Result<ExitCode> {
    let done = |ended: anyhow::Result<()>| ended.map(|()| ExitCode::SUCCESS);
    let mut arguments = std::env::args_os().skip(1);
    let ended = match arguments.next() {
        Some(command) if command == "preflight" => preflight::run(system, arguments),
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
