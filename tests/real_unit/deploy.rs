//! From `juju deploy` to `active`.

use lab::ManagementCluster;

use crate::support::{
    API, CONDUCTOR, CONF, CONF_DIRECTORY, DROP_INS, Deployment, KUBECONFIG, SITE, assert_differs, assert_same, timed,
};

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_unit_waits_for_its_kubeconfig_and_is_active_once_it_has_it() {
    let it = timed("boot", Deployment::bare);
    let (files, services) = (it.files(), it.services());

    timed("deploy", || it.deploy());
    it.assert_status(
        "blocked",
        &[
            "juju add-secret capi-mgmt kubeconfig#file=",
            "juju grant-secret capi-mgmt magnum-capi-helm",
            "juju config magnum-capi-helm kubeconfig=secret:",
        ],
        "without a kubeconfig",
    );
    assert_eq!(it.installed_version(), "1.1.0", "the driver is there already");
    let staged = it.files();
    let diff = files.diff(&staged);
    let outside: Vec<&str> =
        diff.paths().into_iter().filter(|path| !path.starts_with(&format!("{SITE}/magnum_capi_helm"))).collect();
    assert!(outside.is_empty(), "more than the driver: {outside:?}");
    assert_eq!(it.services(), services, "nothing was restarted");
    for service in [API, CONDUCTOR] {
        let words = it.command_line(service).join(" ");
        assert!(!words.contains("--config-dir"), "{service} runs {words}");
    }

    it.set(&[("kubeconfig", it.secret.as_ref())]);
    it.hook("config-changed");
    let command = format!("juju grant-secret {} magnum-capi-helm", it.secret);
    it.assert_status("blocked", &[&command], "with a secret that is not granted");
    assert_same(&staged.diff_exact(&it.files()), "a secret that is not granted");

    it.application.grant(&it.secret).unwrap();
    timed("grant", || it.hook("update-status"));
    it.assert_whole("1.1.0", "after the grant");
    let mut added = vec![
        KUBECONFIG,
        CONF_DIRECTORY,
        CONF,
        DROP_INS[0].trim_end_matches("/override.conf"),
        DROP_INS[0],
        DROP_INS[1].trim_end_matches("/override.conf"),
        DROP_INS[1],
    ];
    added.sort_unstable();
    assert_differs(&staged.diff(&it.files()), &added, "what the grant added");
    let magnum = timed("ask", || it.ask_magnum());
    assert_eq!(magnum["enabled"], serde_json::json!(["k8s_capi_helm_v1"]));
    assert_eq!(magnum["capi_helm"]["kubeconfig_file"], KUBECONFIG);
    let now = it.services();
    assert!(now.api.0 != services.api.0 && now.conductor.0 != services.conductor.0);
    assert_eq!((now.api.1, now.conductor.1), (0, 0), "restarts by systemd");
    assert!(it.machine().magnum_answers().unwrap());
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_kubeconfig_comes_from_the_resource_or_better_from_the_secret_and_rotates_without_a_restart() {
    let mut it = Deployment::bare();
    let attach = |it: &Deployment, content: Vec<u8>| {
        it.application.attach_resource("kubeconfig", Some(content)).unwrap();
    };
    attach(&it, Vec::new());
    it.deploy();
    it.assert_status("blocked", &["No kubeconfig"], "an empty resource");
    assert!(!it.machine().exists(KUBECONFIG).unwrap());

    attach(&it, it.management.kubeconfig().into_bytes());
    it.upgrade();
    it.assert_whole("1.1.0", "a kubeconfig as a resource");
    let services = it.services();

    attach(&it, it.management.kubeconfig().replace("admin", "resource").into_bytes());
    it.grant();
    it.upgrade();
    it.assert_whole("1.1.0", "a secret beside the resource");

    it.management.stop(it.machine()).unwrap();
    it.management = ManagementCluster::fresh(it.machine()).unwrap();
    it.management.serve(it.machine()).unwrap();
    it.update_secret(&[("kubeconfig", &it.management.kubeconfig())]);
    it.hook("secret-changed");
    it.assert_whole("1.1.0", "the secret rotated");
    assert_eq!(it.services(), services, "a kubeconfig restarts nothing");

    // Whoever may not read the kubeconfig finds it nowhere else either.
    let key = it.key();
    let found = it.shell(&format!(
        "setpriv --reuid=nobody --regid=nogroup --clear-groups \
         grep -rlF -e '{key}' /etc /usr/local /var /run /tmp /opt/lab 2>/dev/null || true
         setpriv --reuid=magnum --regid=magnum --init-groups \
         grep -rlF -e '{key}' /etc /usr/local /var /run /tmp 2>/dev/null || true"
    ));
    assert_eq!(found, format!("{KUBECONFIG}\n"), "files that hold the key");
}
