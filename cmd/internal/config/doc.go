// Package config gives flags their values from the environment and from one
// YAML file, and tells where each came from.
//
// There is one rule and no list of keys: a key of the file is a flag's name
// (`state-dir`), and its variable is AVSTEM_ before that in capitals
// (AVSTEM_STATE_DIR). A flag goes before its variable, and that before the file.
// What a flag takes is checked by the flag itself, so that a mistake reads the
// same wherever it is made. The package knows no flag by name.
//
// Nothing here is kept between calls; the functions may be called from anywhere.
package config
