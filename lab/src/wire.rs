//! What the hook tools in the unit and the agent outside say to each other over a Unix socket: one request, one
//! reply, each a line of JSON.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A call of a hook tool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Request {
    /// `JUJU_CONTEXT_ID` of the calling process.
    pub context: String,
    pub argv: Vec<String>,
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reply {
    /// The tool's exit code: 0, 1 for an error, 2 for bad usage.
    pub code: u8,
    pub stdout: String,
    pub stderr: String,
}

pub fn write(mut to: &UnixStream, message: &impl Serialize) -> io::Result<()> {
    to.write_all(format!("{}\n", serde_json::to_string(message)?).as_bytes())
}

pub fn read<T: DeserializeOwned>(from: &UnixStream) -> io::Result<T> {
    let mut line = String::new();
    BufReader::new(from).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}
