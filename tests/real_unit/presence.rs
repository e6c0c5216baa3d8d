//! Which tests run side by side: some are about moments, and are alone on the machine.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Held by each test as long as it has units.
static MACHINE: RwLock<()> = RwLock::new(());

/// Whether other tests run meanwhile.
pub enum Presence {
    Among(#[allow(dead_code, reason = "held for its Drop")] RwLockReadGuard<'static, ()>),
    Alone(#[allow(dead_code, reason = "held for its Drop")] RwLockWriteGuard<'static, ()>),
}

impl Presence {
    pub fn among() -> Self {
        Self::Among(MACHINE.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn alone() -> Self {
        Self::Alone(MACHINE.write().unwrap_or_else(PoisonError::into_inner))
    }
}
