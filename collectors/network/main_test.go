package network

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

var update = flag.Bool("update", false, "rewrite the golden files from what was seen")

// TestMain is also what the test binary does when a test runs it again: as
// another user, or as the first process of a guest.
func TestMain(m *testing.M) {
	flag.Parse()
	switch role := os.Getenv("AVSTEM_TEST_ROLE"); role {
	case "":
		os.Exit(m.Run())
	case roleObserve:
		observeAndPrint()
	case roleWatch:
		watchAndPrint()
	case roleSRIOV:
		sriovMain()
	default:
		fmt.Fprintf(os.Stderr, "AVSTEM_TEST_ROLE %q is none\n", role)
		os.Exit(2)
	}
}

const (
	roleObserve = "observe"
	roleWatch   = "watch"
	roleSRIOV   = "sriov"
)

// observeAndPrint makes one pass as whoever it runs as.
func observeAndPrint() {
	c := &Collector{Root: os.Getenv("AVSTEM_TEST_ROOT")}
	o := (&collectors.Runner{Collector: c}).Run(context.Background())
	if err := json.NewEncoder(os.Stdout).Encode(o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// watchAndPrint prints each change that it is told of, until its standard input
// ends.
func watchAndPrint() {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	err := (&Collector{}).Watch(ctx, func(c collectors.Change) { fmt.Println(c.Entity, c.Event) })
	if !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func collect(t testing.TB, c *Collector) *inventory.Observation {
	t.Helper()
	return (&collectors.Runner{Collector: c, Timeout: time.Minute}).Run(t.Context())
}

// seen is the part of an observation that is the same each time.
type seen struct {
	Outcome  inventory.Outcome
	Complete bool
	Problems []inventory.Problem `json:",omitempty"`
	inventory.Body
}

func seenIn(o *inventory.Observation) seen {
	return seen{o.Outcome, o.Complete, o.Problems, o.Body}
}

// settleTime is how long the kernel may take to come to rest.
const settleTime = 10 * time.Second

// golden holds what look gives to a golden file. Where the kernel reports some
// states (operState) a moment after their cause, look is asked again until they
// agree or settle has passed.
func golden(t *testing.T, file string, settle time.Duration, look func() *inventory.Observation) {
	t.Helper()
	path := filepath.Join("testdata", file)
	want, _ := os.ReadFile(path) // none is another difference
	var got []byte
	for deadline := time.Now().Add(settle); ; time.Sleep(20 * time.Millisecond) {
		var err error
		if got, err = json.MarshalIndent(seenIn(look()), "", "  "); err != nil {
			t.Fatal(err)
		}
		got = append(got, '\n')
		if bytes.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			break
		}
	}
	if !*update {
		t.Fatalf("%s (-want +got; -update rewrites it):\n%s", path, cmp.Diff(string(want), string(got)))
	}
	if err := os.WriteFile(path, got, 0o644); err != nil {
		t.Fatal(err)
	}
}

func linkNamed(t testing.TB, o *inventory.Observation, name string) inventory.Link {
	t.Helper()
	for _, l := range o.Links {
		if l.Name == name {
			return l
		}
	}
	t.Fatalf("no link %q among %d", name, len(o.Links))
	return inventory.Link{}
}
