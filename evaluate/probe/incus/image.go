package incus

import (
	"archive/tar"
	"bytes"
	"fmt"
	"runtime"
	"time"
)

// archive makes a container image: a root file system with one program in it, as
// a unified tarball with its metadata (doc/reference/image_format.md).
func archive(init []byte) ([]byte, error) {
	architecture := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	metadata := fmt.Sprintf("architecture: %s\ncreation_date: %d\nproperties: {description: avstem-probe}\n", architecture, time.Now().Unix())
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := error(nil)
	add := func(h tar.Header, data []byte) {
		h.Size = int64(len(data))
		if err == nil {
			err = w.WriteHeader(&h)
		}
		if err == nil {
			_, err = w.Write(data)
		}
	}
	add(tar.Header{Name: "metadata.yaml", Mode: 0o644}, []byte(metadata))
	for _, dir := range []string{"", "/sbin", "/dev", "/proc", "/sys", "/etc", "/tmp", "/run", "/extra"} {
		add(tar.Header{Typeflag: tar.TypeDir, Name: "rootfs" + dir + "/", Mode: 0o755}, nil)
	}
	add(tar.Header{Name: "rootfs/sbin/init", Mode: 0o755}, init)
	if err == nil {
		err = w.Close()
	}
	return b.Bytes(), err
}
