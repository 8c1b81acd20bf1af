package natsflags

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/internal/config"
)

// Credentials of one place never go to a server that another one names.
func TestWhoseCredentialsGoWhere(t *testing.T) {
	dir := t.TempDir()
	secret := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	creds, token, open := secret("a.creds", "creds", 0o600), secret("token", "of the file\n", 0o600), secret("open", "x", 0o644)
	full := map[string]string{"server": "tls://file", "creds": creds, "token-file": token, "ca": "/file/ca.pem"}
	for name, test := range map[string]struct {
		flags Flags
		env   map[string]string
		file  map[string]string
		want  bus.Options
		err   string
	}{
		"nothing": {},
		"the file": {file: full, want: bus.Options{File: bus.Named{How: "/f", Server: "tls://file",
			Auth: bus.Auth{Creds: creds, Token: "of the file", CA: "/file/ca.pem"}}}},
		"a context in the file":         {file: map[string]string{"context": "lab"}, want: bus.Options{File: bus.Named{How: "/f", Context: "lab"}}},
		"a server on the command line":  {flags: Flags{Server: "tls://flag"}, file: full, want: bus.Options{Server: "tls://flag"}},
		"a context on the command line": {flags: Flags{Context: "lab"}, file: full, want: bus.Options{Context: "lab"}},
		"a server in the environment":   {env: map[string]string{"AVSTEM_SERVER": "tls://env"}, file: full},
		"a context in the environment":  {env: map[string]string{"AVSTEM_CONTEXT": "lab"}, file: full},
		"a flag beside the file": {flags: Flags{CA: "/flag/ca.pem"}, file: map[string]string{"server": "tls://file", "ca": "/file/ca.pem"},
			want: bus.Options{Auth: bus.Auth{CA: "/flag/ca.pem"}, File: bus.Named{How: "/f", Server: "tls://file", Auth: bus.Auth{CA: "/file/ca.pem"}}}},
		"in the clear by the environment": {flags: Flags{Server: "nats://far"}, env: map[string]string{"AVSTEM_INSECURE_PLAINTEXT_NATS": "true"},
			want: bus.Options{Server: "nats://far", InsecurePlaintext: true}},
		"in the clear by the file": {file: map[string]string{"server": "nats://far", "insecure-plaintext-nats": "true"},
			want: bus.Options{InsecurePlaintext: true, File: bus.Named{How: "/f", Server: "nats://far"}}},
		"in the clear by the file, for its own server": {flags: Flags{Server: "nats://flag"}, file: map[string]string{"server": "nats://far", "insecure-plaintext-nats": "true"},
			want: bus.Options{Server: "nats://flag"}},
		"in the clear by the environment, or not": {env: map[string]string{"AVSTEM_INSECURE_PLAINTEXT_NATS": "maybe"}, err: `AVSTEM_INSECURE_PLAINTEXT_NATS: "maybe" is neither true nor false`},
		"credentials without a server":            {file: map[string]string{"creds": creds}},
		"a credential of systemd's": {env: map[string]string{"CREDENTIALS_DIRECTORY": dir}, flags: Flags{Creds: "a.creds"},
			want: bus.Options{Auth: bus.Auth{Creds: creds}}},
		"an open file":                    {flags: Flags{Key: open}, err: "--key: refuse " + open},
		"an open file in the file":        {file: map[string]string{"server": "tls://file", "key": open}, err: "/f:1: key: refuse " + open},
		"an open file in the environment": {env: map[string]string{"AVSTEM_KEY": open}, err: "AVSTEM_KEY: refuse " + open},
	} {
		t.Run(name, func(t *testing.T) {
			var file *config.File
			if test.file != nil {
				file = &config.File{Path: "/f"}
				for key, value := range test.file {
					file.Values = append(file.Values, config.Value{Key: key, Line: 1, Text: []string{value}})
				}
			}
			got, err := test.flags.Options(file, func(name string) string { return test.env[name] })
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Fatalf("error is %v, want %q", err, test.err)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreFields(bus.Options{}, "Getenv")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
