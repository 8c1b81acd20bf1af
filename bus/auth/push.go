package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dataverket/avstem/bus"
)

// pushWithin is how long servers have to answer: how many there are isn't known.
const pushWithin = 3 * time.Second

// Push hands the account to the running servers, so that a revocation holds for
// who is connected now. Server is a URL, "" for [Dir.Server]. What isn't running
// finds it in accounts.conf when it starts.
func (d *Dir) Push(ctx context.Context, server string) error {
	token, _, err := d.readAccount("account.jwt")
	if err != nil {
		return err
	}
	if server == "" {
		server = d.Reachable()
	}
	conn, err := bus.Connect(ctx, bus.Options{Server: server, Auth: bus.Auth{Creds: d.SystemCreds(), CA: d.CA()}, Name: "avstem-auth"})
	if err != nil {
		return fmt.Errorf("hand the account to the server: %w", err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, pushWithin)
	defer cancel()
	reply, err := conn.NATS().RequestWithContext(ctx, "$SYS.REQ.CLAIMS.UPDATE", []byte(token))
	if errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("hand the account to the server: it keeps no accounts: is %s its configuration?", d.Config())
	}
	if err != nil {
		return fmt.Errorf("hand the account to the server: %w", err)
	}
	var answer struct {
		Error *struct{ Description string } `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return fmt.Errorf("hand the account to the server: read its answer: %w", err)
	}
	if answer.Error != nil {
		return fmt.Errorf("hand the account to the server: it says: %s", answer.Error.Description)
	}
	return nil
}

// Reachable is where the server may be reached from this machine: by its name, and
// by loopback where the certificate holds for that.
func (d *Dir) Reachable() string {
	server := d.Server()
	if slices.Contains(d.setup.Names[1:], "127.0.0.1") {
		server += "," + serverURL("127.0.0.1", d.setup.Listen)
	}
	return server
}
