//! A reader with a size limit and a time limit, for archives and downloads: the bytes are counted as they come, because
//! a header may promise anything.

use std::io::{self, ErrorKind, Read};
use std::time::Instant;

/// Fails with [`ErrorKind::FileTooLarge`] or [`ErrorKind::TimedOut`] at the first read that exceeds a limit.
#[derive(Debug)]
pub struct Limited<R> {
    inner: R,
    limit: u64,
    left: u64,
    end: Option<Instant>,
}

impl<R: Read> Limited<R> {
    /// Lets at most `limit` bytes through.
    pub fn new(inner: R, limit: u64) -> Self {
        Self { inner, limit, left: limit, end: None }
    }

    #[must_use]
    pub fn until(mut self, end: Instant) -> Self {
        self.end = Some(end);
        self
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.end.is_some_and(|end| Instant::now() > end) {
            return Err(io::Error::new(ErrorKind::TimedOut, "it takes too long"));
        }
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| too_large(self.limit))?;
        Ok(count)
    }
}

/// The error of what exceeds a size limit.
pub(super) fn too_large(limit: u64) -> io::Error {
    io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {limit} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(mut reader: impl Read) -> Option<ErrorKind> {
        let read = reader.read_to_end(&mut Vec::new());
        read.err().map(|error| error.kind())
    }

    #[test]
    fn what_is_larger_or_later_than_the_limits_is_an_error_and_not_an_end() {
        assert_eq!(kind_of(Limited::new(&b"four"[..], 4)), None);
        let larger = Limited::new(&b"four"[..], 3);
        assert_eq!(kind_of(larger), Some(ErrorKind::FileTooLarge));
        let later = Limited::new(&b"four"[..], 4).until(Instant::now() - std::time::Duration::from_secs(1));
        assert_eq!(kind_of(later), Some(ErrorKind::TimedOut));
    }
}
