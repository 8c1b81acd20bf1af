package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/bundle"
	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/avstem/internal/names"
	"github.com/dataverket/avstem/cmd/internal/buildinfo"
	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/history"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/report"
)

const bundleLong = `Write everything that is needed to debug one VM, host or finding elsewhere into
one file: the documents of the hosts concerned, the records concerned, the
policy, the findings with their history, and what avstem explain says.

Passwords, tokens and keys are taken out of every text; of a VM or finding, so
is what other VMs on its hosts show. The manifest says what was left out, and
whether what is left still gives the findings that the reconciler has.

avstem diff --bundle FILE and avstem explain --bundle FILE read it, without a
server. It is a zip file with JSON in it: read it before you send it.`

func newBundleCommand(a *app) *cobra.Command {
	var name, format string
	c := &cobra.Command{
		Use:   "bundle VM|HOST|FINDING",
		Short: "Write all that a mismatch rests on into one file",
		Long:  bundleLong,
		Example: `  avstem bundle web-01
  avstem bundle f-u7uce8j3vo702d73 -f ticket-4711.zip
  avstem explain --bundle ticket-4711.zip`,
		Args: oneArgument("VM, host or finding"),
		RunE: func(c *cobra.Command, args []string) error { return a.bundle(c.Context(), args[0], name, format) },
	}
	c.Flags().StringVarP(&name, "file", "f", "", "`FILE` to write (default avstem-NAME-TIME.zip); - is standard output")
	c.Flags().VarP(choiceflag.New(&format, "text", "json"), "output", "o", "`FORMAT` of what is said about it: text or json, the manifest")
	return c
}

func (a *app) bundle(ctx context.Context, query, name, format string) error {
	doing := fmt.Sprintf("bundle %q", query)
	conn, err := a.connect(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	defer conn.Close()
	s, err := a.subjectOf(ctx, conn, query)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	b, err := a.makeBundle(ctx, conn, s, query)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	var data bytes.Buffer
	if err := bundle.Write(&data, b); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if name == "-" {
		_, err := a.stdout.Write(data.Bytes())
		return err
	}
	if name == "" {
		name = fmt.Sprintf("avstem-%s-%s.zip", fileName(s.thing.Name), b.Manifest.Made.Format("20060102T150405Z"))
	}
	// It holds what a site looks like.
	err = replaceFile(name, 0o600, func(w io.Writer) error { _, err := w.Write(data.Bytes()); return err })
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return a.tellBundle(b, name, data.Len(), format)
}

var unfit = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

func fileName(name string) string {
	return strings.Trim(filepath.Base(unfit.ReplaceAllString(name, "-")), ".-")
}

func (a *app) tellBundle(b *bundle.Bundle, name string, size int, format string) error {
	if format == "json" {
		enc := json.NewEncoder(a.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(&b.Manifest)
	}
	fmt.Fprintf(a.stdout, "wrote %s: %d bytes, %s, %s\n", report.Printable(name), size, count(len(b.Observed), "document"), count(len(b.Findings), "finding"))
	for _, what := range b.Manifest.LeftOut {
		fmt.Fprintf(a.stdout, "  left out: %s\n", report.Printable(what))
	}
	if b.Manifest.Reproduces {
		fmt.Fprintln(a.stdout, "  it gives the findings that the reconciler has")
		return nil
	}
	fmt.Fprintln(a.stdout, "  it does not give the findings that the reconciler has:")
	for _, what := range b.Manifest.Differs {
		fmt.Fprintf(a.stdout, "    %s\n", report.Printable(what))
	}
	return nil
}

// makeBundle gathers, and narrows as far as the findings stay what they are.
func (a *app) makeBundle(ctx context.Context, conn *bus.Conn, s *subject, query string) (*bundle.Bundle, error) {
	in, line, err := a.currentInput(ctx, conn, s)
	if err != nil {
		return nil, err
	}
	bundled := func(in *reconcile.Input, left []string) (*bundle.Bundle, error) {
		b := &bundle.Bundle{Timeline: line.Timeline, Events: line.Events, Explanation: s.explanation, Findings: s.explanation.Findings}
		b.Set(in)
		b.Manifest = bundle.Manifest{
			Made: a.now().UTC().Truncate(time.Second), By: buildinfo.Read().Version, Site: s.site, Query: query,
			Subject: bundle.Subject{Thing: s.thing}, LeftOut: append([]string{}, left...),
		}
		if len(b.Findings) == 1 && b.Findings[0].ID == query {
			b.Manifest.Subject.Finding = query
		}
		return b, b.Seal()
	}
	narrow, left := bundle.Narrow(in, &s.thing, s.explanation)
	b, err := bundled(narrow, left)
	if err != nil || b.Manifest.Reproduces {
		return b, err
	}
	// What was left out was needed: rather too much than a bundle that tells
	// something else.
	whole, err := bundled(in, []string{"nothing else of the hosts and records concerned: without other VMs' the findings would not be the same"})
	if err != nil || !whole.Manifest.Reproduces {
		return b, err
	}
	return whole, nil
}

// currentInput reads both books, as far as they are concerned, and asks the
// reconciler for the rest.
func (a *app) currentInput(ctx context.Context, conn *bus.Conn, s *subject) (*reconcile.Input, *report.PastOf, error) {
	if s.explanation.VM != nil && s.explanation.VM.Observed == nil {
		if err := s.addEveryHost(ctx, conn); err != nil { // each could have it
			return nil, nil, err
		}
	}
	line, err := a.timeline(ctx, conn, s)
	if err != nil {
		return nil, nil, err
	}
	hosts := s.hostIDs()
	if hosts == nil {
		hosts = []uuid.UUID{}
	}
	question, err := json.Marshal(hosts)
	if err != nil {
		return nil, nil, err
	}
	answer, err := ask(ctx, conn, s.site, "input", question)
	if err != nil {
		return nil, nil, err
	}
	var rest bundle.Rest
	if err := json.Unmarshal(answer, &rest); err != nil {
		return nil, nil, fmt.Errorf("site %s: decode the answer: %w", s.site, err)
	}
	if version := line.Books.Inventory().Version; version != rest.Inventory.Version {
		a.notef("the records in it may be older than those that the reconciler uses: it hasn't written all of them down yet")
	}
	b := bundle.Bundle{Rest: rest, Intended: line.Books.Inventory()}
	b.Rest.Inventory.Problems, b.Rest.Inventory.LeftOut = b.Intended.Problems, b.Intended.LeftOut
	for _, e := range line.Books.Observed() {
		b.Observed = append(b.Observed, e.Document)
	}
	return b.Input(), line, nil
}

// openBundle reads a bundle from a file.
func (a *app) openBundle(name string) (*bundle.Bundle, error) {
	var r io.Reader = a.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("read bundle: %w", err)
		}
		defer f.Close()
		r = f
	}
	data, err := io.ReadAll(io.LimitReader(r, bundle.MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read bundle %s: %w", name, err)
	}
	if len(data) > bundle.MaxFile {
		return nil, fmt.Errorf("read bundle %s: it is larger than %d bytes, which no bundle is", name, bundle.MaxFile)
	}
	b, err := bundle.Read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, what := range b.Manifest.Differs {
		a.notef("the bundle doesn't give what the reconciler had: %s", what)
	}
	return b, nil
}

// explainBundle explains what is in a bundle, its own subject unless another is
// asked for.
func (a *app) explainBundle(name, query, format string) error {
	b, err := a.openBundle(name)
	if err != nil {
		return err
	}
	if query == "" {
		query = b.Manifest.Query
	}
	result, findings := b.Judge()
	e, err := reconcile.Explain(result, findings, b.Rest.Now, query)
	if errors.Is(err, reconcile.ErrNotKnown) {
		return fmt.Errorf("explain %q: the bundle, which is about %s, has nothing of that name", query, b.Manifest.Query)
	} else if err != nil {
		return err
	}
	c := offline(e)
	c.History = map[string][]history.Event{}
	for _, event := range b.Events {
		c.History[event.Finding.ID] = append(c.History[event.Finding.ID], event)
	}
	return a.writeExplanation(c, format)
}

// offline is a case that no server stands behind.
func offline(e *reconcile.Explanation) *report.Case {
	c := report.NewCase(e)
	c.Offline = true
	return c
}

// diffBundle judges what is in a bundle.
func (a *app) diffBundle(name string, asked *selection, out *findingsOutput) error {
	b, err := a.openBundle(name)
	if err != nil {
		return err
	}
	result, findings := b.Judge()
	known := names.Of(b.Intended, result, findings)
	if err := asked.unknown(&known); err != nil {
		return err
	}
	return out.write(a, asked.apply(findings), report.Options{Filter: asked.words(), Now: b.Rest.Now})
}
