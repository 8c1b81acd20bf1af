package setup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/dataverket/avstem/cmd/internal/config"
	"github.com/dataverket/avstem/statefile"
	"github.com/dataverket/avstem/statefile/asuser"
)

// Setting is a key of the configuration file and what it is to be.
type Setting struct{ Key, Value string }

// Settings sets keys in the configuration file, or in the example where there is
// none. A key that is set to something else is an error, and nothing is written.
func (s *Setup) Settings(path, example string, keys *pflag.FlagSet, want []Setting) error {
	data, err := os.ReadFile(path)
	did, text := Changed, string(data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		did, text = Made, example
	case err != nil:
		return fmt.Errorf("read configuration: %w", err)
	}
	file, problems := config.Parse(path, []byte(text), keys)
	if len(problems) > 0 {
		return &config.FileError{Path: path, Problems: problems}
	}
	var filled []string
	for _, set := range want {
		value, is := file.Lookup(set.Key)
		switch {
		case is && len(value.Text) == 1 && value.Text[0] == set.Value:
			continue
		case is:
			return fmt.Errorf("write configuration: %s:%d: %s is set to %s, and is to be %s: change that line, or remove it, and run this again",
				path, value.Line, set.Key, strings.Join(value.Text, ","), set.Value)
		}
		if text, err = config.Fill(text, set.Key, set.Value); err != nil {
			return err
		}
		filled = append(filled, set.Key+": "+set.Value)
	}
	if len(filled) == 0 {
		s.note(Kept, path, "settings of the service and of all commands on this machine")
		return nil
	}
	s.note(did, path, "settings: "+strings.Join(filled, ", "))
	if s.DryRun {
		return nil
	}
	if err := makeDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := statefile.Replace(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// Lend copies a file to where root has it and the service may read it.
func (s *Setup) Lend(from, to, what string) error {
	data, err := os.ReadFile(from)
	if err == nil {
		err = s.lend(data, to, what)
	}
	if err != nil {
		return fmt.Errorf("lend %s to user %s: %w", what, s.Owner.Name, err)
	}
	return nil
}

func (s *Setup) lend(data []byte, to, what string) error {
	did, err := is(to, data)
	if err != nil {
		return err
	}
	if did == Kept && s.Owner.CheckRead(to) != nil {
		did = Changed
	}
	s.note(did, to, what+", for user "+s.Owner.Name)
	if did == Kept || s.DryRun {
		return nil
	}
	if err := makeDir(filepath.Dir(to)); err != nil {
		return err
	}
	return statefile.Put(to, data, statefile.Access{Mode: 0o640, UID: -1, GID: s.Owner.GID})
}

// State puts data into a file below the service's state directory.
func (s *Setup) State(data []byte, to, what string) error {
	err := asuser.Below(filepath.Dir(to), func() error { return s.state(data, to, what) })
	if err != nil {
		return fmt.Errorf("give %s to user %s: %w", what, s.Owner.Name, err)
	}
	return nil
}

func (s *Setup) state(data []byte, to, what string) error {
	did, err := is(to, data)
	if err != nil {
		return err
	}
	s.note(did, to, what+", for user "+s.Owner.Name)
	if did == Kept || s.DryRun {
		return nil
	}
	if err := statefile.MkdirAll(filepath.Dir(to)); err != nil {
		return err
	}
	return statefile.Write(to, data)
}

// is says what would become of a file that is to have data in it.
func is(path string, data []byte) (Did, error) {
	before, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Made, nil
	case err != nil:
		return "", err
	case bytes.Equal(before, data):
		return Kept, nil
	}
	return Changed, nil
}
