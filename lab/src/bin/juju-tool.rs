//! Every hook tool in the unit: `config-get` and its kin are links to this program. It asks the agent
//! outside and does what the answer says; it knows nothing of Juju itself.

use std::env;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use lab::wire::{Reply, Request};

fn main() -> ExitCode {
    match call() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn call() -> io::Result<ExitCode> {
    let mut argv: Vec<String> = env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if let Some(name) = argv.first_mut() {
        *name = name.rsplit('/').next().unwrap_or_default().to_owned();
    }
    let request = Request {
        context: variable("JUJU_CONTEXT_ID")?,
        directory: env::current_dir()?.to_string_lossy().into_owned(),
        stdin: wants_input(&argv).then(read_input).transpose()?,
        argv,
    };
    let mut agent = UnixStream::connect(variable("JUJU_AGENT_SOCKET_ADDRESS")?)?;
    request.write(&mut agent)?;
    let reply = Reply::read(&mut agent)?;
    io::stdout().write_all(&reply.stdout)?;
    io::stderr().write_all(&reply.stderr)?;
    Ok(ExitCode::from(u8::try_from(reply.code).unwrap_or(1)))
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(|_| io::Error::other(format!("{name} not set")))
}

/// `--file -` is the one way to ask for standard input.
fn wants_input(argv: &[String]) -> bool {
    argv.iter().any(|word| word == "--file=-")
        || argv.windows(2).any(|pair| pair == ["--file", "-"])
}

fn read_input() -> io::Result<Vec<u8>> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input)?;
    Ok(input)
}
