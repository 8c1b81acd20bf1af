package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/term"

	"github.com/dataverket/avstem/cmd/internal/config"
	"github.com/dataverket/avstem/cmd/internal/natsflags"
	"github.com/dataverket/avstem/report"
)

// app is what every command gets instead of the process's globals, so that a
// whole command line runs in a test's process.
type app struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	// env gives an environment variable, "" where it isn't set; where the
	// configuration file says what a variable may say, that stands in for it.
	// ownEnv is without the file.
	env    func(string) string
	ownEnv func(string) string
	now    func() time.Time

	// isTerminal says whether standard output is a terminal, errIsTerminal
	// whether standard error is: nothing that moves is written where they aren't.
	isTerminal    bool
	errIsTerminal bool
	width         int  // columns of a page for people
	color         bool // whether standard output may be coloured

	global     globalFlags
	where      natsflags.Flags
	configPath string       // --config
	file       *config.File // nil where there is none
	authDir    string       // --dir of the auth and enroll commands
}

// globalFlags are asked of every command that talks to a server.
type globalFlags struct {
	stateDir string // state directory of an `avstem up` on this machine
	site     string // "" means the default site, or for readers every site
}

// defaultWidth is used where standard output is no terminal, so that what a
// pipe or a file gets doesn't depend on who ran the command.
const defaultWidth = 100

func newApp(stdin io.Reader, stdout, stderr io.Writer, env func(string) string) *app {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, env: env, ownEnv: env, now: time.Now, width: defaultWidth}
	a.isTerminal, a.width = terminal(stdout)
	a.errIsTerminal, _ = terminal(stderr)
	// COLUMNS is for people whose terminal doesn't say, and for less and script.
	if n, err := strconv.Atoi(env("COLUMNS")); err == nil && n > 0 {
		a.width = n
	}
	// https://no-color.org: set and not empty, whatever it holds.
	a.color = a.isTerminal && env("NO_COLOR") == "" && env("TERM") != "dumb"
	return a
}

// terminal says whether a writer is one, and how wide it is.
func terminal(w io.Writer) (is bool, width int) {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return false, defaultWidth
	}
	columns, _, err := term.GetSize(int(file.Fd()))
	if err != nil || columns <= 0 {
		return true, defaultWidth
	}
	return true, columns
}

// notef tells the reader something beside the answer, on standard error.
func (a *app) notef(format string, args ...any) {
	fmt.Fprintln(a.stderr, report.Printable(fmt.Sprintf(format, args...)))
}
