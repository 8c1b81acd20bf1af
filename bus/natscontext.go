package bus

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// natsContext is a context as the nats command keeps it (nats-io/jsm.go,
// natscontext), as far as it concerns a connection.
type natsContext struct {
	URL             string `json:"url"`
	Creds           string `json:"creds"`
	NKey            string `json:"nkey"`
	User            string `json:"user"`
	Password        string `json:"password"`
	Token           string `json:"token"`
	CA              string `json:"ca"`
	Cert            string `json:"cert"`
	Key             string `json:"key"`
	InboxPrefix     string `json:"inbox_prefix"`
	JetStreamDomain string `json:"jetstream_domain"`
}

func contextDir(getenv func(string) string) string {
	base := getenv("XDG_CONFIG_HOME")
	if base == "" {
		base = filepath.Join(getenv("HOME"), ".config")
	}
	return filepath.Join(base, "nats")
}

// selectedContext is the context that `nats context select` chose, or "".
func selectedContext(getenv func(string) string) (string, error) {
	data, err := os.ReadFile(filepath.Join(contextDir(getenv), "context.txt"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the selected NATS context: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

func loadContext(name string, getenv func(string) string) (target, error) {
	if name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return target{}, fmt.Errorf("read NATS context: %q is not the name of one", name)
	}
	path := contextFile(name, getenv)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return target{}, fmt.Errorf("read NATS context %s: there is no %s: `nats context ls` lists what there is", name, path)
	}
	if err != nil {
		return target{}, fmt.Errorf("read NATS context %s: %w", name, err)
	}
	c, err := parseContext(data, getenv("HOME"))
	if err != nil {
		return target{}, fmt.Errorf("read NATS context %s: %w", path, err)
	}
	return target{
		url:    c.URL,
		auth:   Auth{Creds: c.Creds, User: c.User, Password: c.Password, Token: c.Token, CA: c.CA, Cert: c.Cert, Key: c.Key},
		nkey:   c.NKey,
		inbox:  c.InboxPrefix,
		domain: c.JetStreamDomain,
	}, nil
}

func parseContext(data []byte, home string) (natsContext, error) {
	var c natsContext
	if err := json.Unmarshal(data, &c); err != nil {
		return natsContext{}, err
	}
	if c.URL == "" {
		return natsContext{}, errors.New("it has no url")
	}
	for _, path := range []*string{&c.Creds, &c.NKey, &c.CA, &c.Cert, &c.Key} {
		if rest, found := strings.CutPrefix(*path, "~/"); found {
			*path = filepath.Join(home, rest)
		}
	}
	return c, nil
}

// ContextFiles are what a NATS context rests on: its own file, and by their key in it
// those that it names. They are for who lends it to another user.
func ContextFiles(name string, getenv func(string) string) (own string, named map[string]string, err error) {
	t, err := loadContext(name, getenv)
	if err != nil {
		return "", nil, err
	}
	named = map[string]string{}
	for key, path := range map[string]string{"creds": t.auth.Creds, "nkey": t.nkey, "ca": t.auth.CA, "cert": t.auth.Cert, "key": t.auth.Key} {
		if path != "" {
			named[key] = path
		}
	}
	return contextFile(name, getenv), named, nil
}

func contextFile(name string, getenv func(string) string) string {
	return filepath.Join(contextDir(getenv), "context", name+".json")
}
