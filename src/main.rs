//! The charm's one program: event in, exit code out.

use std::process::ExitCode;

use magnum_capi_helm::event::Event;
use magnum_capi_helm::juju::{Context, log};
use magnum_capi_helm::{actions, graft, guard, hook, preflight, smoketest};
use nix::sys::resource::{Resource, setrlimit};

fn main() -> ExitCode {
    let dispatch_path = std::env::var("JUJU_DISPATCH_PATH").ok();
    let program = std::env::args().next().unwrap_or_default();
    let event = Event::of(dispatch_path.as_deref(), &program);
    let sink = match event {
        Event::ByHand => log::Sink::Stderr,
        _ => log::Sink::Juju,
    };
    // A core dump would hold the kubeconfig.
    let undumped = setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(anyhow::Error::from);
    match undumped
        .and_then(|()| log::init(sink).map_err(anyhow::Error::from))
        .and_then(|()| run(&event))
    {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(event: &Event) -> anyhow::Result<ExitCode> {
    let context = Context::from_environment();
    match event {
        Event::Converge { hook } => hook::converge(hook, &context)?,
        Event::Depart => hook::depart()?,
        Event::Action(name) => actions::run(name, &context)?,
        Event::Unknown(name) => tracing::debug!("nothing to do for {name}"),
        Event::ByHand => return Ok(by_hand()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Without Juju: the operator's own questions, or how they are put.
fn by_hand() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let judged = match arguments.next() {
        Some(command) if command == "preflight" => preflight::run(arguments),
        Some(command) if command == graft::guard::COMMAND => return guard::run(),
        Some(command) if command == smoketest::CLEANER => return smoketest::clean_up(),
        Some(other) => Err(anyhow::anyhow!("{} is no command", other.display())),
        None => Err(anyhow::anyhow!("no command is given")),
    };
    judged.unwrap_or_else(|error| {
        eprintln!("{error:#}\n\n{}", include_str!("usage.txt").trim_end());
        ExitCode::from(2)
    })
}
