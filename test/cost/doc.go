// Package cost measures what one whole pass of the agent costs on a host of a
// real size, beside what people use to see parts of the same: ip, lsblk and
// fusioninventory-agent.
//
// It exists as a benchmark and never as a timed test: "make bench-host" runs it.
// It uses loop devices of the machine, which it lets go of at the end, and a rig
// for all else.
package cost
