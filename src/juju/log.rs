//! A `tracing` layer that sends each event to Juju's log, at Juju's levels.
//!
//! One line is one `juju-log` process, so a hook with nothing to do logs nothing: it logs at DEBUG at most,
//! which is not sent. Outside Juju, lines go to stderr.

use std::fmt::Debug;
use std::io::Write;
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use super::tools;
use crate::escape;
use crate::system::System;

/// Where the lines go.
#[derive(Clone)]
pub enum Sink {
    /// `juju-log`, run on this machine.
    Juju(Arc<System>),
    Stderr,
}

/// Sends everything from INFO on to `sink`.
///
/// # Errors
/// When logging was set up already.
pub fn init(sink: Sink) -> Result<(), TryInitError> {
    tracing_subscriber::registry().with(sink.with_filter(LevelFilter::INFO)).try_init()
}

impl<S: Subscriber> Layer<S> for Sink {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let level = match *event.metadata().level() {
            Level::WARN => "WARNING",
            level => level.as_str(),
        };
        let sent = match self {
            Self::Juju(system) => tools::juju_log(system, level, &line.0),
            Self::Stderr => Err(anyhow::anyhow!("not under Juju")),
        };
        // Juju keeps what a hook prints: a line that cannot be sent is not lost.
        if sent.is_err() {
            // Nor does the program end when there is nobody to read it.
            writeln!(std::io::stderr(), "{level} {}", escape::log(&line.0)).ok();
        }
    }
}

/// An event's message, followed by its other fields.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&match field.name() {
            "message" => format!("{value:?}"),
            name => format!(" {name}={value:?}"),
        });
    }
}
