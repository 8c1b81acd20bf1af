// Package natsflags are the flags that say where the NATS server is and how to
// get in, for both programs, and what the configuration file says of that.
//
// They are apart from other flags since they belong together: credentials of one
// place are never sent to a server that another place names. So the command line
// and the environment leave the file's server and the file's credentials alone
// when they name a server of their own. Package bus looks and connects; this one
// gathers and checks. A [Flags] is used by one goroutine.
package natsflags

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/internal/config"
)

// Flags are the command line's.
type Flags struct {
	Server, Context  string
	Creds, TokenFile string
	CA, Cert, Key    string
	// Plaintext lets everything go over the network in the clear. It counts for the
	// server that is named where this is.
	Plaintext bool

	plaintext *pflag.Flag
}

// credentials are the names of those that say how to get in, plaintext of the one
// that says what may go unseen.
func credentials() []string { return []string{"creds", "token-file", "ca", "cert", "key"} }

const plaintext = "insecure-plaintext-nats"

// Secrets are those of Names whose files nobody else may read.
func Secrets() []string { return []string{"creds", "token-file", "key"} }

// Names are the flags, which [config.Apply] is to leave alone.
func Names() []string {
	return append([]string{"server", "context", plaintext}, credentials()...)
}

// Add adds the flags to a command's.
func (f *Flags) Add(flags *pflag.FlagSet) {
	flags.StringVar(&f.Server, "server", "", "NATS server `URL`; several with commas")
	flags.StringVar(&f.Context, "context", "", "NATS context `NAME`, as the nats command keeps them")
	flags.StringVar(&f.Creds, "creds", "", "NATS credentials `FILE`")
	flags.StringVar(&f.TokenFile, "token-file", "", "`FILE` with the server's token")
	flags.StringVar(&f.CA, "ca", "", "`FILE` of the certificate authorities that are trusted")
	flags.StringVar(&f.Cert, "cert", "", "`FILE` of the client's certificate")
	flags.StringVar(&f.Key, "key", "", "`FILE` of the client certificate's key")
	flags.BoolVar(&f.Plaintext, plaintext, false, "let everything go over the network in the clear")
	f.plaintext = flags.Lookup(plaintext)
}

// Elsewhere says whether the command line or the environment names a server, so
// that what the file says of one counts for nothing.
func (f *Flags) Elsewhere(env func(string) string) bool {
	return f.Server != "" || f.Context != "" || env("AVSTEM_SERVER") != "" || env("AVSTEM_CONTEXT") != ""
}

// Options are what bus.Connect is to be called with. Files of secrets are looked
// at, so that one that anybody can read is refused before it is used.
func (f *Flags) Options(file *config.File, env func(string) string) (bus.Options, error) {
	given := map[string]string{"creds": f.Creds, "token-file": f.TokenFile, "ca": f.CA, "cert": f.Cert, "key": f.Key}
	fromFlags, err := auth(func(name string) (string, string) {
		if given[name] == "" {
			return env(config.Variable(name)), config.Variable(name)
		}
		return given[name], "--" + name
	}, env)
	if err != nil {
		return bus.Options{}, err
	}
	o := bus.Options{Server: f.Server, Context: f.Context, Auth: fromFlags, Getenv: env}
	if f.Elsewhere(env) {
		file = nil
	}
	if o.InsecurePlaintext, err = f.inTheClear(file, env); err != nil || file == nil {
		return o, err
	}
	server, where := file.First("server"), file.Path
	if server == "" && file.First("context") == "" {
		// Credentials without a server are for the one that is found.
		return o, nil
	}
	fromFile, err := auth(func(name string) (string, string) {
		value, _ := file.Lookup(name)
		return file.First(name), fmt.Sprintf("%s:%d: %s", file.Path, value.Line, name)
	}, env)
	if err != nil {
		return bus.Options{}, err
	}
	o.File = bus.Named{How: where, Server: server, Context: file.First("context"), Auth: fromFile}
	return o, nil
}

// inTheClear says whether everything may be: by the flag, else the environment, else
// the file.
func (f *Flags) inTheClear(file *config.File, env func(string) string) (bool, error) {
	if f.Plaintext || f.plaintext != nil && f.plaintext.Changed {
		return f.Plaintext, nil
	}
	name := config.Variable(plaintext)
	text := env(name)
	if text == "" {
		name, text = plaintext, file.First(plaintext)
	}
	if text == "" {
		return false, nil
	}
	is, err := strconv.ParseBool(text)
	if err != nil {
		return false, &config.VariableError{Name: name, Err: fmt.Errorf("%q is neither true nor false", text)}
	}
	return is, nil
}

// auth reads the files of secrets that a place names; look gives a name's value
// and what to call it.
func auth(look func(name string) (value, how string), env func(string) string) (bus.Auth, error) {
	values := map[string]string{}
	for _, name := range credentials() {
		value, how := look(name)
		if slices.Contains(Secrets(), name) {
			path, err := config.Secret(value, env)
			if err != nil {
				return bus.Auth{}, fmt.Errorf("%s: %w", how, err)
			}
			value = path
		}
		values[name] = value
	}
	a := bus.Auth{Creds: values["creds"], CA: values["ca"], Cert: values["cert"], Key: values["key"]}
	if path := values["token-file"]; path != "" {
		token, err := os.ReadFile(path)
		if err != nil {
			return bus.Auth{}, fmt.Errorf("read the server's token: %w", err)
		}
		a.Token = string(bytes.TrimSpace(token))
	}
	return a, nil
}
