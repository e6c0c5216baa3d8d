//! The text of `99-capi.conf`.

use crate::juju::settings::{CapiHelmOptions, Settings, first_non_ascii};
use crate::magnum::ENTRY_POINT;
use crate::problem::Problem;
use crate::system::ManagedFile;

use super::{CONF, HEADER};

/// What of the other parts stands in the file.
pub struct ConfInputs<'a> {
    pub settings: &'a Settings,
    /// Every registered Magnum driver but ours.
    pub other_drivers: &'a [String],
    pub kubeconfig: &'a str,
    /// Path and version of an attached chart.
    pub chart: Option<(&'a str, &'a str)>,
    /// The `[capi_helm]` options that the driver registers.
    pub known_options: &'a [String],
}

/// Returns `99-capi.conf`.
///
/// `enabled_drivers` is what the runbook writes; no release of Magnum reads it. What has the effect is
/// `disabled_drivers`, which is written even when it is empty, since an earlier file may name our driver there.
///
/// # Errors
/// If the driver does not know an option, an option is set twice, or the file would not be plain ASCII.
pub fn conf(inputs: &ConfInputs<'_>) -> Result<ManagedFile, Problem> {
    let settings = inputs.settings;
    let options = &settings.capi_helm_options;
    options.check_known(&settings.driver.pin, inputs.known_options)?;
    let mut text = format!("{HEADER}[DEFAULT]\nenabled_drivers = {ENTRY_POINT}\n");
    if settings.disable_other_drivers {
        text.push_str("\n[drivers]\n");
        push(&mut text, "disabled_drivers", &inputs.other_drivers.join(","))?;
    }
    text.push_str("\n[capi_helm]\n");
    push(&mut text, "kubeconfig_file", inputs.kubeconfig)?;
    for (key, value) in chart_options(inputs)?.into_iter().chain(options.iter()) {
        push(&mut text, key, value)?;
    }
    if let Some((line, column, c)) = first_non_ascii(&text) {
        return Err(Problem::blocked(
            "The configuration would not be ASCII: run verify",
            format!(
                "{CONF} would hold {c:?} in line {line}, column {column}; rename the Magnum driver or option it \
                 comes from"
            ),
        ));
    }
    Ok(ManagedFile::public(CONF, text))
}

/// Adds a line. oslo.config interpolates `$`, and takes one pair of quotes off; the operator's value is literal. To
/// Python a carriage return ends a line, too.
fn push(text: &mut String, key: &str, value: &str) -> Result<(), Problem> {
    if value.contains(char::is_control) {
        let detail = format!("{key} in {CONF} would be {value:?}; rename the Magnum driver that it comes from");
        return Err(Problem::blocked("A name holds a control character: run verify", detail));
    }
    let is_quoted = |quote| value.starts_with(quote) && value.ends_with(quote);
    let quote = if is_quoted('"') || is_quoted('\'') { "\"" } else { "" };
    let line = format!("{key} = {quote}{}{quote}", value.replace('$', "$$"));
    text.push_str(line.trim_end());
    text.push('\n');
    Ok(())
}

/// Returns the options that name the chart: a file on the unit, or a repository and a version.
fn chart_options<'a>(inputs: &ConfInputs<'a>) -> Result<Vec<(&'static str, &'a str)>, Problem> {
    let source = &inputs.settings.chart;
    let options = match inputs.chart {
        // With an empty repository the driver gives helm the name alone, which is a file's path.
        Some((path, version)) => [
            ("resource helm-chart", "helm_chart_repo", Some("")),
            ("resource helm-chart", "helm_chart_name", Some(path)),
            ("resource helm-chart", "default_helm_chart_version", Some(version)),
        ],
        None => [
            ("helm-chart-repo", "helm_chart_repo", source.repo.as_deref()),
            ("helm-chart-repo", "helm_chart_name", None),
            ("helm-chart-version", "default_helm_chart_version", source.version.as_deref()),
        ],
    };
    let mut set = Vec::new();
    for (from, key, value) in options {
        let Some(value) = value else { continue };
        if inputs.settings.capi_helm_options.iter().any(|(set, _)| set == key) {
            let wrong = format!("sets {key}, which {from} sets too");
            return Err(Problem::option(CapiHelmOptions::OPTION, wrong, "remove one of them"));
        }
        set.push((key, value));
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::tests::settings;

    const OPTIONS: [&str; 3] = ["kubeconfig_file", "helm_chart_name", "namespace_prefix"];

    fn text_of(settings: &Settings, drivers: &[&str], chart: Option<(&str, &str)>) -> Result<String, String> {
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let file = conf(&ConfInputs {
            settings,
            other_drivers: &owned(drivers),
            kubeconfig: "/etc/magnum/kubeconfig",
            chart,
            known_options: &owned(&OPTIONS),
        });
        let file = file.map_err(|problem| problem.to_string())?;
        Ok(String::from_utf8(file.bytes).unwrap())
    }

    #[test]
    fn the_conf_names_our_driver_and_disables_every_other() {
        let text = text_of(&settings("helm_chart_name = a$b"), &["k8s_fedora_coreos_v1"], None);
        assert_eq!(
            text.unwrap(),
            format!(
                "{HEADER}[DEFAULT]\nenabled_drivers = k8s_capi_helm_v1\n\n[drivers]\n\
                 disabled_drivers = k8s_fedora_coreos_v1\n\n[capi_helm]\n\
                 kubeconfig_file = /etc/magnum/kubeconfig\nhelm_chart_name = a$$b\n"
            )
        );
    }

    #[test]
    fn quotes_of_the_operator_are_a_part_of_the_value() {
        let text = text_of(&settings("namespace_prefix = 'x'\nhelm_chart_name = \""), &[], None).unwrap();
        assert!(text.ends_with("namespace_prefix = \"'x'\"\nhelm_chart_name = \"\"\"\n"), "{text}");
    }

    #[test]
    fn other_drivers_stay_if_the_operator_says_so_and_an_empty_list_is_still_written() {
        let mut wanted = settings("");
        assert!(text_of(&wanted, &[], None).unwrap().contains("\ndisabled_drivers =\n"));
        wanted.disable_other_drivers = false;
        assert!(!text_of(&wanted, &["x"], None).unwrap().contains("[drivers]"));
    }

    #[test]
    fn an_attached_chart_is_named_by_its_path_and_nothing_may_be_set_twice() {
        let chart = Some(("/chart.tgz", "0.10.1"));
        assert!(
            text_of(&settings(""), &[], chart)
                .unwrap()
                .ends_with("helm_chart_repo =\nhelm_chart_name = /chart.tgz\ndefault_helm_chart_version = 0.10.1\n")
        );
        let message = text_of(&settings("helm_chart_name = x"), &[], chart).unwrap_err();
        assert!(message.contains("which resource helm-chart sets too"), "{message}");
    }

    #[test]
    fn an_unknown_option_and_a_driver_name_that_is_not_ascii_are_refused() {
        let message = text_of(&settings("namspace_prefix = x"), &[], None).unwrap_err();
        assert!(message.contains("is not a [capi_helm] option"), "{message}");
        let message = text_of(&settings(""), &["heat\u{2013}v1"], None).unwrap_err();
        assert!(message.contains("line 6, column 24"), "{message}");
        let message = text_of(&settings(""), &["heat\rx"], None).unwrap_err();
        assert!(message.contains("disabled_drivers in") && message.contains("\"heat\\rx\""), "{message}");
    }
}
