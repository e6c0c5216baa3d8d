//! The packed charm on real units: real systemd, real Magnum, and the lab's agent in
//! Juju's place. `cargo xtask test` runs these; they need root.
//!
//! One module a theme. `support` sets units up and asks them; a test says what it means.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::type_complexity, reason = "a table of cases says what its columns are")]

mod attacker; // user magnum works against root, in a loop
mod bad_input; // options, secrets and resources that cannot work
mod capture; // the action capture-state
mod chart; // the chart, from the resource and from a repository
mod compatibility; // what the kubeconfig's user may do, and what is served
mod crash; // hooks killed at each step
mod crash_pins; // hooks killed during a change of the pin
mod deploy; // from juju deploy to active
mod drift; // what others change, and the next hook
mod false_alarms; // verify on whole units of all Magnums
mod faults; // each fault, the checks that find it, the remedy
mod guard; // drift that the guard repairs
mod helm; // helm, from the resource and from a URL
mod idempotence; // a hook with nothing to do
mod integrity; // the driver's files against RECORD
mod kubeconfigs; // what the charm, the driver and helm make of a kubeconfig
mod leaks; // secrets, everywhere on a unit
mod log_to; // where the services log, and /etc/default
mod online; // the management cluster, asked
mod options; // options, as Magnum reads them
mod packages; // apt and Magnum beside the charm
mod pause; // a paused unit
mod pins; // the driver's version
mod plan; // the action plan
mod poisoned; // changes with which Magnum would not start
mod record; // what was installed, for auditors
mod remove; // the unit as it was before
mod restart_mode; // restarts at once or by hand
mod rolling; // three units that restart in turn
mod rotation; // a new kubeconfig
mod smoketest; // the action smoketest
mod sources; // package indexes and wheels
mod support;
mod undone; // switches with which a service does not stay
mod upgrade; // another Python or Magnum below the graft
mod verify; // the action verify
