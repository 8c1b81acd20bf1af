package reconcile_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// What the reconciler does with a field.
const (
	compared      = "compared"      // held against Sentral, or checked by itself
	identity      = "identity"      // a mark that matching climbs by
	path          = "path"          // followed to find out where a NIC or disk leads
	informational = "informational" // shown by explain, never a difference
)

// observedUse decides about every field of the observed model. A new one fails
// the test until somebody decides.
var observedUse = map[string]string{
	"backingFile.*": informational, "backingFile.source": path, "backingFile.fault": compared, "backingFile.dataFile": path, "backingFile.number": path, "backingFile.blockDevice": path,
	"blockDevice.*": informational, "blockDevice.serial": compared, "blockDevice.wwn": compared, "blockDevice.size": compared,
	"blockDevice.name": path, "blockDevice.parent": path, "blockDevice.members": path, "blockDevice.dmName": path, "blockDevice.dmUUID": path, "blockDevice.backingFile": path,
	"devicePath.*": informational,
	"disk.*":       informational, "disk.serial": compared, "disk.capacity": compared, "disk.source": compared, "disk.format": compared,
	"disk.wwn": identity, "disk.target": identity, "disk.device": path, "disk.sourceType": path, "disk.readOnly": compared, "disk.shareable": compared,
	"disk.dataFile": path, "disk.number": path, "disk.blockDevice": path, "disk.fault": compared,
	"fileSystem.*": informational, "fileSystem.number": path, "fileSystem.blockDevice": path, "fileSystem.mount": path, "fileSystem.device": path, "fileSystem.type": path,
	"host.*": informational, "host.systemUUID": identity, "host.serial": identity, "host.boardSerial": identity, "host.macs": identity, "host.endorsementKey": identity, "host.hostname": identity, "host.cpus": compared, "host.memory": compared,
	"image.*":     compared,
	"imageFile.*": informational, "imageFile.path": path, "imageFile.digest": compared, "imageFile.undigested": compared,
	"link.*": informational, "link.name": compared, "link.mac": compared, "link.permanentMAC": compared, "link.operState": compared,
	"link.kind": path, "link.master": path, "link.parent": path, "link.vlan": path, "link.vlanFiltering": path, "link.portVLANs": path,
	"link.activeMember": path, "link.bondMode": path, "link.bondState": path, "link.carrier": path, "link.mode": path, "link.mtu": path, "link.neighbours": path, "link.peer": path, "link.physicalFunction": path, "link.portState": path, "link.protocol": path,
	"link.remote": path, "link.up": path, "link.vfs": path, "link.vni": path,
	"manager.*": informational, "manager.name": compared,
	"neighbour.*": path,
	"nic.*":       informational, "nic.mac": compared, "nic.model": compared, "nic.linkUp": compared, "nic.network": compared,
	"nic.vlan": path, "nic.link": path, "nic.bridge": path, "nic.attachment": path,
	"ovsBridge.*": path, "ovsInterface.*": path, "ovsPort.*": path,
	"placement.*": compared, "placement.vm": identity,
	"portVLAN.*": path,
	"runtime.*":  informational, "runtime.platform": compared, "runtime.name": compared,
	"snapshot.*":    informational,
	"storagePool.*": informational, "storagePool.name": path, "storagePool.uuid": identity, "storagePool.state": path, "storagePool.type": path, "storagePool.source": path, "storagePool.target": path, "storagePool.volumes": compared,
	"storageVolume.*": informational, "storageVolume.name": path, "storageVolume.path": compared, "storageVolume.backing": compared,
	"virtualFunction.*": path,
	"vm.*":              informational, "vm.state": compared, "vm.vcpus": compared, "vm.memory": compared, "vm.machine": compared, "vm.rawMachine": compared,
	"vm.placement": compared, "vm.image": compared, "vm.nics": compared, "vm.disks": compared, "vm.manager": compared, "vm.type": compared, "vm.persistent": compared, "vm.pending": compared, "pending.*": compared,
	"vm.uuid": identity, "vm.smbiosUUID": identity, "vm.name": identity, "vm.nativeID": identity,
}

func TestEveryObservedFieldIsDecidedOn(t *testing.T) {
	known := map[string]bool{}
	for _, info := range inventory.Fields() {
		field := string(info.Field)
		entity, _, _ := strings.Cut(field, ".")
		known[field], known[entity+".*"] = true, true
		if observedUse[field] == "" && observedUse[entity+".*"] == "" {
			t.Errorf("nobody decided what the reconciler does with %s", field)
		}
	}
	for field := range observedUse {
		if !known[field] {
			t.Errorf("%s is decided on and is no field of the model", field)
		}
	}
}

// intendedUse decides about every field of Sentral's records.
var intendedUse = map[string]string{
	"Site":          "ID Name:informational",
	"FailureDomain": "ID Site Kind:informational",
	"Project":       "Tenant ID Environments:informational Quota",
	"Network":       "ID Tenant Project VLANs Shared",
	"Image":         "ID Version Source Digest",
	"Host":          "ID HostID Name Site FailureDomain Platform State Serial SystemUUID Links Disks Capacity",
	"HostLink":      "Name MAC VLANs:informational",
	"HostDisk":      "Serial WWN Size",
	"VM":            "ID RuntimeID Name Tenant Project Environment Site FailureDomain Host State VCPUs Memory Machine Image NICs Disks AntiAffinity",
	"NIC":           "MAC Network Model",
	"Disk":          "Name Size Serial WWN Format Source Shared",
	"ImageRef":      "ID Version",
}

func TestEveryIntendedFieldIsDecidedOn(t *testing.T) {
	for _, record := range []any{sentral.Site{}, sentral.FailureDomain{}, sentral.Project{}, sentral.Network{}, sentral.Image{}, sentral.Host{},
		sentral.HostLink{}, sentral.HostDisk{}, sentral.VM{}, sentral.NIC{}, sentral.Disk{}, sentral.ImageRef{}} {
		typ := reflect.TypeOf(record)
		decided := map[string]bool{}
		for word := range strings.FieldsSeq(intendedUse[typ.Name()]) {
			name, _, _ := strings.Cut(word, ":")
			decided[name] = true
			if _, exists := typ.FieldByName(name); !exists {
				t.Errorf("%s.%s is decided on and doesn't exist", typ.Name(), name)
			}
		}
		for i := range typ.NumField() {
			if name := typ.Field(i).Name; !decided[name] {
				t.Errorf("nobody decided what the reconciler does with %s.%s of Sentral", typ.Name(), name)
			}
		}
	}
}
