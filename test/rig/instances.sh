#!/bin/sh
# Starts LXD or Incus in a rig: instances.sh DIR RUNTIME…, in a control group
# namespace of its own, so that the hierarchies that are mounted here begin where
# the starter put us, and everything that the daemons make is below it.
set -eu
dir=$1
shift
exec 3<&- 4>&-

hierarchies=
while IFS=: read -r id controllers _; do
	[ "$id" = 0 ] || hierarchies="$hierarchies $controllers"
done </proc/self/cgroup
top=/sys/fs/cgroup
if [ -n "$hierarchies" ]; then
	mount -t tmpfs cgroup $top
	for controllers in $hierarchies; do
		case $controllers in
		name=*) options=none,$controllers ;;
		*) options=$controllers ;;
		esac
		mkdir -p "$top/${controllers#name=}"
		mount -t cgroup -o "$options" cgroup "$top/${controllers#name=}"
	done
	top=$top/unified
	mkdir $top
fi
mount -t cgroup2 cgroup2 $top || [ -n "$hierarchies" ]

# The client keeps its configuration where nothing outlives the rig.
export LXD_CONF=/run/lxd-client INCUS_CONF=/run/incus-client

for runtime in "$@"; do
	for kept in lib log; do
		mount --bind "$dir/var/$kept/$runtime" "/var/$kept/$runtime"
	done
	case $runtime in
	lxd)
		daemon=lxd client=lxc
		admin() { lxd "$@"; }
		;;
	incus)
		daemon=/usr/libexec/incus/incusd client=incus
		admin() { incus admin "$@"; }
		;;
	esac
	$daemon --group root --logfile "/var/log/$runtime/daemon.log" </dev/null &
	echo $! >"/run/$runtime.pid"
	admin waitready --timeout 60
	admin init --preseed <<-END
		storage_pools: [{name: default, driver: dir}]
		profiles: [{name: default, devices: {root: {type: disk, pool: default, path: /}}}]
	END
	$client image import "$dir/tiny.tar" --alias tiny
done
