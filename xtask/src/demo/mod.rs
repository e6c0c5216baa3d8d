//! `cargo xtask demo`: the whole story for somebody who sees it for the first time, on a real unit, from
//! `juju deploy` to a unit that is as it was.
//!
//! It shows what Juju would show. Whatever it says is so, it has looked at: the first thing that is not so ends it.

mod look;
mod stage;
mod story;
mod trials;

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::lab::{Lab, require_root};
use crate::screen::Screen;
use crate::workspace::Workspace;
use stage::Stage;

/// Runs the demo.
///
/// # Errors
///
/// When something cannot be made ready, or a claim of the story does not hold.
pub fn run(workspace: &Workspace) -> Result<()> {
    require_root("demo")?;
    let start = Instant::now();
    let screen = Screen::of_stdout();
    let told = tell(workspace, screen);
    let time = start.elapsed().as_secs();
    match told {
        Ok(Told {
            claims,
            ready_after,
        }) => {
            screen.well(&format!(
                "The demo is green: {claims} claims, each checked on the unit, in {time} s \
                 ({} s of them to make ready).",
                ready_after.as_secs()
            ));
            Ok(())
        }
        Err(error) => {
            screen.ill(&format!("The demo is red, after {time} s."));
            Err(error)
        }
    }
}

/// A story that went well.
struct Told {
    /// How much was claimed, and found to be so.
    claims: usize,
    /// The time to the first unit.
    ready_after: Duration,
}

/// Tells the story; its first false claim ends it.
fn tell(workspace: &Workspace, screen: Screen) -> Result<Told> {
    let start = Instant::now();
    screen.chapter("Packing the charm, and making the lab ready");
    screen.say(
        "The first time this compiles the charm and installs a unit from Debian's packages, in a directory of its \
         own: some minutes. Both are kept for the next time.",
    );
    let lab = Lab::ready(workspace)?;
    let ready_after = start.elapsed();

    let mut stage = Stage::set(&lab, screen)?;
    story::deploy(&mut stage)?;
    story::grant(&mut stage)?;
    story::change_the_pin(&mut stage)?;
    trials::guarded(&mut stage)?;
    trials::drift(&mut stage)?;
    trials::damaged_driver(&mut stage)?;
    trials::bad_pin(&mut stage)?;
    trials::rotate(&mut stage)?;
    trials::verify(&mut stage)?;
    story::remove(&mut stage)?;
    Ok(Told {
        claims: stage.claims(),
        ready_after,
    })
}
