package report

import (
	"io"
	"strings"

	"github.com/dataverket/avstem/reconcile"
)

// Markdown writes findings as a table of GitHub Flavored Markdown, each on a row
// of its own, under the line that counts them.
func Markdown(w io.Writer, findings []reconcile.Finding, o Options) error {
	findings = sorted(findings)
	var b strings.Builder
	b.WriteString(inMarkdown(summary(findings, &o)) + "\n")
	if len(findings) > 0 {
		b.WriteString("\n| Severity | Kind | Subject | Host | Field | Intended | Observed | What it means | Since | ID |\n")
		b.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	}
	names := newNamer(findings)
	for i := range findings {
		b.WriteString(markdownRow(&findings[i], names))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func markdownRow(f *reconcile.Finding, names namer) string {
	severity := string(f.Severity)
	if marks := doubts(f); marks != "" {
		severity += " (" + marks + ")"
	}
	_, _, leaf := splitPath(f.Field)
	intended, observed := sides(f.Intended, f.Observed, leaf)
	since := f.Since
	if since.IsZero() {
		since = f.FirstSeen
	}
	cells := []string{severity, string(f.Kind), names.name(&f.Subject), f.Subject.Host, f.Field,
		intended, observed, f.Message, second(since), f.ID}
	for i := range cells {
		cells[i] = inMarkdown(cells[i])
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// special are the characters with which Markdown or HTML begins something, of
// ASCII punctuation (CommonMark 2.4 lets each be escaped). A colon and an at
// sign would make a link of an address, and can only be written as entities.
var special = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "{", `\{`, "}", `\}`, "[", `\[`, "]", `\]`,
	"<", "&lt;", ">", "&gt;", "&", "&amp;", "#", `\#`, "~", `\~`, "|", `\|`, "!", `\!`, "$", `\$`,
	"://", "&#58;//", "@", "&#64;", "www.", "www&#46;",
)

// commandInMarkdown writes a command as code in a table, which readers can copy at a
// click. Code can't hold a backtick, nor a table's cell a bar.
func commandInMarkdown(s string) string {
	if s = printable(s); strings.ContainsAny(s, "`|\\") {
		return inMarkdown(s)
	}
	return "`" + s + "`"
}

// inMarkdown writes a text so that it is shown as it is.
func inMarkdown(s string) string { return special.Replace(printable(s)) }
