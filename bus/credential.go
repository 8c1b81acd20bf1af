package bus

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// Tags of the user JWTs that avstem issues. They tell a client what it may rely
// on; what it may do is for the server to say.
const (
	// TagIssued is on all of them: their inbox is [InboxPrefix] of their name.
	TagIssued = "avstem"
	// TagHost is on those of hosts, which reach JetStream by publishing alone: a
	// request to its API carries any reply subject, and the server would put its
	// answer there, a document of the sender's choice among them.
	TagHost = "avstem-host"
)

// InboxPrefix is where the answers to a named user of NATS go.
func InboxPrefix(name string) string { return "_INBOX_" + name }

// credential is what a credentials file says of itself. Nothing here is proof: the
// server checks it.
type credential struct {
	Name string `json:"name"`
	NATS struct {
		Tags []string `json:"tags"`
	} `json:"nats"`
}

func (c credential) has(tag string) bool { return slices.Contains(c.NATS.Tags, tag) }

// inbox is the prefix that the credential allows, "" for the client's usual one.
func (c credential) inbox() string {
	if !c.has(TagIssued) || CheckName("name", c.Name) != nil {
		return ""
	}
	return InboxPrefix(c.Name)
}

// Credentials is the option of nats.go for a credentials file, which is read again
// at each connect, and for the inbox that goes with one of avstem's.
func Credentials(path string) (nats.Option, error) {
	c, err := readCredential(path)
	if err != nil {
		return nil, err
	}
	return func(o *nats.Options) error {
		if inbox := c.inbox(); inbox != "" {
			o.InboxPrefix = inbox
		}
		return nats.UserCredentials(path)(o)
	}, nil
}

func readCredential(path string) (credential, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return credential{}, fmt.Errorf("read credentials: %w", err)
	}
	token, err := nkeys.ParseDecoratedJWT(data)
	if err != nil {
		return credential{}, fmt.Errorf("read credentials %s: %w", path, err)
	}
	c, err := parseCredential(token)
	if err != nil {
		return credential{}, fmt.Errorf("read credentials %s: %w", path, err)
	}
	return c, nil
}

func parseCredential(token string) (credential, error) {
	parts := strings.Split(strings.TrimSpace(token), ".")
	if len(parts) != 3 {
		return credential{}, fmt.Errorf("it is no JWT: it has %d parts and not 3", len(parts))
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return credential{}, fmt.Errorf("decode JWT: %w", err)
	}
	var c credential
	if err := json.Unmarshal(body, &c); err != nil {
		return credential{}, fmt.Errorf("decode JWT: %w", err)
	}
	return c, nil
}
