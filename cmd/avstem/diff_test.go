package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"
)

// Ctrl-C ends a diff that waits for a standard input to which nobody writes.
func TestDiffCanBeInterruptedWhileItReads(t *testing.T) {
	stdin, writer := io.Pipe()
	defer writer.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var stderr strings.Builder
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"diff", "--intended", "../../docs/examples/inventory", "--observed", "-"}, stdin, io.Discard, &stderr, func(string) string { return "" })
	}()
	select {
	case code := <-ended:
		if code != exitError || !strings.Contains(stderr.String(), "read observations from -: context deadline exceeded") {
			t.Errorf("exit status %d, and it says: %s", code, stderr.String())
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it still reads")
	}
}
