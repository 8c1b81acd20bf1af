// The compare program puts libvirt, QEMU and LXD beside each other on this
// machine, and writes what avstem makes of them. "make compare-runtimes" runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/dataverket/avstem/test/compare"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	build := flag.String("bin", "bin", "`DIR` of avstem and avstem-probe")
	attested := flag.String("attested", "docs/examples/attestations.yaml", "`FILE` of attestations")
	out := flag.String("out", "comparison", "`DIR` for what is written")
	flag.Parse()
	dir, err := os.MkdirTemp("", "avstem-rig-compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // a start that has not begun leaves it
	began := time.Now()
	err = compare.Run(ctx, dir, *build, *attested, *out, func(format string, args ...any) {
		fmt.Printf("%5.1f s  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	})
	if err != nil {
		return err
	}
	for _, name := range []string{"platforms.txt", "evaluate.txt"} {
		text, err := os.ReadFile(filepath.Join(*out, name))
		if err != nil {
			return err
		}
		fmt.Printf("\n%s", text)
	}
	page, err := filepath.Abs(filepath.Join(*out, "comparison.html"))
	if err != nil {
		return err
	}
	fmt.Printf("\nThe page with all of it: %s\n", page)
	return nil
}
