// Package guest runs one program on another machine than the one that tests run
// on: under a kernel that has what this one lacks, on hardware that a test
// chooses. It needs root and Debian's packages; nothing is left behind but a
// kernel in the user's cache directory.
package guest
