package reconcile

import (
	"bytes"
	"hash/maphash"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/sentral"
)

// Book is both books, held side by side and kept current change by change. What it
// is told takes effect with the next [Book.Settle], which judges again the units
// that a change or the passing of time touches, and those only: whatever came
// before, it then finds what [Reconcile] finds of the same input, which is a new
// Book that is told everything at once.
//
// It keeps documents, records, indexes and findings, and no comparison of a VM:
// [Book.VM] makes those again when they are asked for.
//
// A Book is not for several goroutines at once.
type Book struct {
	in       Input // Intended, Speakers, Refused, Policy and Now
	intended *intended
	began    bool // it has been settled
	all      bool // everything is to be judged again

	hosts     map[uuid.UUID]*hostView
	arrived   map[uuid.UUID]map[string]*Document // nil where the source is gone
	spoken    int                                // hosts that speak, or did
	heard     []*hostView                        // of those that spoke, the ones of which it may matter
	hostIndex map[uint64][]*hostNode             // by their marks
	// hostRecords are by Sentral's ID.
	hostRecords map[string][]*hostNode
	hostPairs   map[*hostPair]bool
	hostRecord  map[string]*hostPair // by Sentral's key
	named       map[string]pairSet   // by the name that findings use, which may repeat
	byID        map[string]pairSet   // by what findings' subjects say
	homes       map[string]*home     // by Sentral's key of a host
	sites       map[string]*site
	disks       map[string][]*hostView // by WWN, those that see the disk
	timers      timers

	things index
	early  *early // nil from the first settling on
	// lone is the unit of each record that is alone in one and has nothing to say:
	// those of other sites' VMs are. Paired is that of each record and place that
	// were matched with each other and have nothing to say.
	lone   vmUnit
	paired vmUnit
	round  bool // changes with each inventory
	// records are the things of the inventory's records of VMs, in its order, and
	// repeated the IDs that several of them had.
	records  []*thing
	repeated map[string]bool
	expected expected
	settling uint32 // which settling this is
	marker   marker
	tables   map[uint64][]*capabilities
	recent   [4]*capabilities // of tables, those that were shared last
	packers  *packers
	loose    []*source      // which are to be packed
	sources  map[string]int // of records' disks
	// projects are those that have a quota, groups the anti-affinity groups.
	projects map[projectKey]*vmGroup
	groups   map[groupKey]*vmGroup
	// unresolved are projects that are named and that Sentral has not.
	unresolved map[projectKey]*vmGroup
	left       []leave // who may have left a group

	// awaiting are findings by what they are held by, and awaited the other way.
	awaiting map[dependency]map[string]bool
	awaited  map[string][]dependency

	// What the next settling judges again.
	dirtyNodes     []*hostNode
	dirtyHomes     []string
	dirtyHosts     hostQueue
	dirtyThings    []*thing
	dirtyAbsences  []*thing // some of them several times
	dirtyPools     hostQueue
	dirtyLoads     hostQueue
	dirtyGroups    map[*vmGroup]bool
	dirtyStrays    hostQueue
	dirtySites     map[string]bool
	allPools       bool
	dirtyPaths     map[string]bool // of which it changed whether Sentral knows what is there
	dirtyInventory bool
	opened         []*hostView
	dirtySpeakers  bool

	ofInventory, ofSpeakers unit

	// tasks are Maskin's by VM, taskUnits those of them that wait, by VM, and readers
	// the units of tasks by what they were judged by.
	tasks      tasks
	taskUnits  map[string]*taskUnit
	readers    map[dependency]map[*taskUnit]bool
	dirtyTasks map[*taskUnit]bool
	agreed     []string // tasks, in the last settling

	ledger
	counts    counts
	rematched []*thing
	// once says that the book is for one pass, keep that every VM's pair is kept in
	// pairs, for a [Result].
	once  bool
	keep  bool
	pairs []*pair
}

// NewBook makes an empty one.
func NewBook(policy Policy) *Book {
	b := &Book{
		in:          Input{Policy: policy, Intended: &sentral.Inventory{}},
		hosts:       map[uuid.UUID]*hostView{},
		hostIndex:   map[uint64][]*hostNode{},
		early:       &early{},
		arrived:     map[uuid.UUID]map[string]*Document{},
		hostRecords: map[string][]*hostNode{},
		hostPairs:   map[*hostPair]bool{},
		hostRecord:  map[string]*hostPair{},
		named:       map[string]pairSet{},
		byID:        map[string]pairSet{},
		homes:       map[string]*home{},
		sites:       map[string]*site{},
		disks:       map[string][]*hostView{},
		marker:      marker{seed: maphash.MakeSeed()},
		tables:      map[uint64][]*capabilities{},
		sources:     map[string]int{},
		projects:    map[projectKey]*vmGroup{},
		groups:      map[groupKey]*vmGroup{},
		unresolved:  map[projectKey]*vmGroup{},

		awaiting: map[dependency]map[string]bool{},
		awaited:  map[string][]dependency{},

		dirtyHosts:  hostQueue{bit: dirtyHost},
		dirtyPools:  hostQueue{bit: dirtyPools},
		dirtyLoads:  hostQueue{bit: dirtyLoads},
		dirtyGroups: map[*vmGroup]bool{},
		dirtyStrays: hostQueue{bit: dirtyStrays},
		dirtySites:  map[string]bool{},

		dirtyPaths: map[string]bool{},
		repeated:   map[string]bool{},
		taskUnits:  map[string]*taskUnit{},
		readers:    map[dependency]map[*taskUnit]bool{},
		dirtyTasks: map[*taskUnit]bool{},

		ofInventory: unit{stage: stageInventory},
		ofSpeakers:  unit{stage: stageSpeakers},
		ledger:      ledger{parts: map[string][]part{}, causes: map[string][]blame{}, bySubject: map[string]map[string]bool{}, stirred: map[string]bool{}, changed: map[string]bool{}},
	}
	b.intended = newIntended(b.in.Intended)
	return b
}

// Observe takes the newest document of a host and source.
func (b *Book) Observe(doc Document) { b.arrive(doc.Host, doc.Source, &doc) }

// Drop takes out a host and all that it said.
func (b *Book) Drop(host uuid.UUID) {
	if h := b.hosts[host]; h != nil {
		for _, doc := range h.docs {
			b.arrive(host, doc.Source, nil)
		}
	}
	for source := range b.arrived[host] {
		b.arrive(host, source, nil)
	}
}

func (b *Book) arrive(host uuid.UUID, source string, doc *Document) {
	if b.arrived[host] == nil {
		b.arrived[host] = map[string]*Document{}
	}
	b.arrived[host][source] = doc
}

// Hear tells when a host last said anything. One of which that was never told
// was last heard when its newest document came. A host without documents is none.
func (b *Book) Hear(host uuid.UUID, at time.Time) {
	h := b.hosts[host]
	if h == nil {
		h = b.newHost(host)
	}
	if h.spoke && h.said.Equal(at) {
		return
	}
	back := at.Before(h.LastHeard)
	if !h.heard && (back || h.node.group == nil || h.Stale || h.node.group.views > 1) {
		h.heard = true
		b.heard = append(b.heard, h)
	}
	h.spoke, h.said = true, at
}

func (b *Book) newHost(id uuid.UUID) *hostView {
	h := &hostView{ObservedHost: ObservedHost{ID: id}}
	h.node = &hostNode{view: h}
	b.hosts[id] = h
	return h
}

// Intend takes the inventory. It may share records with the one before, and is
// only read.
func (b *Book) Intend(inv *sentral.Inventory) {
	if inv == nil {
		inv = &sentral.Inventory{}
	}
	if inv != b.in.Intended {
		b.intend(inv)
	}
}

// Refuse takes all documents that were not accepted.
func (b *Book) Refuse(all []Refusal) {
	if !slices.Equal(b.in.Refused, all) {
		b.in.Refused, b.dirtySpeakers = slices.Clone(all), true
	}
}

// Speak takes all host IDs that several agents use.
func (b *Book) Speak(all map[uuid.UUID][]Speaker) {
	if len(all)+len(b.in.Speakers) > 0 && !reflect.DeepEqual(b.in.Speakers, all) {
		b.in.Speakers, b.dirtySpeakers = all, true
	}
}

// Serve tells whose hosts are observed, as [Input.Site] does. It is for the beginning.
func (b *Book) Serve(site string) { b.in.Site = site }

// Judge takes another policy, by which everything is judged again.
func (b *Book) Judge(policy Policy) { b.in.Policy, b.all = policy, true }

// Settle judges what has changed since the last time, or does by the time alone,
// and gives the IDs of the findings that came, went or are different now.
func (b *Book) Settle(now time.Time) (changed []string) {
	if b.began && now.Before(b.in.Now) { // a clock that was set back
		b.all = true
	}
	b.in.Now, b.began = now, true
	b.settling++
	b.readArrived()
	b.passTime()
	if b.all {
		b.touchAll()
		b.all = false
	}
	b.settleMachines()
	b.settleHosts()
	b.settleHomes()
	b.settleVMs()
	b.settleSites()
	b.settleEmptied()
	b.settlePools()
	b.settleLoads()
	b.settleGroups()
	b.settleStrays()
	b.settleInventory()
	b.settleTasks()
	b.closeHosts()
	b.packArrived()
	changed = make([]string, 0, len(b.changed))
	for id := range b.changed {
		changed = append(changed, id)
	}
	b.changed = emptied(b.changed)
	slices.Sort(changed)
	return changed
}

// emptied gives an empty map: the same one, unless it would keep much room for what
// seldom happens.
func emptied[K comparable, V any](m map[K]V) map[K]V {
	if len(m) > manyDirty {
		return map[K]V{}
	}
	clear(m)
	return m
}

const manyDirty = 1000

// open makes a host's indexes, which closeHosts drops.
func (b *Book) open(h *hostView) {
	h.open()
	if !h.opened {
		h.opened = true
		b.opened = append(b.opened, h)
	}
}

// judged drops what was opened of a host that was judged, or keeps it until the end of
// the settling where few are judged: it may be asked for again.
func (b *Book) judged(h *hostView, of int) {
	switch {
	case h == nil:
	case of >= many:
		h.close()
	case !h.opened:
		h.opened = true
		b.opened = append(b.opened, h)
	}
}

// manyOpened is how many hosts' indexes are kept at once.
const manyOpened = 256

func (b *Book) closeHosts() {
	for _, h := range b.opened {
		h.close()
	}
	b.opened = b.opened[:0]
}

// touchAll marks everything.
func (b *Book) touchAll() {
	for _, h := range b.hosts {
		if h.node.group != nil {
			h.changed = true
			b.dirtyNode(h.node)
			h.read(&b.in)
			b.schedule(h)
		}
	}
	for _, nodes := range b.hostRecords {
		for _, n := range nodes {
			b.dirtyNode(n)
		}
	}
	for _, h := range b.homes {
		for _, t := range h.things {
			b.touch(t)
		}
	}
	for _, g := range b.projects {
		b.dirtyGroups[g] = true
	}
	for _, g := range b.groups {
		b.dirtyGroups[g] = true
	}
	for name, s := range b.sites {
		b.dirtySites[name], s.lost.dirty = true, true
	}
	for _, g := range b.unresolved {
		b.dirtyGroups[g] = true
	}
	for id := range b.awaited {
		b.changed[id] = true
	}
	for _, u := range b.taskUnits {
		b.dirtyTasks[u] = true
	}
	b.dirtyInventory, b.dirtySpeakers = true, true
}

// Finding gives one finding as the last settling found it, without its life.
func (b *Book) Finding(id string) (Finding, bool) { return b.get(id, b.in.Now) }

// Findings gives all of them, sorted.
func (b *Book) Findings() []Finding {
	all := make([]Finding, 0, len(b.parts))
	for id := range b.parts {
		f, _ := b.get(id, b.in.Now)
		all = append(all, f)
	}
	SortFindings(all)
	return all
}

// scratch makes what one unit is judged with.
func (b *Book) scratch() *pass {
	return &pass{book: b, in: b.in, intended: b.intended, whole: b.keep, hostRecord: b.hostRecord, byID: map[string]int{},
		vmByUUID: map[uuid.UUID]*sighted{}, bases: map[string]*MatchBasis{}}
}

func compareIDs(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }
