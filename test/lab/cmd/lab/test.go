package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// needsLab gives the packages whose tests run on hosts or kernels of their own.
const needsLab = `{{range .TestImports}}{{if or (eq . "github.com/dataverket/avstem/test/lab") (eq . "github.com/dataverket/avstem/test/guest")}}{{$.ImportPath}}
{{end}}{{end}}`

// labPackages have the lab's and the guests' own tests, which import nothing.
var labPackages = []string{"github.com/dataverket/avstem/test/lab", "github.com/dataverket/avstem/test/guest"}

// test runs what needs a lab and says what each case proved.
func (p *program) test(ctx context.Context) error {
	list := exec.CommandContext(ctx, "go", "list", "-f", needsLab, "./...")
	list.Stderr = os.Stderr
	found, err := list.Output()
	if err != nil {
		return fmt.Errorf("list the tests that need a lab: %w", err)
	}
	packages := append(labPackages, strings.Fields(string(found))...)
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json", "-count=1", "-p=1", "-timeout=40m"}, packages...)...)
	cmd.Env = append(os.Environ(), "AVSTEM_LAB=full")
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) } // go test passes it on
	cmd.WaitDelay = time.Minute
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s := newScore(p.out)
	readErr := s.read(events)
	runErr := cmd.Wait()
	p.say("\n%d cases proved, %d failed", s.proved, s.failed)
	switch {
	case s.failed > 0:
		return fmt.Errorf("%d cases failed", s.failed)
	case runErr != nil:
		return fmt.Errorf("go test: %w", runErr)
	}
	return readErr
}

// event is a line of go test -json (go doc test2json).
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

// score makes a line of each case that ends.
type score struct {
	out            io.Writer
	said           map[string]*bytes.Buffer // of each test
	parents        map[string]bool          // tests that have cases of their own
	failedIn       map[string]bool          // packages
	proved, failed int
}

func newScore(out io.Writer) *score {
	return &score{out: out, said: map[string]*bytes.Buffer{}, parents: map[string]bool{}, failedIn: map[string]bool{}}
}

func (s *score) read(events io.Reader) error {
	for decoder := json.NewDecoder(events); ; {
		var e event
		switch err := decoder.Decode(&e); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read what go test says: %w", err)
		}
		s.take(e)
	}
}

func (s *score) take(e event) {
	id := e.Package + " " + e.Test
	switch e.Action {
	case "start":
		fmt.Fprintf(s.out, "\n%s\n", strings.TrimPrefix(e.Package, "github.com/dataverket/avstem/"))
	case "run":
		for i, c := range e.Test {
			if c == '/' {
				s.parents[e.Package+" "+e.Test[:i]] = true
			}
		}
	case "output", "build-output":
		if s.said[id] == nil {
			s.said[id] = &bytes.Buffer{}
		}
		s.said[id].WriteString(e.Output)
	case "pass":
		if e.Test != "" && !s.parents[id] {
			s.proved++
			fmt.Fprintf(s.out, "  proved  %-78s %6.1f s\n", sentence(e.Test), e.Elapsed)
		}
		delete(s.said, id)
	case "fail", "skip", "build-fail": // a case that was left out is not proved
		s.fail(e, id)
	}
}

// fail shows what a test said. One whose cases failed is no case itself, and a
// package without a failed case didn't come to run them.
func (s *score) fail(e event, id string) {
	what := sentence(e.Test)
	if e.Test == "" {
		if s.failedIn[e.Package] || e.Action == "skip" { // nothing to test there
			return
		}
		what = "the package's tests ran"
	}
	s.failedIn[e.Package] = true
	if !s.parents[id] {
		s.failed++
		fmt.Fprintf(s.out, "  FAILED  %-78s %6.1f s\n", what, e.Elapsed)
	}
	if said := s.said[id]; said != nil {
		for line := range strings.Lines(said.String()) {
			fmt.Fprint(s.out, "          ", line)
		}
	}
}

// sentence reads a test's name as what it proves: the case where it has a name
// of its own words.
func sentence(test string) string {
	function, rest, isCase := strings.Cut(test, "/")
	var words strings.Builder
	for i, c := range strings.TrimPrefix(function, "Test") {
		if i > 0 && c >= 'A' && c <= 'Z' {
			words.WriteByte(' ')
		}
		words.WriteRune(c)
	}
	if !isCase {
		return words.String()
	}
	return words.String() + ": " + strings.ReplaceAll(rest, "_", " ")
}
