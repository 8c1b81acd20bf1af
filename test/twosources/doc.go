// Package twosources proves on a real libvirt that one VM which two sources show
// is one VM: by the daemon's word and by its QEMU process. It exists because the
// collectors don't know each other, and the reconciler knows no runtime. It has
// no code but tests.
package twosources
