// Package files reads Sentral's inventory from a directory of YAML and JSON
// files, as people keep it in git or a deployment mounts it.
//
// It exists so that avstem can be used without a running Sentral, and so that
// whoever writes such files by hand is told everything that is wrong with them
// at once, each with file, line, column and key. It knows what a document looks
// like; what makes a good record is in package sentral.
//
// How files are read:
//
//   - *.yaml, *.yml and *.json are searched in depth. Hidden files and
//     directories are left alone, and with them what editors and git keep there.
//     Links are followed, and one file is read once, by however many names.
//   - Unknown keys, duplicate keys and values of another kind are errors. The
//     record that has them is left out; its neighbours are used.
//   - In YAML, a number or date without quotes is taken as it is written where
//     text is wanted (version: 20261101). In JSON it is an error.
//   - Anchors, aliases and merge keys (<<) are understood.
//   - A file that has become unreadable (half written, most often) counts as it
//     was when it could last be read, and is reported. One that never could be
//     read makes the inventory incomplete.
//
// A Source may be used from several goroutines.
package files
