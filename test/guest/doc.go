// Package guest runs a test on another machine than this one: under a kernel that
// has what this machine's lacks ([UML]), or on hardware that the test chooses
// ([PC]). It needs root and Debian's packages; nothing is left behind but a kernel
// in the user's cache directory.
package guest
