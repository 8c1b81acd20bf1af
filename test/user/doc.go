// Package user runs the agent as it ships on a real host, once as root and once
// as an ordinary user: what the user can't read must be said, with what to do
// about it, and nothing else may differ.
//
// It exists because each collector's own test of this can't see what the whole
// program leaves out.
package user
