package embedded

import (
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/statefile"
	"github.com/dataverket/avstem/statefile/asuser"
)

// minRoom is what must be free for the streams to be made and for a host's
// documents to fit, in bytes.
const minRoom = 16 << 20

// prepareDir makes the directory, for its owner alone. Root's server works in none
// that a user decides about: all of NATS writes there, and a link that the user puts
// in its way leads it to any file, while the user's own server can't read what root's
// has made.
func prepareDir(dir string) error {
	if os.Geteuid() == 0 {
		owner, err := asuser.OwnerOf(dir)
		if err != nil {
			return fmt.Errorf("make state directory: %w: choose another with --state-dir", err)
		}
		if owner.UID != 0 {
			return fmt.Errorf("state directory %s is another user's (%s), who could lead what root writes there elsewhere: run this as that user, or choose another with --state-dir", dir, userName(owner.UID))
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make state directory: %w: choose another with --state-dir", err)
	}
	return nil
}

func userName(id int) string {
	text := strconv.Itoa(id)
	if u, err := user.LookupId(text); err == nil {
		return u.Username
	}
	return text
}

// lockDir takes the state directory for this process. The kernel lets go of the
// lock when the process ends, however it ends.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock state directory: %w: choose another with --state-dir", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(lock)
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("state directory %s is in use by process %s: stop that one, or choose another with --state-dir",
				dir, cmp.Or(strings.TrimSpace(string(holder)), "(unknown)"))
		}
		return nil, fmt.Errorf("lock state directory: flock %s: %w", path, err)
	}
	// The PID is for people; a disk too full to take it is reported next.
	if err := lock.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(lock, "%d\n", os.Getpid())
	}
	return lock, nil
}

// checkRoom refuses a directory whose file system is full.
func checkRoom(dir string) error {
	free, err := available(dir)
	if err != nil {
		return err
	}
	if free < minRoom {
		return fmt.Errorf("state directory %s has %s free and needs %s: make room, or choose another with --state-dir; what it holds is left as it is",
			dir, inventory.Bytes(free), inventory.Bytes(minRoom))
	}
	return nil
}

// available is what an unprivileged writer may still use, in bytes (statfs(2)).
func available(dir string) (uint64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", dir, err)
	}
	return stat.Bavail * uint64(stat.Bsize), nil
}

// storeLimit is how much the streams may hold: what they hold now and three
// quarters of what is free, so that a full stream is refused by the server, in
// words, before the disk is full.
func storeLimit(dir string) (int64, error) {
	free, err := available(dir)
	if err != nil {
		return 0, err
	}
	var held int64
	err = filepath.WalkDir(filepath.Join(dir, "jetstream"), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			held += info.Size()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("measure the streams in the state directory: %w", err)
	}
	return held + int64(free/4*3), nil
}

// loadToken reads the token, and makes it the first time.
func loadToken(path string) (string, error) {
	data, err := os.ReadFile(path)
	switch token := strings.TrimSpace(string(data)); {
	case err == nil && len(token) >= 32:
		// One that was copied with other rights is ours alone again.
		return token, os.Chmod(path, 0o600)
	case err == nil:
		return "", fmt.Errorf("read %s: it holds no token: remove it, and a new one is made", path)
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("read token: %w", err)
	}
	token := make([]byte, 32)
	_, _ = rand.Read(token) // never fails (crypto/rand)
	text := hex.EncodeToString(token)
	if err := statefile.Write(path, []byte(text+"\n")); err != nil {
		return "", fmt.Errorf("make token: %w", err)
	}
	return text, nil
}

func sameToken(given, want string) bool {
	return subtle.ConstantTimeCompare([]byte(given), []byte(want)) == 1
}

// setLink points the link at the directory, whatever it pointed at.
func setLink(link, dir string) error {
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return fmt.Errorf("link to the state directory: %w", err)
	}
	next := fmt.Sprintf("%s.%d", link, os.Getpid())
	_ = os.Remove(next) // of a process with our PID that died here
	if err := os.Symlink(dir, next); err != nil {
		return fmt.Errorf("link to the state directory: %w", err)
	}
	if err := os.Rename(next, link); err != nil {
		return fmt.Errorf("link to the state directory: %w", errors.Join(err, os.Remove(next)))
	}
	return nil
}

// removeLink removes the link if it is still ours: another `avstem up` may have
// been started since.
func removeLink(link, dir string) {
	if to, err := os.Readlink(link); err == nil && to == dir {
		_ = os.Remove(link)
	}
}
