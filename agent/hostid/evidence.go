package hostid

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
)

// Evidence is what tells one host from another. Values that are zero were not
// there or could not be read (the DMI ones take root), and count for nothing.
type Evidence struct {
	MachineID   uuid.UUID       `json:"machineID,omitzero"` // hashed, as in inventory.Host
	SystemUUID  uuid.UUID       `json:"systemUUID,omitzero"`
	Serial      string          `json:"serial,omitempty"`
	BoardSerial string          `json:"boardSerial,omitempty"`
	MACs        []inventory.MAC `json:"macs,omitempty"`
	// EndorsementKey is the hash of the TPM's, as in inventory.Host.
	EndorsementKey string `json:"endorsementKey,omitempty"`
}

// EvidenceOf takes the evidence from a host's description of itself.
func EvidenceOf(h inventory.Host) Evidence {
	macs := slices.Clone(h.MACs)
	slices.SortFunc(macs, func(x, y inventory.MAC) int { return slices.Compare(x[:], y[:]) })
	return Evidence{
		MachineID: h.MachineID, SystemUUID: h.SystemUUID, Serial: h.Serial, BoardSerial: h.BoardSerial,
		MACs: slices.Compact(macs), EndorsementKey: h.EndorsementKey,
	}
}

// verdict is what holding stored evidence against what is seen gives.
type verdict struct {
	same    []string // what agrees
	differs []string // what is on both sides and doesn't
	notes   []string // for the log
}

// The pieces of evidence.
const (
	machineID    = "machine ID"
	systemUUID   = "system UUID"
	serial       = "serial"
	boardSerial  = "board serial"
	macAddresses = "MAC addresses"
	tpmKey       = "TPM key"
)

// clone says that these are two machines. A system that was reinstalled leaves
// the hardware, a board that was swapped leaves the serial or a NIC. The machine
// ID alone proves nothing against the firmware's word: it is on the disk, and
// goes where that is copied. New NICs alone are only new NICs.
func (v verdict) clone() bool {
	switch {
	case len(v.differs) == 0:
		return false
	case len(v.same) == 0:
		return true
	}
	return slices.Equal(v.same, []string{machineID}) && !slices.Equal(v.differs, []string{macAddresses})
}

// Value is one piece of evidence for a reader; Text is "" where there is none.
type Value struct {
	Name  string
	Field inventory.Field
	Text  string
}

// Values lists the evidence, always the same pieces in the same order.
func (e Evidence) Values() []Value {
	text := func(id uuid.UUID) string {
		if id == uuid.Nil {
			return ""
		}
		return id.String()
	}
	macs := make([]string, len(e.MACs))
	for i, m := range e.MACs {
		macs[i] = m.String()
	}
	return []Value{
		{machineID, "host.machineID", text(e.MachineID)}, {systemUUID, "host.systemUUID", text(e.SystemUUID)},
		{serial, "host.serial", e.Serial}, {boardSerial, "host.boardSerial", e.BoardSerial},
		{macAddresses, "host.macs", strings.Join(macs, " ")}, {tpmKey, "host.endorsementKey", e.EndorsementKey},
	}
}

// Hold holds evidence that was stored against what is seen, and names the pieces
// that agree and those that don't. A piece that only one side has is neither.
func (e Evidence) Hold(seen Evidence) (same, differs []string) {
	v := compare(e, seen)
	return v.same, v.differs
}

func compare(stored, seen Evidence) verdict {
	var v verdict
	value := func(name, was, is string, both, equal bool) {
		switch {
		case !both:
		case equal:
			v.same = append(v.same, name)
		default:
			v.differs = append(v.differs, name)
			v.notes = append(v.notes, fmt.Sprintf("%s was %s and is %s", name, was, is))
		}
	}
	// The machine ID is a hash, and as such means nothing to a reader.
	value(machineID, "another", "new", stored.MachineID != uuid.Nil && seen.MachineID != uuid.Nil, stored.MachineID == seen.MachineID)
	value(systemUUID, stored.SystemUUID.String(), seen.SystemUUID.String(), stored.SystemUUID != uuid.Nil && seen.SystemUUID != uuid.Nil,
		// A kernel or firmware update may change the byte order it is shown in.
		stored.SystemUUID == seen.SystemUUID || stored.SystemUUID == inventory.SwapUUID(seen.SystemUUID))
	value(serial, stored.Serial, seen.Serial, stored.Serial != "" && seen.Serial != "", stored.Serial == seen.Serial)
	value(boardSerial, stored.BoardSerial, seen.BoardSerial, stored.BoardSerial != "" && seen.BoardSerial != "", stored.BoardSerial == seen.BoardSerial)
	v.compareMACs(stored.MACs, seen.MACs)
	// A hash, too.
	value(tpmKey, "another", "new", stored.EndorsementKey != "" && seen.EndorsementKey != "", stored.EndorsementKey == seen.EndorsementKey)
	return v
}

// compareMACs counts one shared address as agreement: NICs are added and
// swapped one at a time.
func (v *verdict) compareMACs(stored, seen []inventory.MAC) {
	if len(stored) == 0 || len(seen) == 0 {
		return
	}
	shared := slices.ContainsFunc(seen, func(m inventory.MAC) bool { return slices.Contains(stored, m) })
	if shared {
		v.same = append(v.same, macAddresses)
	} else {
		v.differs = append(v.differs, macAddresses)
	}
	for _, m := range seen {
		if !slices.Contains(stored, m) {
			v.notes = append(v.notes, fmt.Sprintf("NIC %s is new", m))
		}
	}
	for _, m := range stored {
		if !slices.Contains(seen, m) {
			v.notes = append(v.notes, fmt.Sprintf("NIC %s is gone", m))
		}
	}
}

// merge takes what is seen and keeps what was known of the rest: a start
// without root doesn't forget the serials.
func merge(stored, seen Evidence) Evidence {
	if seen.MachineID != uuid.Nil {
		stored.MachineID = seen.MachineID
	}
	if seen.SystemUUID != uuid.Nil {
		stored.SystemUUID = seen.SystemUUID
	}
	if seen.Serial != "" {
		stored.Serial = seen.Serial
	}
	if seen.BoardSerial != "" {
		stored.BoardSerial = seen.BoardSerial
	}
	if len(seen.MACs) > 0 {
		stored.MACs = seen.MACs
	}
	if seen.EndorsementKey != "" {
		stored.EndorsementKey = seen.EndorsementKey
	}
	return stored
}

func (e Evidence) equal(other Evidence) bool {
	return e.MachineID == other.MachineID && e.SystemUUID == other.SystemUUID && e.Serial == other.Serial &&
		e.BoardSerial == other.BoardSerial && slices.Equal(e.MACs, other.MACs) && e.EndorsementKey == other.EndorsementKey
}

// namespace is that of provisional IDs (UUIDv5).
var namespace = uuid.MustParse("3b1f3e0c-6a53-5c0e-9d55-6f4a8c1f0a6d")

// Provisional is the ID of a host that has none yet, for a document that is
// only looked at: made from the machine ID, or else from the hostname. The same
// host always has the same one; a reinstalled one has another.
func Provisional(e Evidence, hostname string) uuid.UUID {
	if e.MachineID != uuid.Nil {
		return uuid.NewSHA1(namespace, e.MachineID[:])
	}
	return uuid.NewSHA1(namespace, []byte("hostname:"+hostname))
}

// IsProvisional says whether an ID was made by [Provisional] and not kept: its
// version is 5, that of a kept one 4.
func IsProvisional(id uuid.UUID) bool { return id.Version() == 5 }
