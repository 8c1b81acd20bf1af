package config

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Fill sets a key in the text of a file that doesn't set it: where the key stands
// commented, as [Example] writes it, and otherwise at the end. Everything else
// stays as it is.
func Fill(text, key, value string) (string, error) {
	line := key + ": " + value
	if !reads(line, value) {
		quoted, err := yaml.Marshal(value)
		if err != nil {
			return "", fmt.Errorf("write %s: %w", key, err)
		}
		line = key + ": " + strings.TrimSpace(string(quoted))
	}
	commented, err := regexp.Compile(`(?m)^#` + regexp.QuoteMeta(key) + `:.*$`)
	if err != nil {
		return "", fmt.Errorf("write %s: %w", key, err)
	}
	if at := commented.FindStringIndex(text); at != nil {
		return text[:at[0]] + line + text[at[1]:], nil
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + line + "\n", nil
}

// reads says whether a line is read as that value, as it stands.
func reads(line, value string) bool {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(line), &document); err != nil || len(document.Content) != 1 || len(document.Content[0].Content) != 2 {
		return false
	}
	node := document.Content[0].Content[1]
	return node.Kind == yaml.ScalarNode && node.Tag != "!!null" && node.Value == value
}
