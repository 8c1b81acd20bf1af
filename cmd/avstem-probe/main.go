// Command avstem-probe drives a throwaway VM through its life on a runtime, and
// writes what it took and whether the VM stayed itself. It is the one program of
// avstem that changes anything on a host, and no package of the agent's carries
// it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if os.Getpid() == 1 { // the init of a container that it has made
		rest()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv)
	stop()
	os.Exit(code)
}

// rest waits until it is told to end, as the daemons of containers tell an init.
func rest() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGPWR, syscall.SIGTERM, os.Interrupt)
	<-told
}
