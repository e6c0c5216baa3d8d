//! Faults of the configuration and of the drop-ins.

use super::{Fault, fault};
use crate::support::{CONF, CONF_DIRECTORY, DROP_INS, KUBECONFIG};

pub fn of_the_configuration() -> Vec<Fault> {
    let later = format!("{CONF_DIRECTORY}/99-z.conf");
    let other = format!("{CONF_DIRECTORY}/50-op.conf");
    vec![
        fault("the conf edited", format!("echo '# mine' >>{CONF}"), &["conf-file"], &[CONF, "content differs"]),
        fault(
            "the conf gone: Heat serves again",
            format!("rm {CONF}"),
            &["conf-file", "conf-effective", "driver-enabled", "kubeconfig-readable", "chain-chart-repository"],
            &[CONF, "missing"],
        ),
        fault(
            "the conf private: root reads it, the services do not",
            format!("chmod 0600 {CONF}"),
            &["conf-effective", "conf-file"],
            &["99-capi.conf"],
        ),
        fault("the conf writable for all", format!("chmod 0666 {CONF}"), &["conf-file"], &["mode", "0666"]),
        fault("the conf of user magnum", format!("chown magnum {CONF}"), &["conf-file"], &["owner"]),
        fault(
            "the conf replaced by a link",
            format!("mv {CONF} /etc/magnum/elsewhere; ln -s /etc/magnum/elsewhere {CONF}"),
            &["conf-file"],
            &["a symbolic link"],
        ),
        fault(
            "the conf replaced by a directory",
            format!("rm {CONF}; mkdir {CONF}"),
            &["conf-file", "conf-effective"],
            &["a directory"],
        ),
        fault(
            "the runbook's enabled_drivers alone: no Magnum reads it",
            format!("sed -i /disabled_drivers/d {CONF}"),
            &["driver-enabled", "conf-effective", "conf-file"],
            &["k8s_fedora_coreos_v1"],
        ),
        fault(
            "a dash that is no ASCII in a comment: the daemon does not mind",
            format!("printf '# a \\342\\200\\224 b\\n' >>{CONF}"),
            &["conf-ascii", "conf-file"],
            &["99-capi.conf:", "0xE2"],
        ),
        fault(
            "smart quotes round the kubeconfig's path: silent, and part of the value",
            format!("sed -i 's|= {KUBECONFIG}|= \\xe2\\x80\\x9c{KUBECONFIG}\\xe2\\x80\\x9d|' {CONF}"),
            &["conf-ascii", "conf-effective", "conf-file", "kubeconfig-readable"],
            &["99-capi.conf:"],
        ),
        fault(
            "a Latin-1 byte in another file: a crash loop at the next start",
            format!("printf '[DEFAULT]\\n# caf\\351\\n' >{other}"),
            &["conf-ascii", "conf-effective"],
            &["50-op.conf:2:6", "0xE9"],
        )
        .by("in plain ASCII", format!("LC_ALL=C sed -i 's/caf.*/cafe/' {other}")),
        fault(
            "a byte order mark in another file",
            format!("printf '\\357\\273\\277[DEFAULT]\\n' >{other}"),
            &["conf-ascii", "conf-effective"],
            &["50-op.conf:1:1"],
        )
        .by("in plain ASCII", format!("LC_ALL=C sed -i 's/^[^[]*//' {other}")),
        fault(
            "another file that the services cannot read",
            format!("printf '[DEFAULT]\\n' >{other}; chmod 0600 {other}"),
            &["conf-effective"],
            &["50-op.conf"],
        )
        .by("repair the file that the evidence names", format!("chmod 0644 {other}")),
        fault(
            "a file that does not parse",
            format!("echo 'no section' >{other}"),
            &["conf-effective"],
            &["50-op.conf"],
        )
        .by(
            "repair the file that the evidence names",
            format!("sed -i '1i [DEFAULT]' {other}; sed -i 's/^no section$/# &/' {other}"),
        ),
        fault(
            "another kubeconfig named by a later file",
            format!("printf '[capi_helm]\\nkubeconfig_file = /root/mine\\n' >{later}"),
            &["conf-effective", "kubeconfig-readable"],
            &["/root/mine", "99-z.conf"],
        )
        .by("take the option out of that file", format!("rm {later}")),
        fault(
            "another chart named by a later file",
            format!("printf '[capi_helm]\\nhelm_chart_name = /x\\n' >{later}"),
            &["conf-effective"],
            &["[capi_helm] helm_chart_name", "99-z.conf"],
        )
        .by("take the option out of that file", format!("rm {later}")),
    ]
}

pub fn of_the_drop_ins() -> Vec<Fault> {
    let [api, conductor] = DROP_INS;
    let directory = conductor.trim_end_matches("/override.conf");
    vec![
        fault("a drop-in edited", format!("echo '# mine' >>{api}; systemctl daemon-reload"), &["drop-in-files"], &["magnum-api.service.d/override.conf"]),
        fault("a drop-in private", format!("chmod 0600 {api}; systemctl daemon-reload"), &["drop-in-files"], &["0600"]),
        fault(
            "a drop-in gone, and systemd not told",
            format!("rm {api}"),
            &["drop-in-effective", "drop-in-files"],
            &["its files changed since systemd read them"],
        ),
        fault(
            "runbook 9: the override is not active, systemctl cat looks right while the old process runs",
            format!("rm {conductor}; systemctl daemon-reload"),
            &["drop-in-effective", "drop-in-files"],
            &["ExecStart is"],
        ),
        fault(
            "no empty ExecStart=: bad-setting, the old process runs on and is active",
            format!("sed -i '/^ExecStart=$/d' {conductor}; systemctl daemon-reload; ! systemctl restart magnum-conductor"),
            &["drop-in-effective", "drop-in-files"],
            &["bad-setting"],
        ),
        fault(
            "a later drop-in with a command line of its own",
            format!("printf '[Service]\\nExecStart=\\nExecStart=/bin/sleep 9\\n' >{directory}/zz.conf; systemctl daemon-reload"),
            &["drop-in-effective"],
            &["/bin/sleep 9", "zz.conf"],
        )
        .by("take ExecStart out of the later drop-in", format!("rm {directory}/zz.conf; systemctl daemon-reload")),
        fault(
            "a Latin-1 byte in a drop-in",
            format!("printf '# caf\\351\\n' >{directory}/zz.conf; systemctl daemon-reload"),
            &["conf-ascii"],
            &["zz.conf:1:6"],
        )
        .by("in plain ASCII", format!("rm {directory}/zz.conf; systemctl daemon-reload")),
    ]
}
