package adopt

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/edit"
)

// Patch is changes of one record.
type Patch struct {
	// Record is its type and ID, as in [sentral.Problem.Record].
	Record  string
	Changes []edit.Change
}

// Mend says which changes of which record resolve a finding on Sentral's side.
// Explained is what is known of the finding's subject. An error says why there
// is no such change, in a sentence. Of the options, Foreign counts.
func Mend(f *reconcile.Finding, explained *reconcile.Explanation, intended *sentral.Inventory, o Options) (*Patch, error) {
	m := mender{f: f, in: intended, foreign: o.Foreign}
	if explained.VM != nil {
		m.vm, m.want, m.seen = explained.VM, explained.VM.Intended, explained.VM.Observed
	}
	if explained.Host != nil {
		m.host = explained.Host
	}
	changes, record, err := m.mend()
	if err != nil {
		return nil, fmt.Errorf("change Sentral's record for %s (%s): %w", f.ID, f.Kind, err)
	}
	return &Patch{record, changes}, nil
}

type mender struct {
	f    *reconcile.Finding
	in   *sentral.Inventory
	vm   *reconcile.VMMatch
	want *sentral.VM
	seen *reconcile.ObservedVM
	host *reconcile.HostMatch
	// foreign lets the record name networks of others.
	foreign bool
}

// noRecord says that the record isn't the place to resolve a finding.
func (m *mender) noRecord() error {
	for _, r := range m.f.Resolutions {
		if r.Side == "sentral" && r.Do != "" {
			return fmt.Errorf("that is to be done by hand: %s", r.Do)
		}
	}
	return fmt.Errorf("a record can't resolve it: it is to be resolved where it was seen")
}

func one(key string, value any) []edit.Change { return []edit.Change{{Key: key, Value: value}} }

func (m *mender) mend() ([]edit.Change, string, error) {
	if m.want == nil {
		return m.mendHost()
	}
	record := "vm " + m.want.ID
	if m.f.Kind == reconcile.VMMissing {
		return one("state", string(sentral.VMAbsent)), record, nil
	}
	if m.seen == nil {
		return nil, "", m.noRecord()
	}
	switch seen := &m.seen.VM; m.f.Kind {
	case reconcile.VMState, reconcile.VMLingering:
		state := State(seen.State)
		if m.want.State == state || m.want.State == "" && state == sentral.VMRunning {
			return nil, "", m.noRecord() // Sentral has no word for what it is
		}
		return one("state", string(state)), record, nil
	case reconcile.VMVCPUs:
		return one("vcpus", *seen.VCPUs), record, nil
	case reconcile.VMMemory:
		return one("memory", sizeValue(*seen.Memory)), record, nil
	case reconcile.VMMachine:
		return one("machine", m.f.Observed), record, nil
	case reconcile.VMMisplaced:
		if text, is := m.f.Observed.(string); is && text != "" {
			return one(m.f.Field, text), record, nil
		}
	case reconcile.VMPlacement:
		if text, is := m.f.Observed.(string); is && text != "" {
			return one(strings.TrimPrefix(m.f.Field, "placement."), text), record, nil
		}
	case reconcile.IdentityChanged:
		if seen.UUID != uuid.Nil {
			return one("runtimeID", seen.UUID.String()), record, nil
		}
	case reconcile.VMImage, reconcile.DiskImage:
		return m.image(record)
	case reconcile.NICVLAN, reconcile.NICNetwork, reconcile.NICMissing, reconcile.NICUnknown:
		return m.nic(record)
	case reconcile.DiskSize, reconcile.DiskSerial, reconcile.DiskSource, reconcile.DiskFormat, reconcile.DiskMissing, reconcile.DiskUnknown:
		return m.disk(record)
	}
	return nil, "", m.noRecord()
}

// mendHost ties a host's record to its host ID.
func (m *mender) mendHost() ([]edit.Change, string, error) {
	if m.host != nil && m.host.Intended != nil && m.host.Observed != nil {
		switch m.f.Kind {
		case reconcile.IdentityWeak, reconcile.IdentityChanged:
			return one("hostID", m.host.Observed.ID.String()), "host " + m.host.Intended.ID, nil
		case reconcile.HostSite:
			if m.host.Observed.Site != "" {
				return one("site", m.host.Observed.Site), "host " + m.host.Intended.ID, nil
			}
		}
	}
	return nil, "", m.noRecord()
}

func sizeValue(b inventory.Bytes) any { return Size(strconv.FormatUint(uint64(b), 10)) }

// image names the image that the VM shows, where Sentral knows it.
func (m *mender) image(record string) ([]edit.Change, string, error) {
	shown, _ := m.f.Observed.(string)
	for i := range m.in.Images {
		im := &m.in.Images[i]
		// A digest may stand behind the name.
		if name := im.ID + " " + im.Version; (shown == name || strings.HasPrefix(shown, name+" ")) && (m.want.Image == nil || *m.want.Image != (sentral.ImageRef{ID: im.ID, Version: im.Version})) {
			return []edit.Change{{Key: "image.id", Value: im.ID}, {Key: "image.version", Value: im.Version}}, record, nil
		}
	}
	return nil, "", fmt.Errorf("there is no record of %v: add one first", m.f.Observed)
}

// bracketed is a field such as nics[52:54:00:aa:00:01].vlan.
var bracketed = regexp.MustCompile(`^(nics|disks)\[(.*)\](?:\.(.*))?$`)

// named is the NIC or disk that a finding is about, and the field of it.
func (m *mender) named() (name, field string) {
	parts := bracketed.FindStringSubmatch(m.f.Field)
	if parts == nil {
		return "", ""
	}
	return parts[2], parts[3]
}

func place(name string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(name, "#"))
	if err != nil || !strings.HasPrefix(name, "#") {
		return -1
	}
	return n - 1
}

func (m *mender) nic(record string) ([]edit.Change, string, error) {
	name, _ := m.named()
	wanted := slices.IndexFunc(m.want.NICs, func(n sentral.NIC) bool { return n.MAC.String() == name })
	seen := slices.IndexFunc(m.seen.NICs, func(n inventory.NIC) bool { return n.MAC.String() == name })
	if seen < 0 {
		seen = place(name)
	}
	if wanted < 0 {
		wanted = place(name)
	}
	if wanted < 0 && seen >= 0 && seen < len(m.want.NICs) && (m.want.NICs[seen].MAC == inventory.MAC{}) {
		wanted = seen // paired by order
	}
	if m.f.Kind == reconcile.NICMissing {
		if wanted < 0 || wanted >= len(m.want.NICs) {
			return nil, "", m.noRecord()
		}
		if len(m.want.NICs) == 1 {
			return one("nics", nil), record, nil
		}
		return one(fmt.Sprintf("nics[%d]", wanted), nil), record, nil
	}
	if seen < 0 || seen >= len(m.vm.Paths) || seen >= len(m.seen.NICs) {
		return nil, "", m.noRecord()
	}
	network, err := m.networkOf(seen)
	switch {
	case m.f.Kind == reconcile.NICUnknown && err == nil:
		nic := edit.Fields{{Key: "mac", Value: m.seen.NICs[seen].MAC.String()}, {Key: "network", Value: network}}
		return one(fmt.Sprintf("nics[%d]", len(m.want.NICs)), nic), record, nil
	case m.f.Kind != reconcile.NICUnknown && wanted >= 0 && wanted < len(m.want.NICs):
		if err == nil {
			return one(fmt.Sprintf("nics[%d].network", wanted), network), record, nil
		}
		if vlan := m.vm.Paths[seen].VLAN; vlan != nil && !errors.As(err, new(foreignError)) { // nobody's: the network may have moved there
			return one("vlans."+m.seen.Site, int(*vlan)), "network " + m.want.NICs[wanted].Network, nil
		}
	}
	if err == nil {
		err = m.noRecord()
	}
	return nil, "", err
}

// foreignError says that a NIC is on somebody else's network.
type foreignError struct{ error }

// networkOf is the network that a NIC is on, its own project's before others'.
func (m *mender) networkOf(seen int) (string, error) {
	vlan := m.vm.Paths[seen].VLAN
	var found *sentral.Network
	named, byName := m.f.Observed.(string)
	byName = byName && m.f.Kind == reconcile.NICNetwork // only one that Sentral knows is a difference
	for i := range m.in.Networks {
		n := &m.in.Networks[i]
		on := n.ID == m.seen.NICs[seen].Network
		if vlan != nil {
			has, known := n.VLANs[m.seen.Site]
			on = known && has == *vlan
		}
		if byName {
			on = n.ID == named
		}
		if !on {
			continue
		}
		if n.Tenant == m.want.Tenant && n.Project == m.want.Project {
			return n.ID, nil
		}
		if found == nil {
			found = n
		}
	}
	switch {
	case found != nil && !m.foreign:
		return "", foreignError{fmt.Errorf("the NIC is on %s: %s", whose(found), foreignWords)}
	case found != nil:
		return found.ID, nil
	case vlan != nil:
		return "", fmt.Errorf("there is no network on VLAN %d in %s: add one first", *vlan, m.seen.Site)
	}
	return "", fmt.Errorf("which network it is on isn't known: %s", m.vm.Paths[seen].Reason)
}

func (m *mender) disk(record string) ([]edit.Change, string, error) {
	name, field := m.named()
	stores := slices.DeleteFunc(slices.Clone(m.seen.Disks), func(d inventory.Disk) bool { return !d.IsStorage() })
	seen := slices.IndexFunc(stores, func(d inventory.Disk) bool { return d.Serial == name || d.Serial == "" && d.Target == name })
	if seen < 0 {
		seen = place(name)
	}
	if m.f.Kind == reconcile.DiskUnknown {
		if seen < 0 || seen >= len(stores) {
			return nil, "", m.noRecord()
		}
		return one(fmt.Sprintf("disks[%d]", len(m.want.Disks)), diskFields(disk(&stores[seen]))), record, nil
	}
	wanted := m.wantedDisk(name, seen, stores)
	switch {
	case wanted < 0:
		return nil, "", m.noRecord()
	case m.f.Kind == reconcile.DiskMissing && len(m.want.Disks) == 1:
		return one("disks", nil), record, nil
	case m.f.Kind == reconcile.DiskMissing:
		return one(fmt.Sprintf("disks[%d]", wanted), nil), record, nil
	case seen < 0 || seen >= len(stores):
		return nil, "", m.noRecord()
	}
	var value any
	switch d := &stores[seen]; field {
	case "size":
		if d.Capacity != nil {
			value = sizeValue(*d.Capacity)
		}
	case "serial":
		value = orNil(d.Serial)
	case "source":
		value = orNil(d.Source)
	case "format":
		value = orNil(d.Format)
	}
	return one(fmt.Sprintf("disks[%d].%s", wanted, field), value), record, nil
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// wantedDisk is the record's disk that a finding names: by what the record calls
// it, else by what the disk seen is called, else by its place in the order.
func (m *mender) wantedDisk(name string, seen int, stores []inventory.Disk) int {
	marks := []string{name}
	if seen >= 0 && seen < len(stores) {
		marks = append(marks, stores[seen].WWN, stores[seen].Target, stores[seen].Source)
	}
	for i, d := range m.want.Disks {
		for _, mark := range marks {
			if mark != "" && slices.Contains([]string{d.Serial, d.WWN, d.Name, d.Source}, mark) {
				return i
			}
		}
	}
	if seen >= 0 && seen < len(m.want.Disks) && len(stores) == len(m.want.Disks) {
		return seen
	}
	if n := place(name); n < len(m.want.Disks) {
		return n
	}
	return -1
}

func diskFields(d sentral.Disk) edit.Fields {
	var f edit.Fields
	if d.Name != "" {
		f = append(f, edit.Field{Key: "name", Value: d.Name})
	}
	if d.Size != nil {
		f = append(f, edit.Field{Key: "size", Value: sizeValue(*d.Size)})
	}
	if d.Serial != "" {
		f = append(f, edit.Field{Key: "serial", Value: d.Serial})
	}
	if d.WWN != "" {
		f = append(f, edit.Field{Key: "wwn", Value: d.WWN})
	}
	return f
}
