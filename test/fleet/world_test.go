package fleet

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/reconcile"
)

// life is a fleet that lives, five seconds at a time.
type life struct {
	*rig
	*World
	t     *testing.T
	began time.Time // in the stream's time: what was told before isn't looked at
	next  int       // the VM that was picked last
}

func newLife(t *testing.T, p Plan) *life {
	g := newRig(t, p)
	l := &life{rig: g, World: NewWorld(g.Fleet, g.r.Intended()), t: t}
	for range 3 { // all but what has a grace of minutes is open then
		l.wait(silentFor)
	}
	l.began = time.Now()
	return l
}

// wait publishes what has changed, has it read, lets time pass and publishes what
// the reconcilers say.
func (l *life) wait(d time.Duration) {
	l.t.Helper()
	n, err := l.hosts.Changed(l.t.Context(), l.World)
	if err != nil {
		l.t.Fatal(err)
	}
	if n > 0 {
		l.read(l.t)
	}
	l.r.Intend(l.Inventory())
	events, err := l.r.Wait(d, func(host int) bool { return !l.Dead(host) })
	if err != nil {
		l.t.Fatal(err)
	}
	for _, e := range events {
		if err := Tell(l.t.Context(), l.conn, e.Finding.Subject.Site, []reconcile.Event{e}); err != nil {
			l.t.Fatal(err)
		}
	}
}

// pick gives another VM that doesn't drift, on a host that doesn't, with its host
// and that one's partner.
func (l *life) pick() (vm, host, partner int) {
	for {
		l.next += 7
		vm = l.next % (l.Hosts * l.VMs)
		host = vm / l.VMs
		if partner, _ = l.Partner(host); l.Quiet(host) && l.Settled(vm) {
			return vm, host, partner
		}
	}
}

// told is what the event stream says since the beginning, each with how often.
func (l *life) told() map[string]int {
	l.t.Helper()
	told := map[string]int{}
	if _, err := l.conn.DriftEvents(l.t.Context(), "", l.began, func(e bus.DriftEvent) {
		var f reconcile.Finding
		if err := json.Unmarshal(e.Finding, &f); err != nil {
			l.t.Fatal(err)
		}
		told[fmt.Sprintf("%s %s %s", e.Action, f.Kind, f.Subject.ID)]++
	}); err != nil {
		l.t.Fatal(err)
	}
	return told
}

func (l *life) tells(want map[string]int) {
	l.t.Helper()
	if diff := cmp.Diff(want, l.told()); diff != "" {
		l.t.Errorf("events (-that happened +told):\n%s", diff)
	}
}

const tick = 5 * time.Second

// What happens every day to a fleet makes no event: live migrations, a VM that two
// hosts show for a while, VMs that are made and deleted, in either book first.
func TestOrdinaryLifeIsSilent(t *testing.T) {
	l := newLife(t, Plan{Hosts: 60, VMs: 10, Sites: 3, DriftEvery: 20})
	before := l.r.Found()
	type moving struct{ vm, host, to int }
	var migrating, late []moving
	for range 8 {
		vm, host, to := l.pick()
		migrating = append(migrating, moving{vm, host, to})
		l.Show(vm, Spot{Host: host}, Spot{Host: to, Arriving: true})
		vm, host, to = l.pick()
		late = append(late, moving{vm, host, to})
		l.Show(vm, Spot{Host: host}, Spot{Host: to}) // its old host's document is behind
	}
	var made, recorded, deleted, struck []int
	for range 8 {
		vm, _, host := l.pick()
		deleted = append(deleted, vm)
		l.Show(vm) // and Sentral will be told
		vm, _, _ = l.pick()
		struck = append(struck, vm)
		l.Strike(vm) // and its host will delete it
		made, recorded = append(made, l.Make()), append(recorded, l.Make())
		l.Show(made[len(made)-1], Spot{Host: host})
		l.Record(recorded[len(recorded)-1], host)
	}
	l.wait(tick)
	for i := range migrating {
		l.Show(migrating[i].vm, Spot{Host: migrating[i].to})
	}
	l.wait(tick)
	for i := range late {
		l.Show(late[i].vm, Spot{Host: late[i].to})
	}
	for i := range made {
		l.Strike(deleted[i])
		l.Show(struck[i])
		l.Record(made[i], l.seen[made[i]][0].Host)
		l.Show(recorded[i], Spot{Host: l.seen[made[i]][0].Host})
	}
	l.wait(tick)
	for i := range late {
		l.Record(migrating[i].vm, migrating[i].to)
		l.Record(late[i].vm, late[i].to)
	}
	for range 12 {
		l.wait(tick)
	}
	l.tells(map[string]int{})
	if diff := cmp.Diff(before, l.r.Found()); diff != "" {
		t.Errorf("findings by kind (-before +after):\n%s", diff)
	}
}

// Of a host that dies it is told that it is silent, and nothing of its VMs, that come
// up elsewhere and that Sentral records there.
func TestAFailoverIsOneEvent(t *testing.T) {
	l := newLife(t, Plan{Hosts: 36, VMs: 10, Sites: 3})
	_, host, partner := l.pick()
	l.Die(host)
	for range 8 {
		l.wait(tick)
	}
	for vm := host * l.VMs; vm < (host+1)*l.VMs; vm++ {
		l.Show(vm, Spot{Host: partner})
	}
	l.wait(tick)
	l.wait(tick)
	for vm := host * l.VMs; vm < (host+1)*l.VMs; vm++ {
		l.Record(vm, partner)
	}
	for range 12 {
		l.wait(tick)
	}
	want := map[string]int{"opened host.stale " + HostKey(host): 1}
	l.tells(want)
	l.Retire(host)
	l.wait(tick)
	want["resolved host.stale "+HostKey(host)] = 1
	l.tells(want)
}

// What isn't as it should be is told, once it has lasted: a VM that runs on two
// hosts, one that migrated and that Sentral still has where it was, and one that is
// lost; and so is their end.
func TestWhatLastsIsTold(t *testing.T) {
	l := newLife(t, Plan{Hosts: 36, VMs: 10, Sites: 3})
	twice, one, other := l.pick()
	l.Show(twice, Spot{Host: one}, Spot{Host: other})
	moved, _, to := l.pick()
	l.Show(moved, Spot{Host: to})
	lost, home, _ := l.pick()
	l.Show(lost)
	for range 10 {
		l.wait(tick)
	}
	want := map[string]int{}
	for vm, kind := range map[int]string{twice: "vm.duplicate", moved: "vm.misplaced", lost: "vm.missing"} {
		want[fmt.Sprintf("opened %s %s", kind, numbered('v', vm))] = 1
	}
	l.tells(want)
	l.Show(twice, Spot{Host: one})
	l.Record(moved, to)
	l.Show(lost, Spot{Host: home})
	for range 2 {
		l.wait(tick)
	}
	for vm, kind := range map[int]string{twice: "vm.duplicate", moved: "vm.misplaced", lost: "vm.missing"} {
		want[fmt.Sprintf("resolved %s %s", kind, numbered('v', vm))] = 1
	}
	l.tells(want)
}

// A site that is cut off is one matter: nothing is said of its VMs, and each host's
// silence is folded under it.
func TestASiteThatIsCutOff(t *testing.T) {
	l := newLife(t, Plan{Hosts: 36, VMs: 10, Sites: 3})
	site, hosts := l.Site(1), 0
	away := func(host int) bool { return l.Site(host) != site }
	for range 8 {
		events, err := l.r.Wait(tick, away)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			switch f := e.Finding; {
			case f.Kind == reconcile.ObserveSilence && f.CausedBy == "":
			case f.Kind == reconcile.HostStale && f.CausedBy != "":
				hosts++
			default:
				t.Errorf("told: %s (caused by %q)", f.Message, f.CausedBy)
			}
		}
	}
	if found := l.r.Found(); found[reconcile.ObserveSilence] != 1 || hosts != 12 || len(found) != 2 {
		t.Errorf("found %v, and %d hosts were told to be silent", found, hosts)
	}
	for range 2 {
		if _, err := l.r.Wait(tick, Everybody); err != nil {
			t.Fatal(err)
		}
	}
	if found := l.r.Found(); len(found) > 0 {
		t.Errorf("found when it was back: %v", found)
	}
}
