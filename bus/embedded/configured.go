package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/dataverket/avstem/bus"
)

// Configured is a server that runs by a configuration file, as nats-server does.
type Configured struct {
	nats     *server.Server
	path     string
	accounts server.AccountResolver
}

// CheckConfig reads a configuration file as nats-server does, and says what is
// wrong with it.
func CheckConfig(path string) error {
	_, err := readConfig(path)
	return err
}

func readConfig(path string) (*server.Options, error) {
	options, err := server.ProcessConfigFile(path)
	if err != nil {
		return nil, fmt.Errorf("read NATS configuration: %w", err)
	}
	options.NoSigs = true
	return options, nil
}

// StartConfigured runs a server by its configuration file, and returns when it
// takes connections.
func StartConfigured(ctx context.Context, path string, logger *slog.Logger) (_ *Configured, err error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	options, err := readConfig(path)
	if err != nil {
		return nil, err
	}
	if options.Host != "" && options.Port > 0 {
		if err := tryListen(options.Host, options.Port); err != nil {
			return nil, fmt.Errorf("start NATS server of %s: %w", path, err)
		}
	}
	nats, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("start NATS server of %s: %w", path, err)
	}
	if err := startAndWait(ctx, nats, logger); err != nil {
		nats.Shutdown()
		nats.WaitForShutdown()
		return nil, fmt.Errorf("start NATS server of %s: %w", path, err)
	}
	return &Configured{nats: nats, path: path, accounts: options.AccountResolver}, nil
}

// Reload takes up what changed in the configuration and its certificates.
// Connections stay.
func (c *Configured) Reload() error {
	options, err := readConfig(c.path)
	if err == nil {
		// The store of accounts stays: reading the file opens a second one of the
		// same directory, which the server would compare with the first while that
		// one is at work.
		if other := options.AccountResolver; other != nil && c.accounts != nil {
			other.Close()
			options.AccountResolver = c.accounts
		}
		err = c.nats.ReloadOptions(options)
	}
	if err != nil {
		return fmt.Errorf("reload NATS server: %w", err)
	}
	return nil
}

// Connect connects within the process, with a credentials file.
func (c *Configured) Connect(name, creds string, logger *slog.Logger) (*bus.Conn, error) {
	who, err := bus.Credentials(creds)
	if err == nil {
		var conn *bus.Conn
		if conn, err = bus.Dial("", logger, "", nats.Name(name), nats.InProcessServer(c.nats), who); err == nil {
			return conn, nil
		}
	}
	return nil, fmt.Errorf("connect to the NATS server in this process: %w", err)
}

// URL is where it listens.
func (c *Configured) URL() string { return c.nats.ClientURL() }

// Close stops the server and waits until its streams are on disk.
func (c *Configured) Close() {
	c.nats.Shutdown()
	c.nats.WaitForShutdown()
}

// startAndWait starts a server and returns when it takes connections and JetStream
// is up.
func startAndWait(ctx context.Context, nats *server.Server, logger *slog.Logger) error {
	log := &natsLog{logger: logger, fatal: make(chan string, 1)}
	nats.SetLoggerV2(log, false, false, false)
	nats.Start()
	up := make(chan bool, 1)
	go func() { up <- nats.ReadyForConnections(readyWithin) }()
	for {
		select {
		case text := <-log.fatal:
			return errors.New(text)
		case <-ctx.Done():
			return ctx.Err()
		case ok := <-up:
			switch {
			case !ok:
				return fmt.Errorf("it takes no connections after %s", readyWithin)
			case !nats.JetStreamEnabled():
				return errors.New("JetStream is not up")
			}
			return nil
		}
	}
}
