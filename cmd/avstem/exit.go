package main

import "errors"

// The exit statuses, which scripts rely on (CONTRACTS.md §5).
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
	exitDrift = 3 // --fail-on found something that severe
)

// usageError is a command line that can't be understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// driftError says that --fail-on found something. The answer has been written
// by then, so it is not printed.
type driftError struct{}

func (driftError) Error() string { return "there is drift that --fail-on asked about" }

// exitCode is the status that an error asks for.
func exitCode(err error) int {
	_, usage := errors.AsType[usageError](err)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, driftError{}):
		return exitDrift
	case usage:
		return exitUsage
	}
	return exitError
}
