package files

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/sourcetest"
)

func TestConformance(t *testing.T) {
	sourcetest.Run(t, func(t *testing.T) *sourcetest.Backend {
		dir := filepath.Join(t.TempDir(), "inventory")
		name := filepath.Join(dir, "all.json")
		return &sourcetest.Backend{
			Open: func(t *testing.T) sentral.Source {
				s, err := Open(dir)
				try(t, err)
				s.quiet, s.poll = 10*time.Millisecond, 50*time.Millisecond
				return s
			},
			Load: func(t *testing.T, records sourcetest.Records) {
				try(t, os.RemoveAll(dir+".away"), os.MkdirAll(dir, 0o755))
				try(t, os.WriteFile(filepath.Join(dir, ".new"), records.JSON(t), 0o644), os.Rename(filepath.Join(dir, ".new"), name))
			},
			Wrecks: []sourcetest.Wreck{
				{Name: "gone", Do: func(t *testing.T) { try(t, os.Rename(dir, dir+".away")) }, Says: "is not there: create it"},
				{Name: "empty", Do: func(t *testing.T) { try(t, os.Remove(name)) }, Says: "holds no *.yaml"},
			},
		}
	})
}
