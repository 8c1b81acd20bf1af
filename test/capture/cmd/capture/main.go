// The capture program writes what the agent's collectors read of this host, or of
// one below another root, to standard output, scrubbed. Run it as root: what it
// may not read is left out.
package main

import (
	"fmt"
	"os"

	"github.com/dataverket/avstem/test/capture"
)

func main() {
	if len(os.Args) > 2 || len(os.Args) == 2 && os.Args[1][0] == '-' {
		fmt.Fprintln(os.Stderr, "usage: capture [ROOT] >FILE.txtar")
		os.Exit(2)
	}
	root := "/"
	if len(os.Args) == 2 {
		root = os.Args[1]
	}
	if err := capture.Take(root, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "capture:", err)
		os.Exit(1)
	}
}
