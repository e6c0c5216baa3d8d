//! Running other programs: one way to show what runs, one way to read what it says.
//!
//! Every failure names the command line, and quotes the program's stderr where it was captured.

use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// What the tasks need beyond [`Command`] itself.
pub trait CommandExt {
    /// Runs with the terminal's streams, after printing the command line.
    ///
    /// # Errors
    ///
    /// When the program cannot be started or does not succeed.
    fn show(&mut self) -> Result<()>;

    /// Runs and returns stdout as text.
    ///
    /// # Errors
    ///
    /// When the program cannot be started, does not succeed, or prints something that is not text.
    fn capture(&mut self) -> Result<String>;

    /// Runs with stdout captured and stderr on the terminal, after printing the command line.
    ///
    /// # Errors
    ///
    /// As [`CommandExt::capture`].
    fn show_and_capture(&mut self) -> Result<String>;
}

impl CommandExt for Command {
    fn show(&mut self) -> Result<()> {
        println!("$ {}", line(self));
        let status = self
            .stdin(Stdio::null())
            .status()
            .with_context(|| format!("starting `{}`", line(self)))?;
        if !status.success() {
            bail!("`{}` failed: {status}", line(self));
        }
        Ok(())
    }

    fn capture(&mut self) -> Result<String> {
        let output = self
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("starting `{}`", line(self)))?;
        text(self, output)
    }

    fn show_and_capture(&mut self) -> Result<String> {
        println!("$ {}", line(self));
        self.stderr(Stdio::inherit()).stdout(Stdio::piped());
        let output = self
            .stdin(Stdio::null())
            .spawn()
            .and_then(std::process::Child::wait_with_output)
            .with_context(|| format!("running `{}`", line(self)))?;
        text(self, output)
    }
}

fn text(command: &Command, output: Output) -> Result<String> {
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let said = stderr.trim();
        let said = if said.is_empty() {
            String::new()
        } else {
            format!("\n{said}")
        };
        bail!("`{}` failed: {}{said}", line(command), output.status);
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` printed something that is not text", line(command)))
}

/// The command line as one would type it, for people: not quoted for a shell.
fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(std::ffi::OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_quotes_its_stderr() {
        let error = Command::new("sh")
            .args(["-c", "echo no such thing >&2; exit 3"])
            .capture()
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("`sh -c "), "{error}");
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.ends_with("\nno such thing"), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Command::new("no-such-program-here").show().unwrap_err();
        assert!(
            format!("{error:#}").contains("starting `no-such-program-here`"),
            "{error:#}"
        );
    }
}
