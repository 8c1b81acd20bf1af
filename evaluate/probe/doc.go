// Package probe drives a throwaway VM through its life on a real runtime and
// times when each step became visible, and whether the VM was still the same one
// afterwards.
//
// It is the one part of avstem that changes anything on a host, and so it is
// linked into a binary of its own (cmd/avstem-probe) and into no other. What it
// makes bears [Prefix] in its name and nothing else is ever touched: a [Driver]
// looks only for that when it cleans up, so what a killed probe left behind is
// found by the next.
//
// What is seen is what avstem's own collector of the runtime sees, by passes and
// by the events of its watch. The package decides nothing about what a result is
// worth: that is package evaluate's.
package probe
