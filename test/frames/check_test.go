package frames

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/network"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
)

// outcome is what a topology came to, for counting.
type outcome struct {
	paths     int
	known     int // on one VLAN
	untagged  int
	stacked   int
	ambiguous int
	inside    int // frames don't leave the host
	down      int
	oneWay    int
	chosen    int      // VLANs that guests may choose
	said      []string // what each path says, in words
}

func (o *outcome) add(b outcome) {
	o.paths, o.known, o.untagged, o.stacked = o.paths+b.paths, o.known+b.known, o.untagged+b.untagged, o.stacked+b.stacked
	o.ambiguous, o.inside, o.down, o.oneWay, o.chosen = o.ambiguous+b.ambiguous, o.inside+b.inside, o.down+b.down, o.oneWay+b.oneWay, o.chosen+b.chosen
}

// tried are the VLANs that guests try.
var tried = []int{1, 10, 20, 30, 40}

// check builds a topology and compares what its paths say with what frames do.
func check(t *topology) (o outcome, err error) {
	ovs := t.ovs()
	defer func() {
		if err := tearDown(ovs); err != nil {
			panic(err)
		}
	}()
	if err := t.build(); err != nil {
		return o, err
	}
	ends, err := t.attachAll()
	defer func() {
		for _, e := range ends {
			e.close()
		}
	}()
	if err != nil {
		return o, err
	}
	if len(t.after) > 0 {
		if _, err := observe(t); err != nil {
			return o, err
		}
		if err := t.finish(); err != nil {
			return o, err
		}
	}
	// A bond or a datapath may still be on its way to what it will be: only what
	// stays different is a fault.
	for deadline := time.Now().Add(t.patience()); ; {
		faults, counted, err := compare(t, ends)
		if err != nil || faults == "" {
			return counted, err
		}
		if time.Now().After(deadline) {
			return counted, errors.New(faults)
		}
	}
}

// patience is how long frames may go other ways than the path says. A bond that
// asks for a partner by LACP waits for it.
func (t *topology) patience() time.Duration {
	if slices.ContainsFunc(t.commands, func(c string) bool { return strings.Contains(c, "802.3ad") }) {
		return 15 * time.Second
	}
	return 2 * time.Second
}

// compare observes, follows and sends once.
func compare(t *topology, ends map[string]*end) (faults string, o outcome, err error) {
	seen, err := observe(t)
	if err != nil {
		return "", o, err
	}
	paths := follow(t, seen)
	for i := range paths {
		o.said = append(o.said, says(t.nics[i], &paths[i]))
	}
	quiet := 15 * time.Millisecond
	if t.ovs() {
		quiet = 80 * time.Millisecond // frames that the datapath doesn't know go to ovs-vswitchd
	}
	out, in, returning := t.outward(), []probe(nil), []int(nil)
	for i := range paths {
		if p, returns := comesIn(&paths[i], ends); returns {
			in, returning = append(in, p), append(returning, i)
		}
	}
	arrived, err := exchange(ends, slices.Concat(out, in), quiet)
	if err != nil {
		return "", o, err
	}
	wrong := t.judgeOut(paths, out, arrived, &o)
	wrong = append(wrong, t.judgeIn(paths, in, returning, arrived[len(out):])...)
	if len(wrong) == 0 {
		return "", o, nil
	}
	said, err := json.Marshal(paths)
	if err != nil {
		return "", o, err
	}
	links, err := json.Marshal(seen.Body)
	return fmt.Sprintf("%s\n\nbuilt by:\n%s\npaths: %s\nobserved: %s", strings.Join(wrong, "\n"), t, said, links), o, err
}

// says writes what a path comes to.
func says(nic string, path *reconcile.NICPath) string {
	words := nic + " " + wireTags(path).String() + " by " + path.Exit
	switch {
	case path.Exit == "":
		words = nic + " not: " + path.Reason
	case path.Down:
		words += ", down"
	}
	if path.Return != "" {
		words += "; " + path.Return
	}
	if len(path.GuestVLANs) > 0 {
		words += fmt.Sprintf("; guest may choose %v", path.GuestVLANs)
	}
	return words
}

// observe makes passes until two agree, since a bond looks at its members each
// few milliseconds.
func observe(t *topology) (*inventory.Observation, error) {
	c := &network.Collector{}
	if t.ovs() {
		c.OVSDB = ovsSocket
	}
	wait := 20 * time.Millisecond
	for _, command := range t.commands {
		if strings.Contains(command, "type bond") || strings.Contains(command, "add-bond") {
			wait = 50 * time.Millisecond
		}
	}
	runner := &collectors.Runner{Collector: c}
	var before string
	for deadline := time.Now().Add(20 * time.Second); ; {
		time.Sleep(wait)
		o := runner.Run(context.Background())
		if !o.Complete {
			return nil, fmt.Errorf("the collector saw a part: %+v", o.Problems)
		}
		if o.Digest == before && !slices.ContainsFunc(o.Links, undecided) {
			return standIn(o, t), nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("the links don't come to rest")
		}
		before = o.Digest
	}
}

// undecided says whether the spanning tree is still making up its mind about a
// port.
func undecided(l inventory.Link) bool { return l.PortState == "listening" || l.PortState == "learning" }

// standIn calls the wires what they stand for. All else is as it was observed.
func standIn(o *inventory.Observation, t *topology) *inventory.Observation {
	for i := range o.Links {
		if slices.Contains(t.wires, o.Links[i].Name) {
			o.Links[i].Kind = "physical"
		}
	}
	return o
}

// follow gives the path of each NIC, as reconcile has it.
func follow(t *topology, seen *inventory.Observation) []reconcile.NICPath {
	now := time.Now()
	seen.Host, seen.Site, seen.Epoch, seen.Gen = uuid.Max, "test", 1, 1
	vm := inventory.VM{UUID: uuid.NewSHA1(uuid.Nil, []byte("vm")), Name: "vm", State: inventory.StateRunning}
	for i, name := range t.nics {
		attachment := "bridge"
		if strings.HasPrefix(name, "macvtap") {
			attachment = "direct"
		}
		vm.NICs = append(vm.NICs, inventory.NIC{MAC: inventory.MAC{0x52, 0x54, 0, 0xaa, 0, byte(i)}, Link: name, Attachment: attachment})
	}
	runtime := &inventory.Observation{Schema: inventory.Schema, Host: uuid.Max, Site: "test", Source: "runtime-libvirt", Epoch: 1, Gen: 1,
		Outcome: inventory.OutcomeComplete, Complete: true, ObservedAt: now, Body: inventory.Body{VMs: []inventory.VM{vm}}}
	result := reconcile.Reconcile(reconcile.Input{
		Observed: []reconcile.Document{{Observation: seen, Received: now}, {Observation: runtime, Received: now}},
		Policy:   reconcile.DefaultPolicy(), Now: now,
	})
	return result.VMs[0].Paths
}

// outward gives frames to be sent by every NIC: one without a tag, and one with
// each of the tried.
func (t *topology) outward() (probes []probe) {
	for _, name := range t.nics {
		probes = append(probes, probe{from: name})
		for _, v := range tried {
			probes = append(probes, probe{name, stack{{vlan: v}}})
		}
	}
	return probes
}

// judgeOut says what of those frames arrived otherwise than the paths say.
func (t *topology) judgeOut(paths []reconcile.NICPath, probes []probe, arrived [][]arrival, o *outcome) (wrong []string) {
	each := 1 + len(tried)
	for i := range paths {
		path := &paths[i]
		if fault := sentUntagged(path, t.onWires(arrived[i*each]), o); fault != "" {
			wrong = append(wrong, fmt.Sprintf("%s: %s", probes[i*each], fault))
		}
		for j, v := range tried {
			at := t.onWires(arrived[i*each+1+j])
			got := slices.ContainsFunc(at, func(a arrival) bool { return len(a.tags) == 1 && a.tags[0] == tag{vlan: v} })
			may := !path.Down && slices.ContainsFunc(path.GuestVLANs, func(r reconcile.VLANRange) bool {
				return int(r.First) <= v && v <= int(r.Last)
			})
			switch {
			case path.VLAN != nil && int(*path.VLAN) == v: // no choice
			case may && !got && t.hasDown(): // once the link is up again
			case got != may:
				wrong = append(wrong, fmt.Sprintf("%s: the path says that the guest may choose %v; arrived %s", probes[i*each+1+j], path.GuestVLANs, list(at)))
			case got:
				o.chosen++
			}
		}
	}
	return wrong
}

// hasDown says whether some link of the topology is down.
func (t *topology) hasDown() bool {
	return len(t.dead) > 0 || slices.ContainsFunc(t.after, func(c string) bool { return strings.HasSuffix(c, " down") })
}

// sentUntagged says how a path and what arrived of a frame without a tag disagree.
func sentUntagged(path *reconcile.NICPath, got []arrival, o *outcome) string {
	o.paths++
	var ways []string
	for _, a := range got {
		if words := a.tags.String(); !slices.Contains(ways, words) {
			ways = append(ways, words)
		}
	}
	want := wireTags(path)
	switch {
	case path.Down:
		o.down++
		if len(ways) > 0 {
			return fmt.Sprintf("the path says that it is down (%s); arrived %s", path.Reason, list(got))
		}
		return ""
	case path.Exit == "" && path.VLAN == nil && strings.Contains(path.Reason, "nobody can say"):
		o.ambiguous++
		if len(ways) < 2 {
			return fmt.Sprintf("the path says %q; arrived %s", path.Reason, list(got))
		}
		return ""
	case path.Exit == "":
		o.inside++
		if len(ways) > 0 {
			return fmt.Sprintf("the path says that it doesn't leave (%s); arrived %s", path.Reason, list(got))
		}
		return ""
	case path.VLAN != nil:
		o.known++
		if len(want) != 1 || want[0].vlan != int(*path.VLAN) {
			return fmt.Sprintf("the path says VLAN %d and tags %v", *path.VLAN, path.Tags)
		}
	case len(want) == 0:
		o.untagged++
	default:
		o.stacked++
	}
	if path.Return != "" {
		o.oneWay++
	}
	if len(ways) == 1 && ways[0] == want.String() {
		return ""
	}
	return fmt.Sprintf("the path says %s by %s (%s); arrived %s", want, path.Exit, path.Reason, list(got))
}

// comesIn gives a frame that comes in from outside as those that a NIC's path
// sends out, if it sends any.
func comesIn(path *reconcile.NICPath, ends map[string]*end) (probe, bool) {
	if path.Exit == "" || path.Down {
		return probe{}, false
	}
	for _, hop := range path.Hops {
		if _, there := ends[hop.Name]; there && hop.Kind == "physical" && !hop.Down {
			return probe{hop.Name, wireTags(path)}, true
		}
	}
	panic("no wire that is up among the hops of " + reconcile.PathText(path.Hops))
}

// judgeIn says where such frames get to the NIC without a tag and the path says
// otherwise.
func (t *topology) judgeIn(paths []reconcile.NICPath, probes []probe, of []int, arrived [][]arrival) (wrong []string) {
	for n, i := range of {
		gets := slices.ContainsFunc(arrived[n], func(a arrival) bool { return a.at == t.nics[i] && len(a.tags) == 0 })
		if gets != (paths[i].Return == "") {
			wrong = append(wrong, fmt.Sprintf("%s: the path of %s says %q of what comes back; arrived %s", probes[n], t.nics[i], paths[i].Return, list(arrived[n])))
		}
	}
	return wrong
}

// wireTags gives the tags that a path says frames leave with.
func wireTags(path *reconcile.NICPath) (tags stack) {
	for _, t := range path.Tags {
		tags = append(tags, tag{int(t.VLAN), t.Protocol == "802.1ad"})
	}
	return tags
}

func (t *topology) onWires(all []arrival) []arrival {
	return slices.DeleteFunc(slices.Clone(all), func(a arrival) bool { return !slices.Contains(t.wires, a.at) })
}

func list(all []arrival) string {
	if len(all) == 0 {
		return "nowhere"
	}
	words := make([]string, len(all))
	for i, a := range all {
		words[i] = a.tags.String() + " at " + a.at
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}
