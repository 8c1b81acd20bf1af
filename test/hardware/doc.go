// Package hardware proves the host's identity on machines: the agent as it ships
// runs on emulated PCs whose boards, NICs, disks and TPMs are exchanged, copied
// and left without proper serial numbers. It has only tests.
package hardware
