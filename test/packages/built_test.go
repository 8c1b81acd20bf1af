package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// ours are the packages of this checkout, made once for all tests: deb and rpm of
// both programs. They are compressed little, to save time; AVSTEM_PACKAGES names a
// directory with some that were made before.
func ours(t *testing.T) string {
	t.Helper()
	dir, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var buildOnce = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv("AVSTEM_PACKAGES"); dir != "" {
		return dir, nil
	}
	return buildInto(scratch, "COMPRESSION=gzip:1")
})

// scratch is the directory of what all tests share.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "avstem-packages-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

// buildInto runs packaging/build with variables.
func buildInto(dir string, variables ...string) (string, error) {
	cmd := exec.Command("../../packaging/build", "amd64")
	cmd.Env = append(append(os.Environ(), "DIST="+dir), variables...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = &buildError{err, string(out)}
	}
	return dir, err
}

type buildError struct {
	err  error
	said string
}

func (e *buildError) Error() string { return "packaging/build: " + e.err.Error() + "\n" + e.said }

// read reads the only file of the name.
func read(t *testing.T, pattern string) []byte {
	t.Helper()
	data, err := os.ReadFile(only(t, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func debOf(t *testing.T, program string) []byte {
	return read(t, filepath.Join(ours(t), program+"_*.deb"))
}
