#!/bin/bash
# Build the root file system of one unit: usage build_root.sh RELEASE TARGET ID, run as root beside the
# other files of the recipe. It prints a line before each step. It touches nothing outside TARGET,
# but mmdebstrap uses the host's apt keys, and pip the host's certificates, proxy and index settings.
set -euo pipefail
release=$1 target=$2 id=$3
recipe=$(dirname "$(readlink -f "$0")")

case $release in
    caracal | bookworm) suite=bookworm ;;
    trixie) suite=trixie ;;
    *) echo "unknown release: $release" >&2; exit 2 ;;
esac

include=systemd,systemd-sysv,dbus,python3,python3-pip,ca-certificates,sudo,curl,procps,iproute2
include+=,openssl,strace,magnum-api,magnum-conductor,python3-magnum

# mmdebstrap knows the mirror by itself; on Debian the keys too, elsewhere they are named.
options=()
if [ "$(. /etc/os-release; echo "$ID")" != debian ]; then
    options+=(--keyring=/usr/share/keyrings/debian-archive-keyring.gpg)
fi
eval "$(apt-config shell http_proxy_of_apt Acquire::http::Proxy)"
if [ -n "${http_proxy_of_apt:-}" ]; then
    options+=("--aptopt=Acquire::http::Proxy \"$http_proxy_of_apt\"")
fi

echo "installing Debian $suite with Magnum (1 to 3 minutes)"
export RECIPE=$recipe RELEASE=$release
log=$target.log
if ! mmdebstrap --variant=minbase --mode=root "${options[@]}" \
    --dpkgopt=force-unsafe-io --aptopt='Acquire::Retries "3"' --include="$include" \
    --essential-hook="sh $recipe/before_packages.sh \"\$1\"" \
    --customize-hook="sh $recipe/customize.sh \"\$1\" >&3" \
    "$suite" "$target" 3>&1 >"$log" 2>&1; then
    echo "mmdebstrap failed; the end of its log:" >&2
    tail -n 30 "$log" >&2
    exit 1
fi
rm -f "$log"

echo "moving the root into a user namespace"
chroot "$target" python3 - "$id" <"$recipe/shift_owners.py"
