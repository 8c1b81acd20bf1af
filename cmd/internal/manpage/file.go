package manpage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// File is a configuration file, as its page tells of it.
type File struct {
	Name   string // of the page: avstem-agent.yaml
	Path   string // where the file is
	Of     string // the program that reads it
	Head   string // what the file itself says first
	Long   string // what the config command says of it
	Keys   *pflag.FlagSet
	Reload []string // keys that a running program takes when it is told to reload
}

// filePage is the page of a configuration file, in section 5. Its keys are those of
// "config example", with the same words.
func filePage(f File, variable func(key string) string, version string, at time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 5 %s \"avstem %s\" avstem\n", strings.ToUpper(escape(f.Name)), at.Format(time.DateOnly), escape(short(version)))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- configuration file of %s\n.SH SYNOPSIS\n.I %s\n", escape(f.Name), escape(f.Of), escape(f.Path))
	b.WriteString(".SH DESCRIPTION\n" + paragraphs(f.Long+"\n\n"+f.Head))
	b.WriteString(".SH KEYS\n")
	f.Keys.VisitAll(func(k *pflag.Flag) {
		what, usage := pflag.UnquoteUsage(k)
		fmt.Fprintf(&b, ".TP\n\\fB%s\\fR: \\fI%s\\fR\n%s.", escape(k.Name), escape(kind(k, what)), escape(strings.ToUpper(usage[:1])+usage[1:]))
		if set(k) {
			fmt.Fprintf(&b, " The default is %s.", escape(k.DefValue))
		}
		if slices.Contains(f.Reload, k.Name) {
			b.WriteString(" Taken on a reload.")
		}
		fmt.Fprintf(&b, " Variable: %s.\n", escape(variable(k.Name)))
	})
	fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s config example    # every key, none set\n%[1]s config check\n%[1]s config show\n.fi\n", escape(f.Of))
	fmt.Fprintf(&b, ".SH SEE ALSO\n.BR %s (1),\n.BR %[1]s\\-config (1)\n", escape(f.Of))
	return b.String()
}

// kind is what a key's value is, in one word.
func kind(k *pflag.Flag, what string) string {
	switch _, list := k.Value.(pflag.SliceValue); {
	case k.Value.Type() == "bool":
		return "true or false"
	case list:
		return "[" + what + ", ...]"
	case what == "":
		return "value"
	}
	return what
}

// set says whether a flag has a default worth telling.
func set(k *pflag.Flag) bool {
	return !slices.Contains([]string{"", "[]", "false", "0s", "0"}, k.DefValue)
}
