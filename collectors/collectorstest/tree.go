package collectorstest

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// Tree unpacks a txtar file into a new directory and returns it, to be the root
// of a collector: a host, captured or made up. Beside plain files it knows
//
//	-- path -> target --   a symbolic link
//	-- path/ --            an empty directory
//	-- path (hex) --       a file whose content is written in hexadecimal
func Tree(t testing.TB, archive string) string {
	t.Helper()
	parsed, err := txtar.ParseFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, f := range parsed.Files {
		if err := unpack(root, f); err != nil {
			t.Fatalf("unpack %s of %s: %v", f.Name, archive, err)
		}
	}
	return root
}

func unpack(root string, f txtar.File) error {
	name, target, isLink := strings.Cut(f.Name, " -> ")
	name, isHex := strings.CutSuffix(name, " (hex)")
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	switch {
	case isLink:
		return os.Symlink(target, path)
	case strings.HasSuffix(name, "/"):
		return os.MkdirAll(path, 0o755)
	case isHex:
		data, err := hex.DecodeString(strings.Join(strings.Fields(string(f.Data)), ""))
		if err != nil {
			return err
		}
		f.Data = data
	}
	return os.WriteFile(path, f.Data, 0o644)
}
