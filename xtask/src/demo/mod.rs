//! `cargo xtask demo`: the whole story for somebody who sees it for the first time, on a real unit, from
//! `juju deploy` to a unit that is as it was.
//!
//! It shows what Juju would show. Whatever it says is so, it has looked at: the first thing that is not so ends it.

mod look;
mod stage;
mod story;
mod trials;

use std::time::Instant;

use anyhow::Result;

use crate::lab::{self, Lab};
use crate::screen::Screen;
use crate::workspace::Workspace;
use stage::Stage;

/// Runs the demo.
///
/// # Errors
///
/// When something cannot be made ready, or a claim of the story does not hold.
pub fn run(workspace: &Workspace) -> Result<()> {
    lab::require_root("demo")?;
    let start = Instant::now();
    let screen = Screen::of_stdout();
    let told = tell(workspace, screen);
    let time = start.elapsed().as_secs_f64();
    match &told {
        Ok(claims) => screen.well(&format!(
            "The demo is green: {claims} claims, each checked on the unit, in {time:.0} s."
        )),
        Err(_) => screen.ill(&format!("The demo is red, after {time:.0} s.")),
    }
    told.map(drop)
}

/// Tells the story and counts what was claimed and found to be so.
fn tell(workspace: &Workspace, screen: Screen) -> Result<usize> {
    screen.chapter("Packing the charm, and making the lab ready");
    screen.say(
        "The first time this compiles the charm and builds a unit's file system from Debian's packages: some minutes. \
         Both are kept for the next time.",
    );
    let lab = Lab::ready(workspace)?;

    let mut stage = Stage::set(&lab, screen)?;
    story::deploy(&mut stage)?;
    story::grant(&mut stage)?;
    story::change_the_pin(&mut stage)?;
    trials::drift(&mut stage)?;
    trials::damaged_driver(&mut stage)?;
    trials::bad_pin(&mut stage)?;
    trials::verify(&mut stage)?;
    story::remove(&mut stage)?;
    Ok(stage.claims())
}
