//! What tests hand on to one another, since making it takes longer than most tests do. Whoever gets one
//! finds it as the first one did, or it is thrown away.

use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;

/// Those that no test has at the moment.
pub struct Pool<T>(Mutex<Vec<T>>);

/// What can be handed on.
pub trait Reusable: 'static {
    /// Takes back what a test has set.
    ///
    /// # Errors
    /// When something of the test is left.
    fn put_right(&self) -> Result<()>;
}

impl<T: Reusable> Pool<T> {
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// One of them, or what `make` makes.
    pub fn take(&'static self, make: impl FnOnce() -> T) -> Lent<T> {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Lent { lent: Some(idle.unwrap_or_else(make)), pool: self }
    }
}

/// One for the time of a test.
pub struct Lent<T: Reusable> {
    lent: Option<T>,
    pool: &'static Pool<T>,
}

impl<T: Reusable> Deref for Lent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.lent.as_ref().expect("it is lent until it is dropped")
    }
}

impl<T: Reusable> Drop for Lent<T> {
    fn drop(&mut self) {
        // A failed test may have left anything.
        let Some(lent) = self.lent.take().filter(|_| !std::thread::panicking()) else {
            return;
        };
        match lent.put_right() {
            Ok(()) => {
                let mut idle = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
                idle.push(lent);
            }
            Err(error) => eprintln!("it is not handed on: {error:#}"),
        }
    }
}
