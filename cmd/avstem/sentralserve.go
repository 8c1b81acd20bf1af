package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/avstem/internal/source"
	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/report"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/httpapi"
)

const sentralServeLong = `Serve an inventory as Sentral's HTTP API (sentral/openapi.yaml): a reference
server, real enough for a lab to use in Sentral's place.

The files are read again whenever they change, and whoever listens to the events
is told. Records that can't be used are said to the readers, with file and line.

On an address that isn't loopback it wants TLS, and a token or client
certificates: whoever reads the inventory knows every machine, and whoever can
forge it decides what is drift.`

const sentralServeExample = `  # on this machine alone
  avstem sentral serve --inventory ./inventory
  curl http://127.0.0.1:8480/v1/inventory

  # for a lab
  avstem sentral serve --inventory /srv/inventory --listen :8480 \
    --tls-cert server.crt --tls-key server.key --token-file tokens

  # for those with a certificate of our CA
  avstem sentral serve --inventory /srv/inventory --listen :8480 \
    --tls-cert server.crt --tls-key server.key --client-ca ca.crt`

type sentralServeFlags struct {
	inventory         string
	listen            string
	tokenFile         string
	cert, key         string
	clientCA          string
	insecurePlaintext bool
	open              bool
	format            string
}

func newSentralServeCommand(a *app) *cobra.Command {
	var flags sentralServeFlags
	c := &cobra.Command{
		Use:     "serve --inventory DIR",
		Short:   "Serve an inventory as Sentral's HTTP API",
		Long:    sentralServeLong,
		Example: sentralServeExample,
		Args:    noArguments,
		RunE:    func(c *cobra.Command, _ []string) error { return a.sentralServe(c.Context(), &flags) },
	}
	f := c.Flags()
	f.StringVar(&flags.inventory, "inventory", "", inventoryUsage)
	f.StringVar(&flags.listen, "listen", "127.0.0.1:8480", "`ADDRESS` to listen on")
	f.StringVar(&flags.tokenFile, "token-file", "", "`FILE` of bearer tokens that are let in, one a line; read for each request")
	f.StringVar(&flags.cert, "tls-cert", "", "`FILE` with the server's certificate in PEM; read for each connection")
	f.StringVar(&flags.key, "tls-key", "", "`FILE` with the key of --tls-cert")
	f.StringVar(&flags.clientCA, "client-ca", "", "`FILE` with the CAs of the clients that are let in")
	f.BoolVar(&flags.insecurePlaintext, "plaintext-http-that-anybody-can-forge", false, "serve plain HTTP to other machines")
	f.BoolVar(&flags.open, "let-anybody-read-the-inventory", false, "ask neither for a token nor for a certificate")
	f.VarP(choiceflag.New(&flags.format, "text", "json"), "output", "o", "`FORMAT` of the first lines: text or json")
	return c
}

func (f *sentralServeFlags) check() error {
	host, _, err := net.SplitHostPort(f.listen)
	if err != nil {
		return usageError{fmt.Errorf("--listen %q: want HOST:PORT", f.listen)}
	}
	ip := net.ParseIP(host)
	loopback := host == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case f.inventory == "":
		return usageError{errors.New("avstem sentral serve wants --inventory DIR")}
	case (f.cert == "") != (f.key == ""):
		return usageError{errors.New("--tls-cert and --tls-key go together")}
	case f.clientCA != "" && f.cert == "":
		return usageError{errors.New("--client-ca wants --tls-cert and --tls-key: client certificates are a part of TLS")}
	case !loopback && f.cert == "" && !f.insecurePlaintext:
		return usageError{fmt.Errorf("--listen %s reaches other machines, and plain HTTP there can be read and forged by anybody on the way: give --tls-cert and --tls-key", f.listen)}
	case !loopback && f.tokenFile == "" && f.clientCA == "" && !f.open:
		return usageError{fmt.Errorf("--listen %s lets every machine that reaches it read the inventory: give --token-file or --client-ca", f.listen)}
	}
	return nil
}

// tls is what clients are shown and asked for, nil for plain HTTP.
func (f *sentralServeFlags) tls() (*tls.Config, error) {
	if f.cert == "" {
		return nil, nil
	}
	if _, err := source.ReadKeyPair(f.cert, f.key); err != nil {
		return nil, err
	}
	config := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return source.ReadKeyPair(f.cert, f.key) },
	}
	if f.clientCA == "" {
		return config, nil
	}
	pool, err := source.ReadCAs(f.clientCA)
	if err != nil {
		return nil, err
	}
	config.ClientCAs, config.ClientAuth = pool, tls.RequireAndVerifyClientCert
	return config, nil
}

// tokens gives the tokens as their file has them at the time, nil without a file.
func (f *sentralServeFlags) tokens() (func() ([]string, error), error) {
	if f.tokenFile == "" {
		return nil, nil
	}
	if _, err := source.ReadTokens(f.tokenFile); err != nil {
		return nil, err
	}
	return func() ([]string, error) { return source.ReadTokens(f.tokenFile) }, nil
}

// sentralServe runs until ctx ends. What stands in the way is found before
// anybody is listened to.
func (a *app) sentralServe(ctx context.Context, flags *sentralServeFlags) error {
	if err := flags.check(); err != nil {
		return err
	}
	logger := a.logger()
	spec, err := source.Find(flags.inventory)
	if err != nil {
		return err
	}
	from, err := spec.Open(func() (*bus.Conn, error) { return a.connectLogged(ctx, "avstem-sentral", logger) })
	if err != nil {
		return err
	}
	config, err := flags.tls()
	if err != nil {
		return err
	}
	tokens, err := flags.tokens()
	if err != nil {
		return err
	}
	handler := httpapi.NewServer(httpapi.Options{Tokens: tokens, Logger: logger})
	first, err := from.Read(ctx)
	if err != nil {
		return err
	}
	handler.Set(first)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", flags.listen)
	if err != nil {
		return fmt.Errorf("serve the inventory: %w", err)
	}
	url := "http://" + listener.Addr().String()
	if config != nil {
		listener, url = tls.NewListener(listener, config), "https://"+listener.Addr().String()
	}
	if err := a.printServing(flags.format, url, first); err != nil {
		return err
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }, // streams of events end with it
		ErrorLog:    log.New(slogWriter{logger}, "", 0),
	}
	watch := func(ctx context.Context) error {
		from.Watch(ctx, func(inv *sentral.Inventory) {
			logger.Info("inventory read", "source", inv.Source, "hosts", len(inv.Hosts), "vms", len(inv.VMs), "problems", len(inv.Problems), "stale", inv.Stale)
			handler.Set(inv)
		})
		return nil
	}
	return runTogether(ctx, logger, task{"watch of the inventory", watch}, task{"HTTP server", func(ctx context.Context) error { return serveUntil(ctx, server, listener) }})
}

// serveUntil serves until ctx ends, and lets what was begun be finished.
func serveUntil(ctx context.Context, server *http.Server, listener net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve the inventory: %w", err)
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin/2)
	defer cancel()
	if err := server.Shutdown(late); err != nil {
		_ = server.Close()
	}
	return nil
}

// printServing says where it is served and what.
func (a *app) printServing(format, url string, inv *sentral.Inventory) error {
	if format == "json" {
		return a.writeJSON(map[string]any{"url": url, "source": inv.Source, "hosts": len(inv.Hosts), "vms": len(inv.VMs), "problems": len(inv.Problems)})
	}
	fmt.Fprintf(a.stdout, "Sentral's API is at %s/v1/inventory\n\n  %-10s %s: %s, %s, %s\n  %-10s %s\n\n", url,
		"inventory", inv.Source, count(len(inv.Hosts), "host"), count(len(inv.VMs), "VM"), count(len(inv.Problems), "problem"),
		"described", url+"/v1/openapi.yaml")
	return nil
}

// slogWriter takes what net/http has to say of connections.
type slogWriter struct{ log *slog.Logger }

func (w slogWriter) Write(line []byte) (int, error) {
	w.log.Warn("a connection failed", "err", report.Printable(string(line)))
	return len(line), nil
}
