//! Every hook tool in the unit: `config-get` and its kin are links to this program. It asks the agent
//! outside and does what the answer says; it knows nothing of Juju itself.

use std::env;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use lab::wire::{self, Reply, Request};

fn main() -> ExitCode {
    call().unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn call() -> io::Result<ExitCode> {
    let mut argv: Vec<String> = env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(name) = argv.first_mut() {
        *name = name.rsplit('/').next().unwrap_or_default().to_owned();
    }
    let context = variable("JUJU_CONTEXT_ID")?;
    let agent = UnixStream::connect(variable("JUJU_AGENT_SOCKET_ADDRESS")?)?;
    wire::write(&agent, &Request { context, argv })?;
    let reply: Reply = wire::read(&agent)?;
    io::stdout().write_all(reply.stdout.as_bytes())?;
    io::stderr().write_all(reply.stderr.as_bytes())?;
    Ok(ExitCode::from(reply.code))
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(|_| io::Error::other(format!("{name} not set")))
}
