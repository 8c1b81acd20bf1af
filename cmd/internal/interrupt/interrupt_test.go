package interrupt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is also the program that is interrupted: it never ends by itself.
func TestMain(m *testing.M) {
	if os.Getenv("STUBBORN") == "" {
		os.Exit(m.Run())
	}
	ctx, stop := Context()
	defer stop()
	fmt.Println("runs")
	<-ctx.Done()
	_, is := Of(ctx)
	fmt.Println("interrupted", is)
	time.Sleep(time.Hour)
}

func TestTheSecondSignalEndsItAtOnce(t *testing.T) {
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), "STUBBORN=1")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line := func() string {
		buffer := make([]byte, 100)
		n, _ := out.Read(buffer)
		return strings.TrimSpace(string(buffer[:n]))
	}
	for _, want := range []string{"runs", "interrupted true"} {
		if got := line(); got != want {
			t.Fatalf("it says %q, want %q", got, want)
		}
		if err := c.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
	}
	exit, is := errors.AsType[*exec.ExitError](c.Wait())
	if !is || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT {
		t.Errorf("it ended by %v", exit)
	}
}

func TestStatus(t *testing.T) {
	if got := (Error{os.Interrupt}).Status(); got != 130 {
		t.Errorf("SIGINT is %d", got)
	}
	if got := (Error{syscall.SIGTERM}).Status(); got != 143 {
		t.Errorf("SIGTERM is %d", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, is := Of(ctx); is {
		t.Error("a context that was cancelled counts as interrupted")
	}
	ctx, stop := Context()
	stop()
	if _, is := Of(ctx); is {
		t.Error("one that was stopped counts as interrupted")
	}
}
