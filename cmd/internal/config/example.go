package config

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// columns is how wide a comment may get.
const columns = 78

// Example writes a file that says everything and sets nothing: each key with what
// it means and its default or an example, all of it comments.
func Example(keys *pflag.FlagSet, head string, examples map[string]string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSpace(head), "\n") {
		fmt.Fprintln(&b, strings.TrimSpace("# "+line))
	}
	keys.VisitAll(func(f *pflag.Flag) {
		what, usage := pflag.UnquoteUsage(f)
		text := strings.ToUpper(usage[:1]) + usage[1:]
		if f.DefValue != "" && f.DefValue != "[]" {
			text += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(&b, "\n%s#%s: %s\n", wrap(text+"."), f.Name, exampleValue(f, what, examples))
	})
	return b.String()
}

// exampleValue is the default where there is one, and otherwise something of the
// kind that is wanted.
func exampleValue(f *pflag.Flag, what string, examples map[string]string) string {
	if f.DefValue != "" && f.DefValue != "[]" && f.DefValue != "0s" {
		return f.DefValue
	}
	if value := examples[f.Name]; value != "" {
		return value
	}
	value := map[string]string{
		"DIR": "/srv/avstem", "FILE": "/etc/avstem/" + f.Name + ".pem", "SOCKET": "/run/avstem/" + f.Name,
		"URL": "tls://nats.example.net", "URI": "qemu:///system", "DURATION": "30s", "duration": "30s", "ADDRESS": "127.0.0.1:4222",
		"int": "1", "bool": "true",
	}[what]
	if value == "" {
		value = "example"
	}
	if isList(f) {
		return "[" + value + "]"
	}
	return value
}

// wrap makes a comment of a text.
func wrap(text string) string {
	var b strings.Builder
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > columns {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
	return b.String()
}
