#!/bin/bash
# Put a cloud's own services round the Magnum of a Caracal root: usage build_cloud.sh BASE TARGET ID, run as root
# beside the other files of the recipe. Keystone and RabbitMQ are Debian's; Magnum asks for tokens and
# reaches its conductor through RabbitMQ, as deployed. Prints a line before each step; touches only TARGET.
set -euo pipefail
base=$1 target=$2 id=$3
recipe=$(dirname "$(readlink -f "$0")")

# In the root as root, with a plain environment; $apt_proxy is the host's way to the packages.
eval "$(apt-config shell apt_proxy Acquire::http::Proxy)"
inside() {
    timeout 600 chroot "$target" /usr/bin/env -i HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1 \
        ${apt_proxy:+"http_proxy=$apt_proxy"} "$@"
}
# As the user $1.
as() {
    local user=$1
    shift
    inside setpriv --reuid="$user" --regid="$user" --clear-groups "$@"
}
# Both services read over one connection while they write over another, which sqlite allows only so.
let_readers_in() {
    as "$1" python3 -c "import sqlite3; sqlite3.connect('$2').execute('pragma journal_mode = wal')"
}

echo "copying the Caracal root"
cp -a "$base" "$target"
chroot "$target" python3 - 0 <"$recipe/shift_owners.py"
printf '#!/bin/sh\nexit 101\n' >"$target/usr/sbin/policy-rc.d"
chmod 755 "$target/usr/sbin/policy-rc.d"
cat /etc/resolv.conf >"$target/etc/resolv.conf"

echo "installing Keystone and RabbitMQ (half a minute)"
log=$target.log
if ! { inside apt-get -q update && inside apt-get -q -y --no-install-recommends -o Acquire::Retries=3 \
    -o Dpkg::Options::=--force-unsafe-io install keystone rabbitmq-server; } >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    exit 1
fi

echo "setting Keystone up: catalogue, accounts, the trustee domain"
install -m 0640 "$recipe/keystone.conf" "$target/etc/keystone/"
inside chown root:keystone /etc/keystone/keystone.conf
inside install -d -o keystone -g keystone -m 0700 /etc/keystone/fernet-keys /etc/keystone/credential-keys
# One process is enough, and threads would fight over sqlite.
sed -i 's/^processes = .*/processes = 1/; s/^threads = .*/threads = 1/' "$target/etc/keystone/keystone-uwsgi.ini"
cp "$recipe/setup_keystone.py" "$target/tmp/"
{
    as keystone keystone-manage db_sync
    let_readers_in keystone /var/lib/keystone/keystone.sqlite
    as keystone keystone-manage fernet_setup --keystone-user keystone --keystone-group keystone
    as keystone keystone-manage credential_setup --keystone-user keystone --keystone-group keystone
    as keystone keystone-manage bootstrap --bootstrap-password lab-admin-password \
        --bootstrap-region-id RegionOne --bootstrap-admin-url http://localhost:5000/v3 \
        --bootstrap-internal-url http://localhost:5000/v3 --bootstrap-public-url http://localhost:5000/v3
    as keystone python3 /tmp/setup_keystone.py
} >>"$log" 2>&1 || { tail -n 30 "$log" >&2; exit 1; }

echo "telling Magnum of them, tidying up"
# Magnum 18's own pipeline, as charm-magnum renders it.
sed -i 's/^pipeline = .*/pipeline = cors healthcheck http_proxy_to_wsgi request_id osprofiler authtoken api_v1/' \
    "$target/etc/magnum/api-paste.ini"
cat "$recipe/authtoken.ini" >>"$target/etc/magnum/api-paste.ini"
sed -i 's|localhost:35357|localhost:5000|; s|^transport_url = .*|transport_url = rabbit://guest:guest@localhost:5672//|' \
    "$target/etc/magnum/magnum.conf"
let_readers_in magnum /var/lib/magnum/magnum.sqlite
# A node's name is its host's, and a lab's host has a name of its own for each test.
printf 'NODENAME=rabbit@localhost\n' >>"$target/etc/rabbitmq/rabbitmq-env.conf"
rm -f "$target/usr/sbin/policy-rc.d" "$target/etc/resolv.conf" "$target/etc/.pwd.lock" "$log"
find "$target/tmp" "$target/var/tmp" "$target/var/log/keystone" -mindepth 1 -delete
inside apt-get -q clean
chroot "$target" python3 - "$id" <"$recipe/shift_owners.py"
