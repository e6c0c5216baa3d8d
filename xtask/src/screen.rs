//! Output of `demo` and `bench`. anstream leaves colours out where stdout is not a terminal or NO_COLOR is set.

use std::fmt::Display;
use std::sync::Mutex;
use std::time::Duration;

use anstream::println;
use anstyle::{AnsiColor, Style};
use anyhow::{Result, bail};
use lab::Event;
use textwrap::{Options, fill};

/// Columns of running text.
const WIDTH: usize = 100;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default();

/// Prints the heading of a chapter.
pub fn chapter(title: &str) {
    println!("\n{BOLD}── {title} ──{BOLD:#}\n");
}

/// Prints running text.
pub fn say(text: &str) {
    println!("{}\n", fill(text, Options::new(WIDTH).initial_indent("  ").subsequent_indent("  ")));
}

/// Prints a command as an operator types it.
pub fn command(line: &str) {
    println!("  {BOLD}$ {line}{BOLD:#}");
}

/// Prints the output of a command, or a table.
pub fn output(text: &str) {
    for line in text.lines() {
        println!("    {line}");
    }
}

/// Prints a claim and whether it holds; one that does not is an error with what was `found` instead.
pub fn claim(what: &str, holds: bool, found: impl Display) -> Result<()> {
    let (mark, style) = if holds { ("✓", GREEN) } else { ("✗", RED) };
    let text = fill(what, Options::new(WIDTH - 4).subsequent_indent("    "));
    println!("  {style}{mark}{style:#} {text}");
    if !holds {
        bail!("this does not hold: {what}\nfound instead: {found}");
    }
    Ok(())
}

/// Prints the last line of a task that succeeded.
pub fn success(line: &str) {
    println!("\n{GREEN}{line}{GREEN:#}");
}

/// Returns a callback that prints what happens on a unit; a status only when it changes.
pub fn follow() -> impl Fn(&Event) + Send + 'static {
    let shown = Mutex::new((String::new(), String::new()));
    move |event| match event {
        Event::Started { name, .. } => event_line(DIM, "running", name),
        Event::Ended { name, exit: Some(0), wall, .. } if *wall >= Duration::from_secs(1) => {
            event_line(DIM, "", &format!("{name} ended after {:.1} s", wall.as_secs_f64()));
        }
        Event::Ended { exit: Some(0), .. } => {}
        Event::Ended { name, exit, .. } => {
            event_line(RED, "error", &format!("hook failed: {name} ({exit:?})"));
        }
        Event::Status { kind, message, .. } => {
            let status = (kind.clone(), message.clone());
            let mut last = shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if *last != status {
                let style = match kind.as_str() {
                    "active" => GREEN,
                    "blocked" => RED,
                    _ => YELLOW,
                };
                event_line(style, kind, message);
                *last = status;
            }
        }
        Event::Log { message, .. } | Event::ActionLog { message, .. } => event_line(DIM, "log", message),
        _ => {}
    }
}

fn event_line(style: Style, kind: &str, message: &str) {
    let indent = " ".repeat(15);
    let text = fill(message, Options::new(WIDTH).initial_indent(&indent).subsequent_indent(&indent));
    println!("  {style}{kind:<11}{style:#}  {}", text.trim_start());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_does_not_hold_is_an_error_with_what_was_found() {
        assert!(claim("the disk is unchanged", true, "").is_ok());
        let error = claim("the disk is unchanged", false, "/etc/x").unwrap_err().to_string();
        assert_eq!(error, "this does not hold: the disk is unchanged\nfound instead: /etc/x");
    }
}
