// Package policy reads what an operator has decided about the judging itself:
// severities, graces, tolerances, limits and suppressions, as one YAML or JSON
// document that is kept in git. docs/policy.md explains every key.
//
// Parse is a pure function of bytes: it knows no files and no clock, and what is
// wrong is said with file, line and key, all of it at once. A document with a
// fault gives no policy: half a policy would judge by rules that nobody wrote.
package policy
