package network

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dataverket/avstem/inventory"
)

// assembleOVS makes bridges of the rows of Bridge, Port and Interface. What can't
// be understood of one row is a problem, whose call the caller adds, and leaves
// the others as they are.
func assembleOVS(tables [][]row) ([]inventory.OVSBridge, []inventory.Problem) {
	a := assembly{ports: byUUID(tables[1]), interfaces: byUUID(tables[2])}
	var bridges []inventory.OVSBridge
	for _, r := range tables[0] {
		if bridge, ok := a.bridge(r); ok {
			bridges = append(bridges, bridge)
		}
	}
	return bridges, a.problems
}

// assembly is the work on one answer.
type assembly struct {
	ports, interfaces map[string]row
	bridges           map[string]bool
	problems          []inventory.Problem
}

func byUUID(rows []row) map[string]row {
	at := make(map[string]row, len(rows))
	for _, r := range rows {
		if id, err := ovsdbUUID(r["_uuid"]); err == nil {
			at[id] = r
		}
	}
	return at
}

func (a *assembly) fault(entity string, field inventory.Field, err error) {
	a.problems = append(a.problems, inventory.Problem{Entity: entity, Field: field, Why: inventory.WhyBroken,
		Error: err.Error(), Remedy: "compare with ovs-vsctl show, and report it if that has it"})
}

func (a *assembly) bridge(r row) (inventory.OVSBridge, bool) {
	name, err := ovsdbName(r)
	if err == nil && a.bridges[name] {
		err = fmt.Errorf("two bridges are called %q", name)
	}
	if err != nil {
		a.fault("", "ovsBridge.name", err)
		return inventory.OVSBridge{}, false
	}
	if a.bridges == nil {
		a.bridges = map[string]bool{}
	}
	a.bridges[name] = true
	entity := "ovsBridge:" + name
	bridge := inventory.OVSBridge{Name: name}
	switch datapath, err := ovsdbString(r["datapath_type"]); {
	case err != nil:
		a.fault(entity, "ovsBridge.datapath", err)
	case datapath == "": // ovs-vswitchd.conf.db(5): the default is system
		bridge.Datapath = "system"
	default:
		bridge.Datapath = datapath
	}
	switch mode, err := ovsdbOptional(r["fail_mode"], ovsdbString); {
	case err != nil:
		a.fault(entity, "ovsBridge.failMode", err)
	case mode != nil:
		bridge.FailMode = *mode
	}
	controllers, err := ovsdbSet(r["controller"], ovsdbUUID)
	if err != nil {
		a.fault(entity, "ovsBridge.controlled", err)
	}
	bridge.Controlled = len(controllers) > 0
	for _, r := range a.refer(r["ports"], a.ports, entity, "ovsBridge.ports") {
		if port, ok := a.port(r, entity); ok {
			bridge.Ports = append(bridge.Ports, port)
		}
	}
	return bridge, true
}

func (a *assembly) port(r row, bridge string) (inventory.OVSPort, bool) {
	name, err := ovsdbName(r)
	if err != nil {
		a.fault(bridge, "ovsPort.name", err)
		return inventory.OVSPort{}, false
	}
	entity := "ovsPort:" + name
	port := inventory.OVSPort{Name: name}
	if port.Tag, err = ovsdbOptional(r["tag"], ovsdbVLAN); err != nil {
		a.fault(entity, "ovsPort.tag", err)
	}
	if port.Trunks, err = ovsdbSet(r["trunks"], ovsdbVLAN); err != nil {
		a.fault(entity, "ovsPort.trunks", err)
	}
	switch mode, err := ovsdbOptional(r["vlan_mode"], ovsdbString); {
	case err != nil:
		a.fault(entity, "ovsPort.mode", err)
	case mode != nil:
		port.Mode = *mode
	}
	for _, r := range a.refer(r["interfaces"], a.interfaces, entity, "ovsPort.interfaces") {
		if i, ok := a.iface(r, entity); ok {
			port.Interfaces = append(port.Interfaces, i)
		}
	}
	a.bond(r, &port, entity)
	return port, true
}

// bond reads what a port of several interfaces is: ovs-vswitchd.conf.db(5),
// Port.bond_mode, whose default is active-backup, and Port.bond_active_slave,
// the MAC of one of them.
func (a *assembly) bond(r row, port *inventory.OVSPort, entity string) {
	if len(port.Interfaces) < 2 {
		return
	}
	port.BondMode = "active-backup"
	switch mode, err := ovsdbOptional(r["bond_mode"], ovsdbString); {
	case err != nil:
		port.BondMode = ""
		a.fault(entity, "ovsPort.bondMode", err)
	case mode != nil:
		port.BondMode = *mode
	}
	active, err := ovsdbOptional(r["bond_active_slave"], ovsdbMAC)
	if err != nil {
		a.fault(entity, "ovsPort.activeMember", err)
	}
	if active == nil || *active == (inventory.MAC{}) {
		return
	}
	var members []string
	for _, i := range port.Interfaces {
		if i.MAC == *active {
			members = append(members, i.Name)
		}
	}
	if len(members) == 1 { // two with one MAC can't be told apart
		port.ActiveMember = members[0]
	}
}

func (a *assembly) iface(r row, port string) (inventory.OVSInterface, bool) {
	name, err := ovsdbName(r)
	if err != nil {
		a.fault(port, "ovsInterface.name", err)
		return inventory.OVSInterface{}, false
	}
	entity := "ovsInterface:" + name
	i := inventory.OVSInterface{Name: name}
	if i.Type, err = ovsdbString(r["type"]); err != nil {
		a.fault(entity, "ovsInterface.type", err)
	}
	if i.ExternalIDs, err = ovsdbMap(r["external_ids"]); err != nil {
		a.fault(entity, "ovsInterface.externalIDs", err)
	}
	switch mac, err := ovsdbOptional(r["mac_in_use"], ovsdbMAC); {
	case err != nil:
		a.fault(entity, "ovsInterface.mac", err)
	case mac != nil:
		i.MAC = *mac
	}
	switch state, err := ovsdbOptional(r["link_state"], ovsdbString); {
	case err != nil:
		a.fault(entity, "ovsInterface.linkState", err)
	case state != nil:
		i.LinkState = *state
	}
	a.ends(r, &i, entity)
	return i, true
}

// ends reads where a patch interface or a tunnel leads. Options mean something
// to the types that have them only.
func (a *assembly) ends(r row, i *inventory.OVSInterface, entity string) {
	options, err := ovsdbMap(r["options"])
	switch {
	case err != nil:
		a.fault(entity, "ovsInterface.peer", err)
		a.fault(entity, "ovsInterface.remote", err)
	case i.Type == "patch":
		i.Peer = options["peer"]
	default:
		i.Remote = options["remote_ip"]
	}
}

// refer gives the rows that a column refers to, and takes them from at: a port
// belongs to one bridge and an interface to one port.
func (a *assembly) refer(column json.RawMessage, at map[string]row, entity string, field inventory.Field) []row {
	ids, err := ovsdbSet(column, ovsdbUUID)
	if err != nil {
		a.fault(entity, field, err)
		return nil
	}
	rows := make([]row, 0, len(ids))
	for _, id := range ids {
		r, found := at[id]
		if !found {
			a.fault(entity, field, fmt.Errorf("row %s, which it refers to, is not in the answer or has been referred to", id))
			continue
		}
		delete(at, id)
		rows = append(rows, r)
	}
	return rows
}

// ovsdbName reads a row's name, which nothing can be without.
func ovsdbName(r row) (string, error) {
	name, err := ovsdbString(r["name"])
	if err == nil && name == "" {
		err = errors.New("row without a name")
	}
	return name, err
}

// ovsdbMAC reads an address; OVS leaves a string empty that it doesn't know yet.
func ovsdbMAC(raw json.RawMessage) (mac inventory.MAC, err error) {
	text, err := ovsdbString(raw)
	if err != nil || text == "" {
		return mac, err
	}
	return inventory.ParseMAC(text)
}

// ovsdbVLAN reads a VLAN ID. OVS takes 0, which as a tag means frames without a
// VLAN (or with priority alone) and is not the same as no tag, and 4095, which
// isn't a VLAN (ovs-vswitchd.conf.db(5), Port.tag).
func ovsdbVLAN(raw json.RawMessage) (inventory.VLAN, error) {
	n, err := ovsdbInteger(raw)
	if err == nil && (n < 0 || n > 4094) {
		err = fmt.Errorf("%d is not a VLAN ID", n)
	}
	return inventory.VLAN(n), err
}
