package auth

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nats-io/jwt/v2"

	"github.com/dataverket/avstem/statefile"
)

// config writes the server's configuration and what it includes.
func (m *maker) config() error {
	if err := statefile.MkdirAll(filepath.Join(m.setup.NATSDir, "accounts")); err != nil {
		return err
	}
	if err := m.keep(filepath.Join(m.setup.NATSDir, "accounts.conf"), "accounts that the server begins with", m.writeAccounts); err != nil {
		return err
	}
	if err := m.keep(filepath.Join(m.setup.NATSDir, "operator.jwt"), "operator, for the server", func(path string) error {
		data, err := os.ReadFile(m.file("operator.jwt"))
		if err != nil {
			return err
		}
		return statefile.Write(path, data)
	}); err != nil {
		return err
	}
	return m.keep(m.Config(), "NATS server's configuration", func(path string) error {
		text, err := m.serverConfig()
		if err != nil {
			return err
		}
		return statefile.Write(path, []byte(text))
	})
}

// writeAccounts writes what the server takes unless it has something newer.
func (d *Dir) writeAccounts(path string) error {
	var b strings.Builder
	b.WriteString("# Written by avstem auth.\nresolver_preload {\n")
	for _, name := range []string{"system.jwt", "account.jwt"} {
		token, id, err := d.readAccount(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "  %s: %q\n", id, token)
	}
	b.WriteString("}\n")
	return statefile.Write(path, []byte(b.String()))
}

func (d *Dir) readAccount(name string) (token, id string, err error) {
	data, err := os.ReadFile(d.file(name))
	if err != nil {
		return "", "", fmt.Errorf("read account: %w", err)
	}
	claims, err := jwt.DecodeAccountClaims(string(data))
	if err != nil {
		return "", "", fmt.Errorf("read account %s: %w", d.file(name), err)
	}
	return string(data), claims.Subject, nil
}

func (d *Dir) serverConfig() (string, error) {
	_, system, err := d.readAccount("system.jwt")
	if err != nil {
		return "", err
	}
	s := d.setup
	return fmt.Sprintf(`# The NATS server of avstem, nats-server 2.14.6 or newer.
# Written by avstem auth init; what you change here is written over by the next one.
server_name: %q
listen: %q
# What clients are told of this server: a name that its certificate has.
client_advertise: %q
max_payload: 1MB

jetstream {
  store_dir: %q
  # What was acknowledged survives a power cut.
  sync_interval: always
  strict: true
}

# Clients that don't speak TLS are refused before they have said who they are.
tls {
  cert_file: %q
  key_file: %q
  min_version: "1.2"
  timeout: 5
}

# Who may say what. Changes come by the system account (avstem auth revoke); those
# that were missed, from accounts.conf at the next start.
operator: %q
system_account: %s
resolver {
  type: full
  dir: %q
  allow_delete: false
  interval: "2m"
}
include "accounts.conf"
`, "avstem-"+s.Names[0], s.Listen, strings.TrimPrefix(d.Server(), "tls://"), s.StoreDir, s.Cert, s.Key,
		filepath.Join(s.NATSDir, "operator.jwt"), system, filepath.Join(s.NATSDir, "accounts")), nil
}

func checkListen(listen string) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("listen on %q: want ADDRESS:PORT: %w", listen, err)
	}
	if n, err := strconv.Atoi(port); err != nil || n < -1 || n > 65535 {
		return fmt.Errorf("listen on %q: %q is not a port", listen, port)
	}
	if host != "" && host != "localhost" && net.ParseIP(host) == nil {
		return fmt.Errorf("listen on %q: want an address of this machine, 0.0.0.0 for all", listen)
	}
	return nil
}

func serverURL(name, listen string) string {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		port = "4222"
	}
	return "tls://" + net.JoinHostPort(name, port)
}
