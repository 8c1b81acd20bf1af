package qemu

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
)

// monitor is a QMP connection (QEMU's docs/interop/qmp-spec.rst): one object a
// line, a greeting first, then one answer for each command, events between them.
type monitor struct {
	conn    net.Conn
	decoder *json.Decoder
	deleted map[string]bool // devices of which QEMU has said that they are gone
}

type message struct {
	Greeting *json.RawMessage `json:"QMP"`
	Return   *json.RawMessage `json:"return"`
	Error    *struct {
		Description string `json:"desc"`
	} `json:"error"`
	Event string `json:"event"`
	Data  struct {
		Device string `json:"device"`
	} `json:"data"`
}

func connect(ctx context.Context, path string) (*monitor, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("connect to QEMU's monitor: %w", err)
	}
	m := &monitor{conn: conn, decoder: json.NewDecoder(conn), deleted: map[string]bool{}}
	err = m.bounded(ctx, func() error {
		_, err := m.next(func(msg *message) bool { return msg.Greeting != nil })
		return err
	})
	if err == nil {
		err = m.do(ctx, "qmp_capabilities", nil)
	}
	if err != nil {
		m.close()
		return nil, fmt.Errorf("connect to QEMU's monitor: %w", err)
	}
	return m, nil
}

func (m *monitor) close() { _ = m.conn.Close() } // nothing waits for it

// bounded closes the connection when ctx ends, which ends the read.
func (m *monitor) bounded(ctx context.Context, f func() error) error {
	stop := context.AfterFunc(ctx, m.close)
	defer stop()
	if err := f(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	return nil
}

// next reads until a message is the wanted one, noting which devices are gone.
func (m *monitor) next(wanted func(*message) bool) (*message, error) {
	for {
		var msg message
		if err := m.decoder.Decode(&msg); err != nil {
			return nil, err
		}
		if msg.Event == "DEVICE_DELETED" && msg.Data.Device != "" {
			m.deleted[msg.Data.Device] = true
		}
		if wanted(&msg) {
			return &msg, nil
		}
	}
}

// do carries out a command and waits for its answer.
func (m *monitor) do(ctx context.Context, name string, arguments any) error {
	command := map[string]any{"execute": name}
	if arguments != nil {
		command["arguments"] = arguments
	}
	text, err := json.Marshal(command)
	if err != nil {
		return err
	}
	return m.bounded(ctx, func() error {
		if _, err := m.conn.Write(append(text, '\n')); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		answer, err := m.next(func(msg *message) bool { return msg.Return != nil || msg.Error != nil })
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if answer.Error != nil {
			return fmt.Errorf("%s: %s", name, answer.Error.Description)
		}
		return nil
	})
}

// awaitDeleted waits until QEMU has said that a device is gone: device_del only
// asks for it.
func (m *monitor) awaitDeleted(ctx context.Context, device string) error {
	err := m.bounded(ctx, func() error {
		if m.deleted[device] {
			return nil
		}
		_, err := m.next(func(*message) bool { return m.deleted[device] })
		return err
	})
	delete(m.deleted, device)
	if err != nil {
		return fmt.Errorf("wait until %s is gone: %w", device, err)
	}
	return nil
}

// awaitEnd waits until QEMU has closed the connection, as it does last.
func (m *monitor) awaitEnd(ctx context.Context) {
	_ = m.bounded(ctx, func() error {
		_, err := m.next(func(*message) bool { return false })
		return err
	})
}
