//! Faults of the driver and of helm.

use super::{Fault, fault};
use crate::support::{CONF_DIRECTORY, SITE, dist_info};

pub fn of_the_driver() -> Vec<Fault> {
    let package = format!("{SITE}/magnum_capi_helm");
    let info = dist_info("1.1.0");
    let user_site = "/var/lib/magnum/.local/lib/python3.11/site-packages";
    vec![
        fault(
            "a file of the driver edited",
            format!("echo '#' >>{package}/helm.py"),
            &["driver-record"],
            &["magnum_capi_helm/helm.py"],
        ),
        fault(
            "a file of the driver gone",
            format!("rm {package}/helm.py"),
            &["driver-record", "driver-loads"],
            &["magnum_capi_helm/helm.py"],
        ),
        fault(
            "a file of the driver private: root's own import succeeds",
            format!("chmod 0600 {package}/driver.py"),
            &["driver-record", "driver-loads"],
            &["magnum_capi_helm/driver.py"],
        ),
        fault(
            "the driver's directory private",
            format!("chmod 0700 {package}"),
            &["driver-record", "driver-loads"],
            &["magnum_capi_helm"],
        ),
        fault(
            "a syntax error in the driver",
            format!("echo 'def (' >>{package}/driver.py"),
            &["driver-record", "driver-loads"],
            &["magnum_capi_helm/driver.py"],
        ),
        fault(
            "runbook 9: ImportError, the driver is not installed",
            format!("rm -r {package} {info}"),
            &["driver-version", "driver-loads"],
            &["magnum-capi-helm==1.1.0", "not installed"],
        ),
        fault(
            "the package gone, its metadata fine: pip show is content",
            format!("rm -r {package}"),
            &["driver-record", "driver-loads"],
            &["magnum_capi_helm/"],
        ),
        fault(
            "the metadata gone, the package fine: root's import succeeds",
            format!("rm -r {info}"),
            &["driver-version", "driver-loads"],
            &["magnum-capi-helm==1.1.0"],
        ),
        fault(
            "runbook 9: EntryPointError, the entry point is gone",
            format!("echo '[other]' >{info}/entry_points.txt"),
            &["driver-record", "driver-loads"],
            &["entry_points.txt"],
        ),
        fault("RECORD itself edited", format!("sed -i /helm.py/d {info}/RECORD"), &["driver-record"], &["RECORD"]),
        fault(
            "another version installed by hand",
            "PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --quiet --no-deps --no-compile \
             --index-url http://127.0.0.1:8090/simple magnum-capi-helm==1.2.1 2>&1",
            &["driver-version"],
            &["magnum-capi-helm==1.1.0 is pinned: 1.2.1 is installed"],
        ),
        fault(
            "left-overs of another version",
            format!(
                "cp -a {info} {SITE}/magnum_capi_helm-1.0.0.dist-info; sed -i 's/^Version: .*/Version: 1.0.0/' {SITE}/magnum_capi_helm-1.0.0.dist-info/METADATA"
            ),
            &["driver-version"],
            &["1.0.0"],
        ),
        fault(
            "a second copy that Python finds first",
            format!("sudo -u magnum mkdir -p {user_site}; cp -a {package} {info} {user_site}/"),
            &["driver-shadowed"],
            &["/var/lib/magnum/.local/lib"],
        ),
        fault(
            "another copy that a site hook puts first",
            format!(
                "mkdir /opt/other; cp -a {package} {info} /opt/other/
                 echo \"import sys; sys.path.insert(0, '/opt/other')\" >/usr/lib/python3/dist-packages/other.pth"
            ),
            &["driver-loads"],
            &["/opt/other/magnum_capi_helm/driver.py is loaded"],
        )
        .by("remove what puts it first", "rm -r /opt/other /usr/lib/python3/dist-packages/other.pth"),
        fault(
            "a requirement gone",
            "mkdir /root/gone; mv /usr/lib/python3/dist-packages/pbr-*-info /root/gone/",
            &["driver-requirements"],
            &["pbr"],
        )
        .by("install those packages", "mv /root/gone/* /usr/lib/python3/dist-packages/; rmdir /root/gone"),
    ]
}

pub fn of_what_it_needs() -> Vec<Fault> {
    let later = format!("{CONF_DIRECTORY}/99-z.conf");
    let helm = "/usr/local/bin/helm";
    vec![
        fault(
            "another driver enabled by a later file",
            format!("printf '[drivers]\\ndisabled_drivers =\\n' >{later}"),
            &["driver-enabled", "conf-effective"],
            &["k8s_fedora_coreos_v1"],
        )
        .by("take disabled_drivers out of the file that conf-effective names", format!("rm {later}")),
        fault(
            "our driver disabled by a later file",
            format!("printf '[drivers]\\ndisabled_drivers = k8s_capi_helm_v1\\n' >{later}"),
            &["driver-enabled", "conf-effective"],
            &["k8s_capi_helm_v1"],
        )
        .by("take it out of [drivers] disabled_drivers", format!("rm {later}")),
        fault(
            "helm gone",
            format!("mv {helm} /root/helm"),
            &["helm"],
            &["No helm on the services' PATH"],
        )
        .by("or later at /usr/local/bin/helm", format!("mv /root/helm {helm}")),
        fault(
            "helm not executable",
            format!("chmod -x {helm}"),
            &["helm"],
            &["No helm on the services' PATH"],
        )
        .by("or later at /usr/local/bin/helm", format!("chmod +x {helm}")),
        fault(
            "a helm that does not run",
            format!("mv {helm} /root/; printf '#!/bin/sh\\nexit 3\\n' >{helm}; chmod +x {helm}"),
            &["helm", "chart"],
            &["/usr/local/bin/helm", "3"],
        )
        .by("put an executable helm", format!("mv /root/helm {helm}")),
        fault(
            "a helm that is too old",
            format!("mv {helm} /root/; printf '#!/bin/sh\\ncase $1 in version) echo v3.2.4+g0ad800e;; *) exec /opt/helm \"$@\";; esac\\n' >{helm}; chmod +x {helm}; cp /root/helm /opt/helm"),
            &["helm"],
            &["3.2.4"],
        )
        .by("put an executable helm", format!("mv /root/helm {helm}; rm /opt/helm")),
        fault(
            "the chart edited",
            "truncate -s 100 /usr/local/share/magnum-capi-helm/chart.tgz",
            &["chart"],
            &["/usr/local/share/magnum-capi-helm/chart.tgz"],
        ),
    ]
}
