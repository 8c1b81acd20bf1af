package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
)

// applicationID is avstem's own under machine-id(5). It must never change: with
// it every host's published machine ID would.
var applicationID = uuid.MustParse("72143339-789a-44db-8c27-6b9d866fce8a")

const machineIDPath = "/etc/machine-id"

var errUninitialized = errors.New("the machine ID is not set")

func (r *reader) machineID() {
	const remedy = "run systemd-machine-id-setup, or dbus-uuidgen --ensure=/etc/machine-id"
	text := r.text("host.machineID", machineIDPath)
	if n := len(r.problems); text == "" && n > 0 {
		if p := &r.problems[n-1]; p.Why != inventory.WhyRefused {
			p.Remedy = remedy
		}
		return
	}
	id, err := parseMachineID(text)
	switch {
	case errors.Is(err, errUninitialized):
		r.problem("host.machineID", machineIDPath, inventory.WhyAbsent, err, remedy)
	case err != nil:
		r.problem("host.machineID", machineIDPath, inventory.WhyBroken, err, remedy)
	default:
		r.host.MachineID = hashMachineID(id)
	}
}

// parseMachineID reads machine-id(5)'s 32 hexadecimal digits. Empty,
// "uninitialized" and all zero mean that the first boot has not set it yet. The
// error doesn't repeat the text: the machine ID is confidential.
func parseMachineID(text string) ([16]byte, error) {
	var id [16]byte
	if text == "" || text == "uninitialized" {
		return id, errUninitialized
	}
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(id) {
		return id, fmt.Errorf("machine ID of %d characters is not one: want 32 hexadecimal digits", len(text))
	}
	copy(id[:], raw)
	if id == ([16]byte{}) {
		return id, errUninitialized
	}
	return id, nil
}

// hashMachineID gives what sd_id128_get_machine_app_specific(3) gives: the first
// half of HMAC-SHA256 over the application ID, keyed by the machine ID, marked
// as a UUID of version 4.
func hashMachineID(id [16]byte) uuid.UUID {
	mac := hmac.New(sha256.New, id[:])
	mac.Write(applicationID[:])
	hash := uuid.UUID(mac.Sum(nil)[:16])
	hash[6] = hash[6]&0x0f | 0x40
	hash[8] = hash[8]&0x3f | 0x80
	return hash
}
