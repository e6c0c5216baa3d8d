//! What a task shows to somebody who watches: headings, commands, statuses as Juju shows them, and claims with
//! the proof of each.
//!
//! Colour is for terminals, and for those who have not set NO_COLOR (<https://no-color.org>).

use std::fmt::Display;
use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use lab::Event;

/// Columns of running text.
const WIDTH: usize = 100;

/// How a piece of text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Plain,
    Bold,
    Dim,
    Green,
    Yellow,
    Red,
}

/// The terminal, or the file that takes its place.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    colour: bool,
}

impl Screen {
    /// Standard output as it is.
    #[must_use]
    pub fn of_stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colour: std::io::stdout().is_terminal() && !unwanted,
        }
    }

    /// The heading of a chapter.
    pub fn chapter(&self, title: &str) {
        let rule = "─".repeat(WIDTH.saturating_sub(title.chars().count() + 4));
        println!(
            "\n{} {} {}\n",
            self.paint(Look::Dim, "──"),
            self.paint(Look::Bold, title),
            self.paint(Look::Dim, &rule)
        );
    }

    /// Running text.
    pub fn say(&self, text: &str) {
        for line in wrap(text, WIDTH - 2) {
            println!("  {line}");
        }
        println!();
    }

    /// A command as an operator types it.
    pub fn command(&self, line: &str) {
        println!("  {}", self.paint(Look::Bold, &format!("$ {line}")));
    }

    /// A command that root types on a unit.
    pub fn command_on(&self, host: &str, line: &str) {
        println!("  {}", self.paint(Look::Bold, &format!("{host}:~# {line}")));
    }

    /// What a command prints, or a table. A long line goes on below its last column.
    pub fn output(&self, text: &str) {
        for line in text.lines() {
            for part in hanging(line, WIDTH - 4) {
                println!("    {part}");
            }
        }
    }

    /// The report of `verify`: each check's line begins with its status.
    pub fn report(&self, text: &str) {
        for line in text.lines() {
            let look = match line.split_whitespace().next() {
                Some("pass") => Look::Green,
                Some("warn") => Look::Yellow,
                Some("FAIL") => Look::Red,
                _ => Look::Plain,
            };
            for (number, part) in hanging(line, WIDTH - 4).iter().enumerate() {
                let (status, rest) = part.split_at(part.len().min(4));
                let look = if number == 0 { look } else { Look::Plain };
                println!("    {}{rest}", self.paint(look, status));
            }
        }
    }

    /// An empty line.
    pub fn pause(&self) {
        println!();
    }

    /// Says that something is so, after a look whether it is.
    ///
    /// # Errors
    ///
    /// When it is not so, with what was `seen` instead.
    pub fn claim(&self, what: &str, holds: bool, seen: impl Display) -> Result<()> {
        let (mark, look) = if holds {
            ("✓", Look::Green)
        } else {
            ("✗", Look::Red)
        };
        for (number, line) in wrap(what, WIDTH - 4).iter().enumerate() {
            let mark = if number == 0 { mark } else { " " };
            println!("  {} {line}", self.paint(look, mark));
        }
        if !holds {
            bail!("this does not hold: {what}\nseen instead: {seen}");
        }
        Ok(())
    }

    /// The last line of a task that went well.
    pub fn well(&self, line: &str) {
        println!("\n{}", self.paint(Look::Green, line));
    }

    /// The last line of a task that did not.
    pub fn ill(&self, line: &str) {
        println!("\n{}", self.paint(Look::Red, line));
    }

    /// Shows what happens on a unit, each status when it is set and only when it is another one.
    pub fn follow(self) -> impl Fn(&Event) + Send + 'static {
        let shown = Mutex::new((String::new(), String::new()));
        move |event| match event {
            Event::Started { name, .. } => self.line(Look::Dim, "running", name),
            Event::Ended {
                name,
                exit: Some(0),
                wall,
                ..
            } if *wall >= Duration::from_secs(1) => {
                let took = format!("{name} ended after {:.1} s", wall.as_secs_f64());
                self.line(Look::Dim, "", &took);
            }
            Event::Ended { exit: Some(0), .. } => {}
            Event::Ended { name, exit, .. } => {
                self.line(
                    Look::Red,
                    "error",
                    &format!("hook failed: {name} ({exit:?})"),
                );
            }
            Event::Status { kind, message, .. } => {
                let status = (kind.clone(), message.clone());
                let mut last = shown
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                if *last != status {
                    let look = match kind.as_str() {
                        "active" => Look::Green,
                        "blocked" => Look::Red,
                        _ => Look::Yellow,
                    };
                    self.line(look, kind, message);
                    *last = status;
                }
            }
            Event::Log { message, .. } | Event::ActionLog { message, .. } => {
                self.line(Look::Dim, "log", message);
            }
            _ => {}
        }
    }

    /// A line of the unit's history: time, kind, message.
    fn line(&self, look: Look, kind: &str, message: &str) {
        const INDENT: usize = "  12:00:00Z  maintenance  ".len();
        let time = self.paint(Look::Dim, &time_of_day(SystemTime::now()));
        let kind = self.paint(look, &format!("{kind:<11}"));
        let rest = if look == Look::Dim {
            Look::Dim
        } else {
            Look::Plain
        };
        let lines = wrap(message, WIDTH - INDENT);
        for (number, line) in lines.iter().enumerate() {
            let line = self.paint(rest, line);
            if number == 0 {
                println!("  {time}  {kind}  {line}");
            } else {
                println!("{:INDENT$}{line}", "");
            }
        }
    }

    fn paint(&self, look: Look, text: &str) -> String {
        let code = match look {
            Look::Plain => return text.to_owned(),
            Look::Bold => 1,
            Look::Dim => 2,
            Look::Green => 32,
            Look::Yellow => 33,
            Look::Red => 31,
        };
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// The time of day as Juju shows it with `--utc`.
fn time_of_day(now: SystemTime) -> String {
    let seconds = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() % 86400);
    format!(
        "{:02}:{:02}:{:02}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// Breaks text between words; a word longer than a line stands alone.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let fits = |line: &String| line.chars().count() + 1 + word.chars().count() <= width;
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if fits(line) => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Breaks the last column of a row; columns are two spaces or more apart.
fn hanging(row: &str, width: usize) -> Vec<String> {
    let indent = row.rfind("  ").map_or(0, |gap| gap + 2);
    let (columns, last) = row.split_at(indent);
    if row.chars().count() <= width {
        return vec![row.to_owned()];
    }
    let mut rows = Vec::new();
    for part in wrap(last, width.saturating_sub(indent)) {
        let before = if rows.is_empty() { columns } else { "" };
        rows.push(format!("{before:indent$}{part}"));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words_and_no_word_is_lost() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a very-long-word b", 5), ["a", "very-long-word", "b"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn a_long_row_goes_on_below_its_last_column() {
        let rows = hanging("pass  driver  one two three", 21);
        assert_eq!(rows, ["pass  driver  one two", "              three"]);
        assert_eq!(hanging("-rw-  a b", 20), ["-rw-  a b"]);
    }

    #[test]
    fn the_time_is_that_of_the_day_in_utc() {
        let time = UNIX_EPOCH + Duration::from_secs(86400 * 20_000 + 3600 * 23 + 60 * 5 + 9);
        assert_eq!(time_of_day(time), "23:05:09Z");
    }

    #[test]
    fn a_false_claim_is_an_error_that_says_what_was_seen() {
        let screen = Screen { colour: false };
        assert!(screen.claim("it is so", true, "").is_ok());
        let error = screen.claim("it is so", false, "it is not").unwrap_err();
        let message = error.to_string();
        assert!(message.contains("it is so") && message.ends_with("it is not"));
    }

    #[test]
    fn there_is_no_colour_without_a_terminal() {
        assert_eq!(Screen { colour: false }.paint(Look::Red, "x"), "x");
        let painted = Screen { colour: true }.paint(Look::Red, "x");
        assert_eq!(painted, "\x1b[31mx\x1b[0m");
    }
}
