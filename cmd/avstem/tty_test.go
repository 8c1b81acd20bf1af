package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal gives both ends of a new pseudo-terminal (ptmx(4)).
func openTerminal(t *testing.T, columns int) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(columns), Row: 24})
	}
	if err != nil {
		t.Fatal(err)
	}
	if slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// onTerminal runs a command with standard output on a terminal.
func onTerminal(t *testing.T, columns int, env map[string]string, args ...string) string {
	t.Helper()
	master, slave := openTerminal(t, columns)
	seen := make(chan string)
	go func() {
		var b bytes.Buffer
		// Reading ends with EIO when the last slave is closed (tty_ioctl(4)).
		_, _ = io.Copy(&b, master)
		seen <- b.String()
	}()
	code := run(context.Background(), args, nil, slave, io.Discard, func(name string) string { return env[name] })
	slave.Close()
	if text := <-seen; code == exitOK {
		return text
	} else {
		t.Fatalf("exit status %d: %s", code, text)
	}
	return ""
}

func TestColor(t *testing.T) {
	args := []string{"diff", "--intended", "testdata/fleet/inventory", "--observed", "testdata/fleet/hv-osl1-01.json"}
	tests := []struct {
		name string
		env  map[string]string
		want bool
	}{
		{"a terminal", nil, true},
		{"NO_COLOR", map[string]string{"NO_COLOR": "1"}, false},
		{"NO_COLOR that is empty", map[string]string{"NO_COLOR": ""}, true},
		{"a terminal that can't", map[string]string{"TERM": "dumb"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := strings.Contains(onTerminal(t, 100, test.env, args...), "\x1b["); got != test.want {
				t.Errorf("colour: %v, want %v", got, test.want)
			}
		})
	}
	var pipe bytes.Buffer
	if run(context.Background(), args, nil, &pipe, io.Discard, os.Getenv); strings.Contains(pipe.String(), "\x1b") {
		t.Error("what goes into a pipe is coloured")
	}
	if got := onTerminal(t, 100, nil, append(args, "-o", "json")...); strings.Contains(got, "\x1b") {
		t.Error("JSON is coloured")
	}
}

func TestWidthOfTheTerminal(t *testing.T) {
	args := []string{"diff", "--intended", "testdata/fleet/inventory", "--observed", "testdata/fleet/hv-osl1-01.json"}
	noColor := map[string]string{"NO_COLOR": "1"}
	narrow, wide := onTerminal(t, 60, noColor, args...), onTerminal(t, 200, noColor, args...)
	if widest(narrow) > 60 || widest(wide) <= 100 {
		t.Errorf("widest lines are %d on a terminal of 60 and %d on one of 200", widest(narrow), widest(wide))
	}
	noColor["COLUMNS"] = "90"
	if got := widest(onTerminal(t, 200, noColor, args...)); got > 90 {
		t.Errorf("widest line is %d with COLUMNS=90", got)
	}
}

func widest(text string) int {
	most := 0
	for line := range strings.Lines(text) {
		most = max(most, len([]rune(strings.TrimRight(line, "\r\n"))))
	}
	return most
}
