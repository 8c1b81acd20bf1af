package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// A client of OVSDB's JSON-RPC protocol (RFC 7047) that reads the three tables in
// one transaction, so that they agree with one another; watchovsdb.go has one
// that waits for changes of them.

// maxOVSDBReply bounds what is read of a server's answer, in bytes. A port with
// its interface takes under 1 KiB, so that this is some 60,000 of them.
const maxOVSDBReply = 64 << 20

// ovsdbTables are the tables that are read, each with what is read of its rows.
var ovsdbTables = []ovsdbTable{
	{"Bridge", []string{"name", "datapath_type", "fail_mode", "controller", "ports"}},
	{"Port", []string{"name", "tag", "trunks", "vlan_mode", "bond_mode", "bond_active_slave", "interfaces"}},
	{"Interface", []string{"name", "type", "options", "mac_in_use", "link_state", "external_ids"}},
}

type ovsdbTable struct {
	name    string
	columns []string
}

// ovsdbDatabase is the database that Open vSwitch is configured by.
const ovsdbDatabase = "Open_vSwitch"

// selectRequest reads the tables, in their order.
func selectRequest() rpcRequest {
	params := []any{ovsdbDatabase}
	for _, t := range ovsdbTables {
		params = append(params, map[string]any{
			"op": "select", "table": t.name, "where": []any{}, "columns": append([]string{"_uuid"}, t.columns...),
		})
	}
	return rpcRequest{"transact", params, "avstem"}
}

const ovsdbRequestID = `"avstem"`

// rpcRequest is what we ask.
type rpcRequest struct {
	Method string `json:"method"`
	Params []any  `json:"params"`
	ID     string `json:"id"`
}

// row is a row of an OVSDB table, by column.
type row map[string]json.RawMessage

// rpcMessage is a request or a response; RFC 7047 section 4 tells them by their
// members.
type rpcMessage struct {
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	ID     json.RawMessage `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

// readOVSDB reads the tables from the server at a unix socket.
func readOVSDB(ctx context.Context, socket string) (tables [][]row, err error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	// A deadline in the past is what ends a read or write that is under way.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	result, err := transact(conn, maxOVSDBReply)
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("read from ovsdb-server: %w", ctx.Err())
		}
		return nil, err
	}
	return decodeResult(result)
}

// transact sends the request and waits for its response. The server may ask
// meanwhile whether we are still there (RFC 7047 section 4.1.11).
func transact(conn io.ReadWriter, limit int64) (json.RawMessage, error) {
	if err := json.NewEncoder(conn).Encode(selectRequest()); err != nil {
		return nil, fmt.Errorf("write to ovsdb-server: %w", err)
	}
	bounded := &io.LimitedReader{R: conn, N: limit}
	decoder := json.NewDecoder(bounded)
	for {
		var m rpcMessage
		if err := decoder.Decode(&m); err != nil {
			return nil, readError(err, bounded, limit)
		}
		switch {
		case m.Method == "echo":
			if err := answerEcho(conn, m); err != nil {
				return nil, err
			}
		case m.Method != "": // a notification that nobody asked for
		case string(m.ID) != ovsdbRequestID:
			return nil, fmt.Errorf("read from ovsdb-server: answer to %.40q, which was not asked", m.ID)
		case !isNull(m.Error):
			return nil, fmt.Errorf("ovsdb-server answers with error %.200s", m.Error)
		default:
			return m.Result, nil
		}
	}
}

// readError says why a message could not be read.
func readError(err error, bounded *io.LimitedReader, limit int64) error {
	if bounded.N <= 0 {
		return fmt.Errorf("read from ovsdb-server: more than %d MiB", limit>>20)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read from ovsdb-server: %w", err)
}

func answerEcho(w io.Writer, echo rpcMessage) error {
	reply := rpcMessage{ID: echo.ID, Result: echo.Params, Error: json.RawMessage("null")}
	if err := json.NewEncoder(w).Encode(reply); err != nil {
		return fmt.Errorf("answer ovsdb-server's echo: %w", err)
	}
	return nil
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// decodeResult reads the response's result: one entry for each select, each of
// which may be an error, null where one before it was (RFC 7047 section 4.1.3).
func decodeResult(result json.RawMessage) ([][]row, error) {
	var entries []*struct {
		Rows    *[]row `json:"rows"`
		Error   string `json:"error"`
		Details string `json:"details"`
	}
	if err := json.Unmarshal(result, &entries); err != nil {
		return nil, fmt.Errorf("decode ovsdb-server's answer: %w", err)
	}
	tables := make([][]row, len(ovsdbTables))
	for i, t := range ovsdbTables {
		switch {
		case i >= len(entries) || entries[i] == nil:
			return nil, fmt.Errorf("decode ovsdb-server's answer: nothing about table %s", t.name)
		case entries[i].Error != "":
			return nil, fmt.Errorf("select from table %s: %s: %s", t.name, entries[i].Error, entries[i].Details)
		case entries[i].Rows == nil:
			return nil, fmt.Errorf("decode ovsdb-server's answer: no rows of table %s", t.name)
		}
		tables[i] = *entries[i].Rows
	}
	return tables, nil
}
