// Package interrupt ends a program in order when somebody or something asks it to, by
// SIGINT or SIGTERM.
//
// It exists so that all programs leave the same exit status then, and so that whoever
// asks twice needn't wait. It knows nothing of what the program does.
package interrupt

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Error is the cause of a context's end.
type Error struct{ Signal os.Signal }

func (e Error) Error() string { return "interrupted" }

// Is says that it is [context.Canceled], which whoever ends in order takes for no
// failure.
func (e Error) Is(target error) bool { return target == context.Canceled }

// Status is what a shell says of a program that a signal ended: 130 for SIGINT.
func (e Error) Status() int {
	if number, is := e.Signal.(syscall.Signal); is {
		return 128 + int(number)
	}
	return 1
}

// In says what an interrupted command couldn't do, in the words of its error.
func (e Error) In(err error) string {
	text := strings.ReplaceAll(err.Error(), context.Canceled.Error(), e.Error())
	if !strings.Contains(text, e.Error()) {
		text += ": " + e.Error()
	}
	return text
}

// Context ends at the first signal; the second one ends the program at once. Stop
// lets signals be what they were.
func Context() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case s := <-asked:
			signal.Stop(asked)
			cancel(Error{s})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(asked)
		cancel(nil)
	}
}

// Of says whether a context ended since the program was asked to end.
func Of(ctx context.Context) (Error, bool) { return errors.AsType[Error](context.Cause(ctx)) }
