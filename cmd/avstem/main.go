// Command avstem holds what hypervisor hosts show against what Sentral says,
// and shows where they differ. It is flags and wiring: what it does is in the
// packages that it calls.
package main

import (
	"os"

	"github.com/dataverket/avstem/cmd/internal/interrupt"
)

func main() {
	ctx, stop := interrupt.Context()
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv)
	stop()
	os.Exit(code)
}
