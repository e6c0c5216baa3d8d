//! What the hook tools in the unit and the agent outside say to each other: one request, one reply,
//! over a Unix socket. Only the standard library, since the tool must start in about a millisecond.
//!
//! Every field is a little-endian 32-bit length and its bytes; a request is the number of its words
//! and the words, then whether there is standard input and what it is.

use std::io::{self, Read, Write};

/// No field is longer: a hook tool's arguments and input are a few megabytes at most.
const LONGEST: u32 = 64 << 20;

/// A call of a hook tool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// `JUJU_CONTEXT_ID` of the calling process.
    pub context: String,
    /// Its working directory.
    pub directory: String,
    /// The tool's name and its arguments.
    pub argv: Vec<String>,
    /// Standard input, when the arguments ask for it.
    pub stdin: Option<Vec<u8>>,
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// The tool's exit code: 0, 1 for an error, 2 for bad usage.
    pub code: i32,
    /// What it prints.
    pub stdout: Vec<u8>,
    /// What it complains of.
    pub stderr: Vec<u8>,
}

impl Request {
    /// Send the request.
    ///
    /// # Errors
    /// When the other end is gone.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let mut bytes = Vec::new();
        let words = [&self.context, &self.directory]
            .into_iter()
            .chain(&self.argv);
        put_number(&mut bytes, self.argv.len() + 2)?;
        for word in words {
            put(&mut bytes, word.as_bytes())?;
        }
        put_number(&mut bytes, usize::from(self.stdin.is_some()))?;
        put(&mut bytes, self.stdin.as_deref().unwrap_or_default())?;
        to.write_all(&bytes)
    }

    /// Receive a request.
    ///
    /// # Errors
    /// When the other end is gone or sends something else.
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let count = number(from)?;
        let mut words = (0..count)
            .map(|_| text(from))
            .collect::<io::Result<Vec<_>>>()?
            .into_iter();
        let (Some(context), Some(directory)) = (words.next(), words.next()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let given = number(from)? == 1;
        let stdin = field(from)?;
        Ok(Self {
            context,
            directory,
            argv: words.collect(),
            stdin: given.then_some(stdin),
        })
    }
}

impl Reply {
    /// Send the reply.
    ///
    /// # Errors
    /// When the other end is gone.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let mut bytes = self.code.to_le_bytes().to_vec();
        put(&mut bytes, &self.stdout)?;
        put(&mut bytes, &self.stderr)?;
        to.write_all(&bytes)
    }

    /// Receive a reply.
    ///
    /// # Errors
    /// When the other end is gone or sends something else.
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let code = number(from)?.cast_signed();
        Ok(Self {
            code,
            stdout: field(from)?,
            stderr: field(from)?,
        })
    }
}

fn put_number(bytes: &mut Vec<u8>, number: usize) -> io::Result<()> {
    let number = u32::try_from(number).map_err(|_| io::ErrorKind::InvalidInput)?;
    bytes.extend(number.to_le_bytes());
    Ok(())
}

fn put(bytes: &mut Vec<u8>, field: &[u8]) -> io::Result<()> {
    put_number(bytes, field.len())?;
    bytes.extend(field);
    Ok(())
}

fn number(from: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn field(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let length = number(from)?;
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length as usize];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn text(from: &mut impl Read) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&field(from)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_replies_arrive_as_they_were_sent() {
        for stdin in [None, Some(Vec::new()), Some(b"a: b\n".to_vec())] {
            let argv = vec!["state-set".into(), String::new(), "k=v\n".into()];
            let sent = Request {
                context: "c".into(),
                directory: "/".into(),
                argv,
                stdin,
            };
            let mut bytes = Vec::new();
            sent.write(&mut bytes).unwrap();
            assert_eq!(Request::read(&mut bytes.as_slice()).unwrap(), sent);
        }
        let sent = Reply {
            code: 2,
            stdout: vec![0, 255],
            stderr: b"ERROR x\n".to_vec(),
        };
        let mut bytes = Vec::new();
        sent.write(&mut bytes).unwrap();
        assert_eq!(Reply::read(&mut bytes.as_slice()).unwrap(), sent);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Request::read(&mut [0; 4].as_slice()).is_err());
        assert!(Reply::read(&mut [255; 64].as_slice()).is_err());
    }
}
