package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// credentialsDir is the variable by which systemd tells a service where its
// credentials are (systemd.exec(5), Credentials).
const credentialsDir = "CREDENTIALS_DIRECTORY"

// ErrNoCredentials says that a secret is named as a credential of systemd's, and
// that this is no service that has any.
var ErrNoCredentials = errors.New("systemd gave no credentials")

// Secret finds the file of a secret: a path is that file, and a bare name is the
// credential of that name that systemd gave the service. A file that everybody
// may read or write is refused.
func Secret(value string, env func(string) string) (string, error) {
	if value == "" {
		return "", nil
	}
	path := value
	if !strings.ContainsRune(value, filepath.Separator) {
		dir := env(credentialsDir)
		if dir == "" {
			// As before there were credentials of systemd: a file in the working directory.
			if _, err := os.Stat(value); err != nil {
				return "", fmt.Errorf("find %s: a name without a / is a credential, and %w ($%s is not set): give the path of a file", value, ErrNoCredentials, credentialsDir)
			}
		} else {
			path = filepath.Join(dir, value)
		}
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && path != value:
		return "", fmt.Errorf("find %s: systemd gave this service no such credential: see LoadCredential= in its unit", value)
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("read %s: it is no file", path)
	}
	if open := info.Mode().Perm() & 0o007; open != 0 {
		return "", fmt.Errorf("refuse %s: everybody on this machine may read it (mode %04o): chmod o-rwx %s", path, info.Mode().Perm(), path)
	}
	return path, nil
}
