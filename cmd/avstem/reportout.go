package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/report"
	"github.com/dataverket/avstem/report/drift"
	"github.com/dataverket/avstem/statefile"
	"github.com/dataverket/avstem/statefile/asuser"
)

// reportOutput is a flag that takes a format, a place, or by turns both.
type reportOutput struct {
	format string // "" until it is known
	place  string // "" means standard output
}

var reportFormats = []string{"markdown", "html", "json", "csv"}

// endings are what files of each format end in.
var endings = map[string]string{"markdown": ".md", "html": ".html", "json": ".json", "csv": ".csv"}

// String implements pflag.Value.
func (o *reportOutput) String() string {
	return strings.TrimSpace(o.format + " " + o.place)
}

// Type implements pflag.Value.
func (o *reportOutput) Type() string { return "output" }

// Set implements pflag.Value.
func (o *reportOutput) Set(s string) error {
	switch word := strings.ToLower(s); {
	case slices.Contains(reportFormats, word):
		o.format = word
	case strings.ContainsAny(s, "./"):
		o.place = s
	default:
		return fmt.Errorf("want one of %s, or a file or directory, which has a slash or a dot in it", strings.Join(reportFormats, ", "))
	}
	return nil
}

// check settles the format.
func (o *reportOutput) check() error {
	if o.format == "" && o.place != "" && !o.isDir() {
		for format, ending := range endings {
			if strings.EqualFold(filepath.Ext(o.place), ending) {
				o.format = format
			}
		}
		if o.format == "" {
			return usageError{fmt.Errorf("--output %s: its ending tells no format: say which with -o markdown, html, json or csv", o.place)}
		}
	}
	switch {
	case o.format == "" && o.place == "":
		o.format = "markdown"
	case o.format == "":
		o.format = "html"
	}
	return nil
}

func (o *reportOutput) isDir() bool {
	info, err := os.Stat(o.place)
	return strings.HasSuffix(o.place, "/") || err == nil && info.IsDir()
}

func (o *reportOutput) write(a *app, r *drift.Report) error {
	write := map[string]func(io.Writer, *drift.Report) error{
		"markdown": report.DriftMarkdown, "html": report.DriftHTML, "json": report.DriftJSON, "csv": report.DriftCSV,
	}[o.format]
	if o.place == "" {
		return write(a.stdout, r)
	}
	path := o.place
	if o.isDir() {
		if err := asuser.Below(path, func() error { return os.MkdirAll(path, 0o755) }); err != nil {
			return fmt.Errorf("write to %s: %w", path, err)
		}
		path = filepath.Join(path, "avstem-"+selectionName(r.Site, r.Platform)+r.At.Format("20060102T150405Z")+endings[o.format])
	}
	// Others may read it, as they may what a shell redirects into a file.
	if err := replaceFile(path, 0o644, func(w io.Writer) error { return write(w, r) }); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout, path)
	return nil
}

// lastReport is where the last report of a selection is kept: with the state of the
// avstem up that is asked, else with this user's.
func (a *app) lastReport(conn *bus.Conn, site, platform string) string {
	dir := bus.StateDir(a.global.stateDir, a.env)
	if socket := conn.Socket(); socket != "" {
		dir = filepath.Dir(socket)
		if real, err := filepath.EvalSymlinks(dir); err == nil { // not the link that may lead elsewhere tomorrow
			dir = real
		}
	}
	return filepath.Join(dir, "reports", selectionName(site, platform)+"last.json")
}

// selectionName is a part of a file's name that tells selections apart: whatever a
// platform is called, it stays within its directory.
func selectionName(site, platform string) string {
	name := ""
	for _, w := range []string{site, platform} {
		if w == "" {
			continue
		}
		for _, c := range []byte(strings.ToLower(w)) {
			if ('a' <= c && c <= 'z') || ('0' <= c && c <= '9') {
				name += string(c)
			} else {
				name += fmt.Sprintf("_%02x", c)
			}
		}
		name += "-"
	}
	return name
}

// readBefore reads what changes are counted from: the report that was named, which
// must be there, or the kept one, without which it is the events.
func (a *app) readBefore(named, kept string, in *drift.Input) (*drift.Report, error) {
	if named == "" {
		before, err := readReport(kept)
		switch {
		case err == nil && before.Elsewhere(in.Store):
			in.Notes = append(in.Notes, "What changed is counted from the events, as the last report is of another server: "+kept)
			return nil, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			in.Notes = append(in.Notes, "What changed is counted from the events, as the last report can't be used: "+err.Error())
		}
		return before, nil
	}
	before, err := readReport(named)
	if err != nil {
		return nil, err
	}
	switch {
	case before.Site != in.Site:
		return nil, fmt.Errorf("read report %s: it is of %s, and this one of %s", named, siteWords(before.Site), siteWords(in.Site))
	case before.Platform != "" && before.Platform != in.Platform:
		return nil, fmt.Errorf("read report %s: it is of platform %s alone: add --platform %s", named, before.Platform, before.Platform)
	}
	if before.Elsewhere(in.Store) { // who names it may want just that
		in.Notes = append(in.Notes, "What changed is counted from the report of another server: "+named)
	}
	return before, nil
}

func siteWords(site string) string {
	if site == "" {
		return "every site"
	}
	return "site " + site
}

func readReport(path string) (*drift.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	defer f.Close()
	r, err := drift.Read(f)
	if err != nil {
		return nil, fmt.Errorf("read report %s: %w", path, err)
	}
	return r, nil
}

// replaceFile writes a file so that a reader gets the old one or the new one,
// whatever happens.
func replaceFile(path string, mode fs.FileMode, write func(io.Writer) error) error {
	var data bytes.Buffer
	err := write(&data)
	if err == nil {
		err = statefile.WriteMode(path, data.Bytes(), mode)
	}
	if err != nil {
		return keptOld(path, err)
	}
	return nil
}

// keptOld says that what was there is there still.
func keptOld(path string, err error) error {
	// What was being written is named by chance, and of no use to anybody.
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		err = at.Err
	}
	if info, statErr := os.Stat(path); statErr == nil {
		return fmt.Errorf("write %s: %w: the one of %s stays as it is", path, err, info.ModTime().UTC().Format(time.RFC3339))
	}
	return fmt.Errorf("write %s: %w", path, err)
}
