package fleet

import (
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// What a reconciler has besides both books: policy, tasks, and how hosts are heard.

const (
	silentFor = 40 * time.Second // more than policy allows
	aheadBy   = time.Minute      // likewise
	// newer is a version of documents that no reader of today takes.
	newer         = "avstem.observation/v2"
	sourceImages  = "images"
	notUnderstood = `schema "` + newer + `" is newer than this avstem understands`
)

// Policy is the default one, with a suppression that is past its date, one that
// speaks of nothing, and a newer file that can't be used.
func (f *Fleet) Policy() reconcile.Policy {
	p := reconcile.DefaultPolicy()
	if f.DriftEvery > 0 {
		p.Suppressions = []reconcile.Suppression{
			{ID: "the move of spring", Match: reconcile.Match{Kind: "vm.*"}, Value: "*", Reason: "hosts were replaced", Owner: "ops", Expires: epoch.Add(-time.Hour)},
			{ID: "the old lab", Match: reconcile.Match{Kind: "host.*", Subject: "lab-*"}, Value: "*", Reason: "it is taken apart", Owner: "ops", Expires: epoch.Add(1000 * time.Hour)},
		}
		p.Problems = []sentral.Problem{{Where: "policy.yaml:3:1", Error: "unknown key graces"}}
	}
	return p
}

// Tasks are what Maskin says of the VMs of a site, or with "" of every site.
func (f *Fleet) Tasks(site string) (tasks []reconcile.Task) {
	for h := range f.Hosts {
		if site != "" && f.Site(h) != site {
			continue
		}
		for nth := range f.VMs {
			if d := f.drift(h*f.VMs + nth); d != nil && d.Kinds[0] == reconcile.VMTask {
				tasks = append(tasks, *f.place(h, nth).task)
			}
		}
	}
	return tasks
}

// Input is all that one pass of the pure core over the whole fleet rests on.
func (f *Fleet) Input(intended *sentral.Inventory, now time.Time) reconcile.Input {
	in := reconcile.Input{Intended: intended, Heard: map[uuid.UUID]time.Time{}, Clocks: map[uuid.UUID]time.Duration{}, Tasks: f.Tasks(""), Policy: f.Policy(), Now: now}
	for h := range f.Hosts {
		in.Heard[HostID(h)] = now
		if d := f.hostDrift(h); d != nil {
			if d.stale {
				in.Heard[HostID(h)] = now.Add(-silentFor)
			}
			if d.clock {
				in.Clocks[HostID(h)] = aheadBy
			}
			if d.gap {
				in.Gaps = append(in.Gaps, reconcile.Gap{Host: HostID(h), Site: f.Site(h), Source: sourceNetwork, Held: "epoch 1, gen 1", Since: now.Add(-silentFor)})
			}
			if d.refused {
				in.Refused = append(in.Refused, reconcile.Refusal{Host: HostID(h), Site: f.Site(h), Source: sourceImages, Reason: notUnderstood, At: now})
			}
		}
		for _, o := range f.Documents(h, 1) {
			in.Observed = append(in.Observed, reconcile.Document{Observation: o, Received: now})
		}
	}
	return in
}
