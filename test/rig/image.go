package rig

import (
	"fmt"
	"os"
	"path"
	"strconv"
)

// haltingSector is a master boot record whose program is cli; hlt; jmp to the
// hlt. A guest that boots it is running and takes no CPU time.
var haltingSector = func() (s [512]byte) {
	copy(s[:], []byte{0xfa, 0xf4, 0xeb, 0xfd})
	s[510], s[511] = 0x55, 0xaa
	return s
}()

// ImagePath is where an image of that name is, as seen inside.
func ImagePath(name string) string { return path.Join(imagesPath, name) }

// CreateImage makes an empty qcow2 image of size bytes among the rig's images and
// returns its path inside. With a backing image, which is named likewise, it is a layer over
// it.
func (r *Rig) CreateImage(name string, size int64, backing string) (string, error) {
	args := []string{"create", "-q", "-f", "qcow2"}
	if backing != "" {
		args = append(args, "-b", ImagePath(backing), "-F", "qcow2")
	}
	at := ImagePath(name)
	_, err := r.Run("qemu-img", append(args, at, strconv.FormatInt(size, 10))...)
	return at, err
}

// CreateBootImage makes a qcow2 image of size bytes from which a guest boots and halts at
// once, and returns its path inside. Guests over a layer of it do the same.
func (r *Rig) CreateBootImage(name string, size int64) (string, error) {
	at := ImagePath(name)
	raw := at + ".raw"
	defer os.Remove(r.Outside(raw))
	if err := os.WriteFile(r.Outside(raw), haltingSector[:], 0o600); err != nil {
		return "", fmt.Errorf("create boot image: %w", err)
	}
	if err := os.Truncate(r.Outside(raw), size); err != nil {
		return "", fmt.Errorf("create boot image: %w", err)
	}
	_, err := r.Run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, at)
	return at, err
}
