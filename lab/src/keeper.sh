#!/bin/bash
# The keeper of one machine: holds everything the machine is made of, and lets go of all of it when
# its standard input closes, however the process at the other end came to stop.
#
# usage: setsid unshare --mount --propagation private --pid --fork --kill-child=KILL --mount-proc \
#            bash keeper.sh STATE ROOT NAME ID
#   STATE  directory for the machines of this host; NAME is the machine's directory in it
#   ROOT   the cached root, which is never written to
#   ID     the host's id of root inside, to whom ROOT belongs: the container is in a user namespace, as
#          LXD's are, and nothing is allowed in it that LXD would not allow
#
# Prints "started" whenever the container starts (again, after a reboot), "ended CODE" when it has ended
# for good, or "error: …". Mounts live in this process's own mount namespace and the writable layer is a
# tmpfs there, so both vanish with it; and it is PID 1 of a PID namespace, so the kernel ends all that it
# started when it ends, even by SIGKILL. What can be left then are an empty directory and empty cgroups,
# which the next keeper sweeps: a directory whose lock is free has no keeper.
#
# It sets no trap: PID 1 of a PID namespace gets no signal that it has no handler for, but SIGKILL. So
# nothing can end it while it cleans up.
set -u
state=$1 root=$2 name=$3 id=$4
dir=$state/$name
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# Where cgroups can be made: cgroup2 alone, or systemd's own v1 hierarchy with cgroup2 beside it.
hierarchies=()
for mount in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
    if [ -e "$mount/cgroup.procs" ]; then hierarchies+=("$mount"); fi
done

# Remove the cgroups of machine $1; its processes are dead or dying.
remove_cgroups() {
    local mount
    for mount in "${hierarchies[@]}"; do
        for _ in {1..500}; do
            [ -d "$mount/magnum-lab-$1" ] || break
            find "$mount/magnum-lab-$1" -depth -type d -exec rmdir {} + 2>/dev/null && break
            sleep 0.01
        done
        [ ! -d "$mount/magnum-lab-$1" ] || return 1
    done
}

# Machines are made and swept one at a time.
mkdir -p "$state"
exec 9>"$state/lock"
flock 9
for other in "$state"/*/; do
    other=$(basename "$other")
    [ -f "$state/$other/lock" ] || continue
    # Its owner may just be removing it.
    if flock --nonblock "$state/$other/lock" true 2>/dev/null; then
        remove_cgroups "$other" && rm -rf "${state:?}/$other"
    fi
done
mkdir "$dir" || { echo "error: $dir exists"; exit 1; }
exec 8>"$dir/lock"
flock 8
exec 9>&-

cleanup() {
    # Everything in this PID namespace but this process, the container included.
    kill -KILL -1
    wait
    umount --lazy "$dir/merged" "$dir/layer"
    # The next keeper sweeps what still has a directory.
    remove_cgroups "$name" && rm -rf "$dir"
} 2>/dev/null

fail() { echo "error: $*"; cleanup; exit 1; }

mkdir "$dir/layer" "$dir/merged"
mount -t tmpfs -o mode=0755,size=4g magnum-lab "$dir/layer" || fail "cannot mount a tmpfs"
mkdir "$dir/layer/upper" "$dir/layer/work"
chmod --reference="$root" "$dir/layer/upper"
chown "$id:$id" "$dir/layer/upper"
mount -t overlay -o "lowerdir=$root,upperdir=$dir/layer/upper,workdir=$dir/layer/work" \
    magnum-lab "$dir/merged" || fail "cannot mount an overlay over $root"
printf '%s\n' "$name" | sha256sum | cut -c 1-32 >"$dir/merged/etc/machine-id"
printf '%s\n' "${name%%.*}" >"$dir/merged/etc/hostname"
printf '127.0.0.1\tlocalhost\n127.0.1.1\t%s\n' "${name%%.*}" >"$dir/merged/etc/hosts"
chown "$id:$id" "$dir"/merged/etc/{machine-id,hostname,hosts}

# systemd wants a cgroup of its own; two machines in one would fight.
for mount in "${hierarchies[@]}"; do
    mkdir "$mount/magnum-lab-$name" || fail "cannot make a cgroup in $mount"
done
# nspawn keeps a directory for each machine there, and refuses to empty it on a disk.
mkdir -p /run/systemd/nspawn
mount -t tmpfs -o mode=0755 magnum-lab /run/systemd/nspawn || fail "cannot mount a tmpfs"

# The container, again after each reboot, until it ends for good.
run() {
    local nspawn code
    while :; do
        # Inside always cgroup2, whatever the host has: what every supported release boots with.
        (
            for mount in "${hierarchies[@]}"; do
                # 0 is the writer itself, in whatever PID namespace.
                echo 0 >"$mount/magnum-lab-$name/cgroup.procs" || exit 1
            done
            exec env -i PATH="$PATH" SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 \
                systemd-nspawn --quiet --boot --directory="$dir/merged" --machine="${name%%.*}" \
                --register=no --keep-unit --console=pipe --private-network \
                --private-users="$id:65536" --private-users-ownership=off \
                --resolv-conf=off --timezone=off --link-journal=no --settings=no \
                </dev/null >>"$dir/layer/console.log" 2>&1
        ) &
        nspawn=$!
        echo started
        wait "$nspawn"
        # 133: the machine asks for a reboot.
        code=$?
        [ "$code" = 133 ] || break
    done
    echo "ended $code"
}

run </dev/null 8>&- &
# Nothing is ever written to standard input: it only closes.
while read -r _; do :; done
cleanup
