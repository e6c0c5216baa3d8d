//! Faults of the services themselves.

use super::{Fault, fault};
use crate::support::{API, CONDUCTOR, CONF, CONF_DIRECTORY, DROP_INS};

pub fn of_the_services() -> Vec<Fault> {
    let later = format!("{CONF_DIRECTORY}/99-z.conf");
    let [api, conductor] = DROP_INS;
    let twice_restarted = |service: &str| {
        format!("until [ $(systemctl show --property=NRestarts --value {service}) -ge 2 ]; do sleep 0.2; done")
    };
    let api_answers = "until curl -sf -o /dev/null http://127.0.0.1:9501/; do sleep 0.2; done";
    let packaged = |service: &str, drop_in: &str| {
        format!(
            "cp -a {drop_in} /root/override.conf; rm {drop_in}; systemctl daemon-reload; systemctl restart {service}; mv /root/override.conf {drop_in}; systemctl daemon-reload; {api_answers}"
        )
    };
    vec![
        fault(
            "the API stopped",
            format!("systemctl stop {API}"),
            &["service-stable", "api-answers"],
            &["magnum-api", "systemctl start magnum-api"],
        )
        .typed("systemctl start magnum-api"),
        fault(
            "the conductor stopped",
            format!("systemctl stop {CONDUCTOR}"),
            &["service-stable"],
            &["magnum-conductor", "systemctl start magnum-conductor"],
        )
        .typed("systemctl start magnum-conductor"),
        fault(
            "runbook 9: the conductor runs its packaged command line, systemctl show says ours",
            packaged(CONDUCTOR, conductor),
            // oslo.config finds conf.d by itself, so the options take effect until magnum.conf sets one of them too.
            &["service-command-line"],
            &["magnum-conductor", "process"],
        ),
        fault(
            "the API runs its packaged command line",
            packaged(API, api),
            &["service-command-line"],
            &["magnum-api", "process"],
        ),
        fault(
            "the API reads another directory than the conductor",
            format!("cp -a {api} /root/override.conf; mkdir /run/other.d; sed -i 's#--config-dir=[^ ]*#--config-dir=/run/other.d#' {api}; systemctl daemon-reload; systemctl restart {API}; mv /root/override.conf {api}; systemctl daemon-reload; {api_answers}"),
            &["conf-effective", "service-command-line"],
            &["for magnum-api, which runs with other arguments", "kubeconfig_file"],
        ),
        fault(
            "the conductor started before the conf was put back",
            format!("cp -a {CONF} /root/; echo >>{CONF}; systemctl restart {CONDUCTOR}; sleep 1; mv /root/99-capi.conf {CONF}; touch {CONF}"),
            &["service-current"],
            &["magnum-conductor", "older than what it is to read"],
        ),
        fault(
            "runbook 9: a crash loop that is-active calls active",
            format!("printf '[DEFAULT]\\n# caf\\351\\n' >{later}; systemctl restart {CONDUCTOR}; {}", twice_restarted(CONDUCTOR)),
            &["service-stable", "conf-ascii", "conf-effective", "logs"],
            &["magnum-conductor"],
        )
        // What systemd has counted goes on counting when it was about to start it again itself.
        .by("shows why it ends; fix that", format!("rm {later}; systemctl reset-failed {CONDUCTOR}; systemctl restart {CONDUCTOR}")),
        fault(
            "a missing directory that --config-dir names: both are down at the next start",
            format!("mv {CONF_DIRECTORY} /root/; systemctl restart {CONDUCTOR}; {}; mkdir {CONF_DIRECTORY}; chmod 0755 {CONF_DIRECTORY}; cp -a /root/magnum.conf.d/* {CONF_DIRECTORY}/; systemctl stop {CONDUCTOR}; rm -r /root/magnum.conf.d", twice_restarted(CONDUCTOR)),
            &["service-stable"],
            &["magnum-conductor"],
        )
        .typed("systemctl start magnum-conductor"),
    ]
}

/// Faults that show in what the services log, or in what the API answers.
pub fn of_what_they_say() -> Vec<Fault> {
    let later = format!("{CONF_DIRECTORY}/99-z.conf");
    // The daemon logs to a file, as its own configuration says, and there the texts are read.
    let logged = |text: &str| {
        format!(
            "printf '[DEFAULT]\\nlog_file = /var/log/magnum/conductor.log\\n' >{later}
             systemctl restart {CONDUCTOR}
             until [ -s /var/log/magnum/conductor.log ]; do sleep 0.2; done
             pid=$(systemctl show --property=MainPID --value {CONDUCTOR})
             echo \"$(date '+%F %T.000') $pid ERROR magnum [-] {text}\" >>/var/log/magnum/conductor.log"
        )
    };
    let restarted = || format!("systemctl restart {CONDUCTOR}");
    vec![
        fault(
            "the API hangs: active, and no answer",
            format!("kill -STOP $(systemctl show --property=MainPID --value {API})"),
            &["api-answers"],
            &["does not answer"],
        )
        .typed("systemctl restart magnum-api"),
        fault(
            "the API listens elsewhere than its configuration says",
            "sed -i 's/^port = 9501/port = 9502/' /etc/magnum/magnum.conf".to_owned(),
            &["api-answers"],
            &[":9502"],
        )
        .by("[api] host, port", "sed -i 's/^port = 9502/port = 9501/' /etc/magnum/magnum.conf"),
        fault(
            "ImportError in the log file that the configuration names",
            logged("ImportError: No module named 'magnum_capi_helm'"),
            &["logs"],
            &["/var/log/magnum/conductor.log", "No module named 'magnum_capi_helm"],
        )
        .by("then: systemctl restart", restarted()),
        fault(
            "the runbook's own text of a missing entry point",
            logged("EntryPointError: No 'k8s_capi_helm_v1' driver"),
            &["logs"],
            &["No 'k8s_capi_helm_v1' driver"],
        )
        .by("then: systemctl restart", restarted()),
        fault(
            "stevedore's real text of a missing entry point",
            logged("stevedore.exception.NoMatches: No 'magnum.drivers' driver found, looking for 'k8s_capi_helm_v1'"),
            &["logs"],
            &["looking for 'k8s_capi_helm_v1'"],
        )
        .by("then: systemctl restart", restarted()),
    ]
}
