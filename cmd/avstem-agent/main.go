// Command avstem-agent observes a hypervisor host: it publishes what the
// collectors see, or prints it. It is flags and wiring: what it does is in the
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
