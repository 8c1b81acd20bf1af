#!/bin/sh
# PID 1 of a rig: init.sh DIR HOSTNAME starter|persist [lxd] [incus]
#
# Descriptor 3 is a pipe from the starter. It says "go" once it has written down
# who we are, so a starter that dies before that leaves nothing running.
# Descriptor 4 is a pipe to the starter, which waits for "ready" on it.
set -eu
dir=$1 hostname=$2 life=$3
shift 3

read -r go <&3
[ "$go" = go ]

if [ "$life" = starter ]; then
	# The pipe ends when the starter does, even by SIGKILL. Killing everybody
	# else (-1 spares PID 1 and the caller) frees a start-up that hangs in one of
	# its commands; the wait below, or set -e, does the rest.
	(
		cat <&3 >/dev/null || true
		kill -s KILL -- -1
	) &
else
	sleep infinity 3<&- 4>&- &
fi
life_pid=$!
exec 3<&-

mount --make-rprivate /
mount -t proc proc /proc
# A new sysfs shows the network namespace of the process that mounts it.
mount -t sysfs sysfs /sys

cover() {
	mount --bind "$dir$1" "$1"
}
cover /run
cover /etc/libvirt
cover /etc/openvswitch
cover /var/lib/libvirt
cover /var/log/libvirt
cover /var/log/openvswitch
cover /var/cache/libvirt
for file in /etc/machine-id /etc/hosts; do
	if [ -e "$file" ]; then
		cover "$file"
	fi
done

# libvirtd asks access(2) whether /dev/kvm can be used, and probes QEMU again at
# each define while the answer and QEMU's disagree. On a read-only mount even
# root gets EROFS, which is "no".
if [ -e /dev/kvm ]; then
	mount --bind "$dir/kvm" /dev/kvm
	mount -o remount,bind,ro /dev/kvm
fi

# virsh asks for nobody's password here: without polkit's agent it doesn't try,
# and doesn't complain that there is no polkit.
if [ -x /usr/bin/pkttyagent ]; then
	mount --bind /dev/null /usr/bin/pkttyagent
fi

hostname "$hostname"
ip link set lo up

ovsdb-tool create /etc/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server /etc/openvswitch/conf.db --remote=punix:/run/openvswitch/db.sock \
	--pidfile --detach --log-file
ovs-vsctl --no-wait init
ovs-vswitchd --pidfile --detach --log-file

virtlogd -d
libvirtd -d
# Answers once every driver is up.
virsh -q -c qemu:///system list --all

if [ $# -gt 0 ]; then
	unshare --cgroup "$dir/instances.sh" "$dir" "$@"
fi

echo ready >&4
exec 4>&-
# While it waits, the shell reaps whoever became its child: QEMU is a daemon,
# and libvirtd takes a dead one for alive until it is reaped.
wait "$life_pid"
