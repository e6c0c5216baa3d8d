#!/bin/sh
# Before the packages are installed into the root $1: answers for debconf, and no service may start.
set -eu
cp "$RECIPE/preseed" "$1/tmp/preseed"
chroot "$1" debconf-set-selections /tmp/preseed
rm "$1/tmp/preseed"
printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
chmod 755 "$1/usr/sbin/policy-rc.d"
