package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/embedded"
	"github.com/dataverket/avstem/inventory"
)

var update = flag.Bool("update", false, "write the golden screens anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"avstem": main})
}

// The scripts run the whole program, one behaviour each.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("AVSTEM_STATE_DIR", filepath.Join(env.WorkDir, "state"))
			env.Setenv("AVSTEM_CONFIG", "none")
			env.Setenv("AVSTEM_RUN_LINK", filepath.Join(env.WorkDir, "current"))
			env.Setenv("HOME", env.WorkDir)
			return link(env, "fleet")
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"await":    await,
			"nats":     startNATS,
			"findings": putFindings,
			"events":   putEvents,
			"publish":  publish,
			"now":      putNow,
			"owned":    owned,

			"samefindings": sameFindings,
			"findingid":    findingID,
		},
	})
}

// link puts a directory of testdata into the script's own.
func link(env *testscript.Env, name string) error {
	from, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		return err
	}
	return os.Symlink(from, filepath.Join(env.WorkDir, name))
}

// exits CODE PROGRAM ARGS… runs a program that must end with the status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS…")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit status %d, want %s", code, args[0])
	}
}

// await REGEXP ARGS… runs avstem with the arguments until it writes what matches.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: await REGEXP ARGS…")
	}
	want := regexp.MustCompile(args[0])
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		var out bytes.Buffer
		run(context.Background(), args[1:], nil, &out, &out, ts.Getenv)
		if want.Match(out.Bytes()) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("avstem %s never wrote %s, last:\n%s", strings.Join(args[1:], " "), args[0], out.String())
		}
	}
}

// startNATS runs a server in the state directory, as avstem up does.
func startNATS(ts *testscript.TestScript, _ bool, _ []string) {
	server, err := embedded.Start(context.Background(), embedded.Options{StateDir: ts.Getenv("AVSTEM_STATE_DIR")})
	ts.Check(err)
	ts.Defer(server.Close)
	conn := connect(ts)
	defer conn.Close()
	ts.Check(conn.EnsureStreams(context.Background()))
}

func connect(ts *testscript.TestScript) *bus.Conn {
	conn, err := bus.Connect(context.Background(), bus.Options{Name: "test", Getenv: ts.Getenv})
	ts.Check(err)
	return conn
}

// owned DIR USER holds a directory and all that is in it to belonging to the user.
func owned(ts *testscript.TestScript, _ bool, args []string) {
	want, err := user.Lookup(args[1])
	ts.Check(err)
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if uid := info.Sys().(*syscall.Stat_t).Uid; fmt.Sprint(uid) != want.Uid {
			return fmt.Errorf("%s belongs to user %d, want %s", path, uid, want.Uid)
		}
		return nil
	}))
}

// putNow VARIABLE sets it to the time.
func putNow(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], time.Now().UTC().Format(time.RFC3339Nano))
}

// sameFindings A B holds two explanations to the same findings, but for when they
// were seen last.
func sameFindings(ts *testscript.TestScript, _ bool, args []string) {
	var both [2]string
	for i, name := range args {
		var e struct {
			Findings []map[string]any `json:"findings"`
		}
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(name)), &e))
		if len(e.Findings) == 0 {
			ts.Fatalf("%s has no finding", name)
		}
		for _, f := range e.Findings {
			delete(f, "lastSeen")
		}
		text, err := json.MarshalIndent(e.Findings, "", " ")
		ts.Check(err)
		both[i] = string(text)
	}
	if both[0] != both[1] {
		ts.Fatalf("%s has\n%s\n%s has\n%s", args[0], both[0], args[1], both[1])
	}
}

var agoMark = regexp.MustCompile(`\{ago ([0-9a-z]+)\}`)

// readAged reads a file in which {ago 12m} stands for such a time.
func readAged(ts *testscript.TestScript, name string) []byte {
	return agoMark.ReplaceAllFunc([]byte(ts.ReadFile(name)), func(mark []byte) []byte {
		d, err := time.ParseDuration(string(agoMark.FindSubmatch(mark)[1]))
		ts.Check(err)
		return []byte(time.Now().Add(-d).UTC().Format(time.RFC3339))
	})
}

// putFindings FILE puts findings on their stream, as the reconciler does.
func putFindings(ts *testscript.TestScript, _ bool, args []string) {
	conn := connect(ts)
	defer conn.Close()
	var findings []json.RawMessage
	ts.Check(json.Unmarshal(readAged(ts, args[0]), &findings))
	for _, f := range findings {
		var id struct{ ID string }
		ts.Check(json.Unmarshal(f, &id))
		subject, err := bus.FindingSubject("osl1", id.ID)
		ts.Check(err)
		_, err = conn.JetStream().Publish(context.Background(), subject, f)
		ts.Check(err)
	}
}

// putEvents FILE tells of findings, as the reconciler does.
func putEvents(ts *testscript.TestScript, _ bool, args []string) {
	conn := connect(ts)
	defer conn.Close()
	var events []struct {
		Action  bus.DriftAction
		At      time.Time
		Finding json.RawMessage
	}
	ts.Check(json.Unmarshal(readAged(ts, args[0]), &events))
	for i, e := range events {
		var f struct{ ID, Kind string }
		ts.Check(json.Unmarshal(e.Finding, &f))
		ts.Check(conn.PublishDrift(context.Background(), bus.DriftEvent{ID: fmt.Sprintf("%s-%d", f.ID, i), Action: e.Action, Kind: f.Kind,
			Site: "osl1", Subject: f.ID, Time: e.At, Finding: e.Finding}))
	}
}

// findingID KIND sets $FINDING to the ID of a finding of that kind on the stream.
func findingID(ts *testscript.TestScript, _ bool, args []string) {
	conn := connect(ts)
	defer conn.Close()
	all, err := conn.Findings(context.Background())
	ts.Check(err)
	for _, data := range all {
		var f struct{ ID, Kind string }
		ts.Check(json.Unmarshal(data, &f))
		if f.Kind == args[0] {
			ts.Setenv("FINDING", f.ID)
			return
		}
	}
	ts.Fatalf("no finding is of kind %s", args[0])
}

// publishing is the one start of an agent whose documents the scripts publish.
var publishing = uuid.MustParse("6f1c0000-0000-4000-8000-00000000a9e7")

// publish FILE… publishes observations, as agents do.
func publish(ts *testscript.TestScript, _ bool, args []string) {
	conn := connect(ts)
	defer conn.Close()
	publisher := conn.NewPublisher(publishing)
	for _, name := range args {
		observations, err := inventory.DecodeObservations(strings.NewReader(ts.ReadFile(name)), 1<<20)
		ts.Check(err)
		for _, o := range observations {
			ts.Check(publisher.Publish(context.Background(), o))
		}
	}
}
