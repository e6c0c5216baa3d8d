//! `cargo xtask demo`: shows the charm on a real unit to somebody who sees it for the first time, from `juju deploy` to
//! a unit in its previous state.
//!
//! It prints what Juju would print, and checks every claim on the unit: the first that does not hold ends it.

mod faults;
mod lifecycle;
mod observed;
mod stage;

use std::time::Instant;

use anyhow::Result;

use crate::lab::{Lab, require_root};
use crate::screen;
use crate::workspace::Workspace;
use stage::Stage;

pub fn run(workspace: &Workspace) -> Result<()> {
    require_root("demo")?;
    let start = Instant::now();
    screen::chapter("Packing the charm and preparing the lab");
    screen::say(
        "The first time this compiles the charm and installs a unit from Debian's packages in a directory of its own, \
         which takes some minutes. Both are reused.",
    );
    let lab = Lab::prepare(workspace)?;
    let prepared = start.elapsed();

    let mut stage = Stage::set(&lab)?;
    lifecycle::deploy(&mut stage)?;
    lifecycle::grant(&mut stage)?;
    lifecycle::change_the_pin(&mut stage)?;
    faults::guarded_drift(&mut stage)?;
    faults::unguarded_drift(&mut stage)?;
    faults::damaged_driver(&mut stage)?;
    faults::invalid_pin(&mut stage)?;
    faults::rotation(&mut stage)?;
    lifecycle::verify(&mut stage)?;
    lifecycle::remove(&mut stage)?;
    screen::success(&format!(
        "The demo passed: {} claims, each checked on the unit, in {} s ({} s of them to prepare).",
        stage.claims,
        start.elapsed().as_secs(),
        prepared.as_secs()
    ));
    Ok(())
}
