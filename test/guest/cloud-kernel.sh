#!/bin/sh
# Puts Debian's kernel for clouds and the modules that a PC wants into the
# directory named, once, and names the directory that holds them. The package is
# taken apart and not installed: installing a kernel changes the machine's boot.
set -eu
cache=$1
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
resolve() { apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^  Depends: \(linux-image-.*-cloud-amd64\)$/\1/p'; }
set -- "$cache"/linux-image-*/vmlinuz
if [ ! -e "$1" ]; then
	[ -n "$(resolve)" ] || apt-get update -qq >&2
	package=$(resolve)
	work=$(mktemp -d "$cache/.new-XXXXXX")
	trap 'rm -rf "$work"' EXIT
	cd "$work"
	apt-get download -qq -o APT::Sandbox::User=root "$package" >&2 || { apt-get update -qq >&2; apt-get download -qq -o APT::Sandbox::User=root "$package" >&2; }
	dpkg-deb -x "$package"_*.deb tree
	mkdir done
	mv tree/boot/vmlinuz-* done/vmlinuz
	n=10
	for module in net/core/failover drivers/net/net_failover drivers/virtio/virtio_ring drivers/virtio/virtio \
		drivers/virtio/virtio_pci_legacy_dev drivers/virtio/virtio_pci_modern_dev drivers/virtio/virtio_pci drivers/net/virtio_net; do
		mv tree/lib/modules/*/kernel/$module.ko "done/$n-${module##*/}.ko" # in the order in which they load
		n=$((n + 1))
	done
	cd "$cache"
	mv "$work/done" "$cache/$package"
	set -- "$cache/$package/vmlinuz"
fi
echo "${1%/vmlinuz}"
