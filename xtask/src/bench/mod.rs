//! `cargo xtask bench`: what the charm costs a unit, alone or beside another charm package.
//!
//! Juju runs `update-status` hundreds of times a day, so what counts is a hook that finds nothing to do. Two packages
//! are measured alternately in one run, each on its own unit, so that both see the same machine.

mod process;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lab::{ActionStatus, Application, ManagementCluster, Unit};
use serde_json::json;

use crate::lab::{Lab, PRINCIPAL, require_root};
use crate::screen;
use crate::workspace::Workspace;

/// Hooks that are measured, and actions.
const HOOKS: usize = 50;
const ACTIONS: usize = 10;

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Measures this charm package too, alternately in the same run
    #[arg(long, value_name = "PATH.charm")]
    against: Option<PathBuf>,
}

/// A line of the table: its name, and its value of a subject.
type Row = (&'static str, fn(&Subject) -> f64);

/// A charm package on a unit of its own, and what was measured of it.
struct Subject {
    /// Kept because the unit's agent goes with it.
    _application: Application,
    unit: Unit,
    size: f64,
    programs: usize,
    cpu: Vec<f64>,
    memory: Vec<f64>,
    wall: Vec<f64>,
    verify: Vec<f64>,
}

pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    require_root("bench")?;
    screen::chapter("Preparing");
    let lab = Lab::prepare(workspace)?;
    let mut subjects = Vec::new();
    for (number, charm) in [&lab.charm].into_iter().chain(&options.against).enumerate() {
        screen::say(&format!("Deploying {}.", charm.display()));
        subjects.push(Subject::deploy(&lab, charm, &format!("magnum-{number}"))?);
    }

    screen::chapter(&format!("update-status on a grafted unit, {HOOKS} times; verify, {ACTIONS} times"));
    // The charm watches services that have just started for longer.
    std::thread::sleep(Duration::from_secs(6));
    // The first round only fills caches.
    for round in 0..=HOOKS {
        for subject in &mut subjects {
            subject.measure_hook(round > 0)?;
        }
    }
    for round in 0..=ACTIONS {
        for subject in &mut subjects {
            subject.measure_verify(round > 0)?;
        }
    }
    screen::output(&table(&subjects));
    Ok(())
}

impl Subject {
    /// Boots a unit, deploys the charm and grants it a kubeconfig.
    fn deploy(lab: &Lab, charm: &Path, hostname: &str) -> Result<Self> {
        let size = fs::metadata(charm).with_context(|| format!("reading {}", charm.display()))?.len();
        let machine = lab.boot(hostname)?;
        let kubeconfig = ManagementCluster::start(&machine)?.kubeconfig();
        let mut application = lab.application(charm)?;
        let unit = application.add_unit(machine, PRINCIPAL)?;
        for run in unit.deploy()? {
            run.expect_ok()?;
        }
        let secret = application.add_secret("capi-mgmt", &[("kubeconfig", &kubeconfig)])?;
        application.grant(&secret)?;
        application.set_config(&[("kubeconfig", secret.as_ref())])?;
        unit.hook("config-changed")?.expect_ok()?;
        let (status, message) = unit.status();
        ensure!(status == "active", "the unit is {status}: {message}");
        let (run, programs) = unit.hook_traced("update-status")?;
        run.expect_ok()?;
        Ok(Self {
            _application: application,
            unit,
            size: size as f64 / 1e6,
            programs: programs.len(),
            cpu: Vec::new(),
            memory: Vec::new(),
            wall: Vec::new(),
            verify: Vec::new(),
        })
    }

    fn measure_hook(&mut self, counts: bool) -> Result<()> {
        let sample = process::observe(&self.unit, "update-status")?;
        ensure!(sample.run.log.is_empty(), "the hook found something to do: {}", sample.run.describe());
        if counts {
            self.cpu.push(milliseconds(sample.cpu));
            self.memory.push(sample.memory);
            self.wall.push(milliseconds(sample.run.wall));
        }
        Ok(())
    }

    fn measure_verify(&mut self, counts: bool) -> Result<()> {
        let start = Instant::now();
        let action = self.unit.action("verify", &json!({}))?;
        let took = start.elapsed();
        ensure!(action.status == ActionStatus::Completed, "verify fails: {}", action.message);
        if counts {
            self.verify.push(milliseconds(took));
        }
        Ok(())
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Returns the middle value; of an even number the upper of the two.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn table(subjects: &[Subject]) -> String {
    let heading = ["medians", "this", "other", "this/other"];
    let columns = if subjects.len() == 1 { 2 } else { 4 };
    let mut text = format!("{:<54}", heading[0]);
    for column in &heading[1..columns] {
        text += &format!("{column:>12}");
    }
    let rows: [Row; 6] = [
        ("update-status: CPU time of the charm's own process, ms", |s| median(&s.cpu)),
        ("update-status: peak memory of that process, MB", |s| median(&s.memory)),
        ("update-status: from its start to its end, ms", |s| median(&s.wall)),
        ("update-status: programs started, the charm included", |s| s.programs as f64),
        ("verify: from its start to its end, ms", |s| median(&s.verify)),
        ("package, MB", |s| s.size),
    ];
    for (name, value) in rows {
        let values: Vec<f64> = subjects.iter().map(value).collect();
        text += &row(name, &values);
    }
    text
}

/// A line with the values and, of two, their ratio.
fn row(name: &str, values: &[f64]) -> String {
    let mut line = format!("\n{name:<54}");
    for value in values {
        line += &format!("{value:>12.2}");
    }
    if let [this, other] = values {
        line += &format!("{:>12.2}", this / other);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_both_medians_and_their_ratio() {
        let this = median(&[3.0, 1.0, 2.0]);
        let line = row("x", &[this, 4.0]);
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["x", "2.00", "4.00", "0.50"]);
    }
}
