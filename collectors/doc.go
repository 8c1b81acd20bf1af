// Package collectors is the seam between avstem and the sources of truth on a
// host: the [Collector] interface, the [Builder] that a collector fills, and
// the [Runner] that runs one.
//
// A collector only fetches and says what it saw; everything that would
// otherwise be written in each of them (deadline, panic, timing, ordering,
// stamping, refusing misuse) is the runner's and the builder's. Its failure is
// data in the observation, never fatal. Collectors live in packages below this
// one, import inventory and this package only, and never each other.
//
// A Runner runs one pass at a time; several Runners may run at once.
package collectors
