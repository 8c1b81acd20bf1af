package rig

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
)

// tinyMetadata describes the image (the image format's metadata.yaml).
const tinyMetadata = `architecture: x86_64
creation_date: 1793491200
properties: {os: busybox, release: "1.35", serial: "20261101", description: as little as starts}
`

// tinyInit is a container's init that waits until it is told to go: SIGPWR is
// how LXC asks for a shutdown.
const tinyInit = `#!/bin/sh
trap 'exit 0' TERM PWR
while :; do
	/bin/busybox sleep 3600 &
	wait $!
done
`

// tinyImage is a container image that holds busybox and an init: 2 MB that start
// in a tenth of a second.
func tinyImage() ([]byte, error) {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return nil, err
	}
	busybox, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h tar.Header, data []byte) {
		h.Size = int64(len(data))
		if err == nil {
			err = w.WriteHeader(&h)
		}
		if err == nil {
			_, err = w.Write(data)
		}
	}
	add(tar.Header{Name: "metadata.yaml", Mode: 0o644}, []byte(tinyMetadata))
	for _, dir := range []string{"", "/bin", "/sbin", "/dev", "/proc", "/sys", "/etc", "/tmp", "/root"} {
		add(tar.Header{Typeflag: tar.TypeDir, Name: "rootfs" + dir + "/", Mode: 0o755}, nil)
	}
	add(tar.Header{Name: "rootfs/bin/busybox", Mode: 0o755}, busybox)
	add(tar.Header{Typeflag: tar.TypeSymlink, Name: "rootfs/bin/sh", Linkname: "busybox", Mode: 0o777}, nil)
	add(tar.Header{Name: "rootfs/sbin/init", Mode: 0o755}, []byte(tinyInit))
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("make the tiny image: %w", err)
	}
	return b.Bytes(), nil
}
