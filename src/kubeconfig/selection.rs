//! The kubeconfig of the graft: which one is used, and what the management cluster says of it.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Facts, Pace};
use crate::kube::fit::{Harm, Stack};
use crate::kube::judgement::Online;
use crate::kube::rotation::{self, Candidates, Choice};
use crate::kube::validity::{Age, age};
use crate::kube::{Kubeconfig, Session, Trouble, Usable, online};
use crate::problem::Problem;
use crate::settings::{Pin, Settings};
use crate::unit::python::MAGNUM_USER;
use crate::unit::{command, files, state};

/// The file of what the management cluster said last.
const MEMORY: &str = "management.json";
/// Reading a file as another user.
const READ_LIMIT: Duration = Duration::from_secs(10);
/// For how long a cluster that fits and lets us do everything is not asked again whether it does.
const FITS_FOR: i64 = 24 * 60 * 60;
const REMEDY: &str = "run: juju update-secret SECRET kubeconfig#file=FILE";

/// What cannot be seen on the unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
    /// The last kubeconfig that the management cluster accepted.
    proven: Option<Kubeconfig>,
    /// What fitted there last.
    fits: Option<Fits>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fits {
    /// Kubeconfig, driver and chart, as a checksum.
    what: String,
    /// When, in seconds since 1970.
    at: i64,
}

impl Memory {
    fn load() -> Result<Self> {
        Ok(state::load(MEMORY)?.unwrap_or_default())
    }
}

/// Chooses the kubeconfig, asking the management cluster one question for each it tries.
///
/// # Errors
/// A [`Problem`] when there is none that the pinned driver can use.
pub fn choose(
    granted: &Result<Option<Kubeconfig>, Problem>,
    used: Option<&Kubeconfig>,
    pin: &Pin,
    pace: Pace,
) -> Result<Option<Choice>> {
    let memory = Memory::load()?;
    let candidates = Candidates {
        granted,
        used,
        proven: memory.proven.as_ref(),
    };
    let judge = |kubeconfig: &Kubeconfig| kubeconfig.usable_by(pin, &read_as_magnum);
    let ask = |usable: &Usable| match pace {
        Pace::Judging => Session::open(usable).and_then(|session| session.whoami()),
        Pace::Swift => Err(Trouble::Unaskable),
    };
    Ok(rotation::choose(candidates, Timestamp::now(), judge, ask)?)
}

/// Remembers a choice that the management cluster accepted: the next one is held against it.
///
/// # Errors
/// When that cannot be written.
pub fn remember(choice: &Choice) -> Result<()> {
    let mut memory = Memory::load()?;
    if choice.identity.is_err() || memory.proven.as_ref() == Some(&choice.kubeconfig) {
        return Ok(());
    }
    memory.proven = Some(choice.kubeconfig.clone());
    state::save(MEMORY, &memory)
}

/// Whatever there is to say of the chosen one: its age, who does not answer, what does not fit.
///
/// # Errors
/// When what is remembered cannot be read or written.
pub fn problems(choice: &Choice, settings: &Settings, facts: &Facts) -> Result<Vec<Problem>> {
    let mut problems: Vec<Problem> = choice.problem.iter().cloned().collect();
    let (ageing, good) = ageing(&choice.usable, settings.expiry_warning_days);
    problems.extend(ageing);
    let server = &choice.usable.server;
    match &choice.identity {
        // Its age explains what it is refused for.
        Err(Trouble::Rejected(_)) if !good => {}
        Err(trouble) => problems.extend(of_trouble(server, trouble)),
        Ok(_) => problems.extend(misfits(choice, &stack(settings, Some(facts)))?),
    }
    Ok(problems)
}

/// What of the credentials' age is to be told, and whether they are good now.
fn ageing(usable: &Usable, warning_days: u16) -> (Option<Problem>, bool) {
    match age(&usable.validity, Timestamp::now()) {
        Age::Expired(ends) => (
            Some(Problem::blocked(format!(
                "the kubeconfig has expired: {ends}; {REMEDY}"
            ))),
            false,
        ),
        Age::TooEarly(begins) => (
            Some(Problem::waiting(format!(
                "the kubeconfig is not good yet: {begins}"
            ))),
            false,
        ),
        Age::Good(Some((ends, days))) if days < i64::from(warning_days) => (
            Some(Problem::notice(format!(
                "the kubeconfig expires in {days} days: {ends}; {REMEDY}"
            ))),
            true,
        ),
        Age::Good(_) => (None, true),
    }
}

fn of_trouble(server: &str, trouble: &Trouble) -> Option<Problem> {
    let message = format!("the management cluster {server} {trouble}");
    match trouble {
        Trouble::Rejected(_) => Some(Problem::blocked(format!("{message}; {REMEDY}"))),
        Trouble::Unreachable(..) | Trouble::Odd(_) => Some(Problem::waiting(message)),
        Trouble::Unaskable => None,
    }
}

/// What does not fit there. A cluster that fits is asked again after a day, or when kubeconfig,
/// driver or chart are others: each of many hooks on each of many units would be too often.
fn misfits(choice: &Choice, stack: &Stack) -> Result<Vec<Problem>> {
    let mut memory = Memory::load()?;
    let kubeconfig = files::sha256(choice.kubeconfig.bytes());
    let what = files::sha256(format!("{kubeconfig} {stack:?}").as_bytes());
    let now = Timestamp::now().as_second();
    let fits = |fits: &Fits| fits.what == what && (0..FITS_FOR).contains(&(now - fits.at));
    if memory.fits.as_ref().is_some_and(fits) {
        return Ok(Vec::new());
    }
    let server = &choice.usable.server;
    let answers = Online::ask(&choice.usable, stack);
    // It may have gone since it was asked who we are.
    let mut problems: Vec<Problem> = match &answers.identity {
        Ok(_) => Vec::new(),
        Err(trouble) => of_trouble(server, trouble).into_iter().collect(),
    };
    match &answers.denied {
        Some(Ok(denied)) if !denied.is_empty() => {
            problems.push(Problem::blocked(denial(server, denied)));
        }
        Some(Err(trouble)) => problems.extend(of_trouble(server, trouble)),
        _ => {}
    }
    match &answers.misfits {
        Some(Ok(misfits)) => {
            for misfit in misfits {
                let message = format!(
                    "the management cluster {server}: {}; {}",
                    misfit.what, misfit.remedy
                );
                problems.push(match misfit.harm {
                    Harm::Fatal => Problem::blocked(message),
                    Harm::Cosmetic => Problem::notice(message),
                });
            }
        }
        Some(Err(trouble)) => problems.extend(of_trouble(server, trouble)),
        None => {}
    }
    let fits = problems.is_empty().then_some(Fits { what, at: now });
    if memory.fits != fits {
        memory.fits = fits;
        state::save(MEMORY, &memory)?;
    }
    Ok(problems)
}

/// What is denied, for people.
pub fn denial(server: &str, denied: &[online::Deed]) -> String {
    let deeds: Vec<String> = denied.iter().map(online::shown).collect();
    format!(
        "the management cluster {server} does not let the kubeconfig's user {}; give it a role that \
         allows that in every namespace",
        deeds.join(", ")
    )
}

/// What is grafted, as far as the management cluster must fit it.
pub fn stack(settings: &Settings, facts: Option<&Facts>) -> Stack {
    let option = |key: &str| {
        let mut options = settings.capi_helm_options.iter();
        options
            .find(|(set, _)| *set == key)
            .map(|(_, value)| value.to_owned())
    };
    let given = facts.and_then(|facts| facts.chart.as_ref());
    Stack {
        driver: settings.driver.pin.version().clone(),
        chart: given
            .map(|chart| chart.version.clone())
            .or_else(|| settings.chart.version.clone())
            .or_else(|| option("default_helm_chart_version")),
        api_resources: option("api_resources"),
    }
}

/// Reads a file that a kubeconfig names, as user magnum.
///
/// # Errors
/// Why that fails, in a few words.
pub fn read_as_magnum(path: &Path) -> Result<Vec<u8>, String> {
    let run = command::run_as(MAGNUM_USER, "cat", READ_LIMIT)
        .arg("--")
        .arg(path);
    let output = run.output().map_err(|error| format!("{error:#}"))?;
    match output.code {
        Some(0) => Ok(output.stdout),
        _ => Err(output.stderr.trim().trim_start_matches("cat: ").to_owned()),
    }
}
