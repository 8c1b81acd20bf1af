// Package vmidentity proves what is said of VMs' identities on real libvirt: VMs
// that are cloned, renamed, restored under another UUID, moved and copied to a
// second host, on two private libvirtds that stand for two hosts. It has only
// tests.
package vmidentity
