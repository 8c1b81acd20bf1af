package evaluate

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Evidence is what a score rests on, with where it can be looked at.
type Evidence struct {
	Says string `json:"says"`
	// Link is a command, a file with a line or a step, or an attestation's source.
	Link string `json:"link"`
	At   string `json:"at"` // when it was true: RFC 3339, or a date
}

// CheckScore is what one check came to.
type CheckScore struct {
	ID       string     `json:"id"`
	From     string     `json:"from"` // fleet, probe or attested
	Level    *Level     `json:"level"`
	Share    *Share     `json:"share,omitempty"` // of the things counted, where it is about such
	Ratio    *float64   `json:"ratio,omitempty"`
	Evidence []Evidence `json:"evidence,omitempty"`
	// Missing says why there is no level.
	Missing string `json:"missing,omitempty"`
	// Lift says what would bring it to the requirement's minimum.
	Lift string `json:"lift,omitempty"`
}

// Sources is all the evidence that there is.
type Sources struct {
	Numbers   []Numbers // by platform
	NumbersAt time.Time
	Probes    []ProbeFile
	Attested  []Attestation
}

// ProbeFile is a probe's result with the file it is in.
type ProbeFile struct {
	Name string
	Run  *ProbeRun
}

// judge settles one check for a platform.
func (s *Sources) judge(platform string, r *Requirement, c *Check, now time.Time) CheckScore {
	score := CheckScore{ID: c.ID}
	switch {
	case c.Fleet != "":
		score.From = "fleet"
		s.fromFleet(platform, r, c, &score)
	case c.Probe != nil:
		score.From = "probe"
		s.fromProbe(platform, r, c, now, &score)
	default:
		score.From = "attested"
		s.fromAttested(platform, r, c, now, &score)
	}
	return score
}

// reach sets the level that a share reaches, and what it lacks to the minimum.
func (score *CheckScore) reach(c *Check, r *Requirement, ratio float64) bool {
	level := c.level(ratio)
	score.Level, score.Ratio = &level, &ratio
	return level >= r.Minimum
}

func (s *Sources) fromFleet(platform string, r *Requirement, c *Check, score *CheckScore) {
	worst, ratio, share := s.worst(platform, c.Fleet)
	if worst == nil {
		score.Missing, score.Lift = s.unseen(platform, c.Fleet)
		return
	}
	score.Share = share
	says := fmt.Sprintf("%s is %s", numberWords(c.Fleet), Percent(ratio))
	if share != nil {
		says += fmt.Sprintf(", %d of %d", share.Have, share.Of)
	}
	score.Evidence = []Evidence{{
		Says: fmt.Sprintf("%s (hosts: %d, VMs: %d)", says, worst.Hosts.Of, worst.VMs),
		Link: "avstem platforms --platform " + platform, At: s.NumbersAt.UTC().Format(time.RFC3339),
	}}
	if !score.reach(c, r, ratio) {
		score.Lift = fmt.Sprintf("bring %s from %s to %s%s", numberWords(c.Fleet), Percent(ratio), Percent(c.wants(r.Minimum)), worst.mostOf(c.Fleet))
	}
}

// worst gives a number of a platform's VMs: one that drives two runtimes is as
// good as the worse of them. Containers are no VMs and don't count, nor does what
// shows the VMs of another once more and with less: libvirt's in its QEMU processes.
func (s *Sources) worst(platform, name string) (worst *Numbers, ratio float64, share *Share) {
	led := slices.ContainsFunc(s.Numbers, func(n Numbers) bool { return n.Platform == platform && n.Type == "" && n.Identity.led() > 0 })
	for i := range s.Numbers {
		n := &s.Numbers[i]
		if n.Platform != platform || n.Type != "" || led && n.VMs > 0 && n.Identity.led() == 0 {
			continue
		}
		if value, of, found := n.number(name); found && (worst == nil || value < ratio) {
			worst, ratio, share = n, value, of
		}
	}
	return worst, ratio, share
}

// unseen says why the fleet has no such number of a platform.
func (s *Sources) unseen(platform, name string) (missing, lift string) {
	vms, others := false, false
	for i := range s.Numbers {
		if s.Numbers[i].Platform == platform {
			vms, others = vms || s.Numbers[i].Type == "" && s.Numbers[i].VMs > 0, others || s.Numbers[i].Type != ""
		}
	}
	switch {
	case vms:
		return "nothing in the fleet has it: " + numberWords(name), "let " + platform + " have a VM that has it: " + numberWords(name)
	case others:
		return "only containers of it were seen, and no VM", "let a VM run on " + platform
	}
	return "no host of the fleet shows a VM of it", "let a VM run on a host with " + platform + " and an agent"
}

// number gives one of the numbers by its name in the criteria.
func (n *Numbers) number(name string) (ratio float64, share *Share, found bool) {
	of := func(s Share) (float64, *Share, bool) {
		ratio, some := s.Ratio()
		return ratio, &s, some
	}
	head := func(f *float64) (float64, *Share, bool) {
		if f == nil {
			return 0, nil, false
		}
		return *f, nil, true
	}
	switch name {
	case "observability":
		return head(n.Observability)
	case "observable":
		return head(n.Observable)
	case "reconcilability":
		return head(n.Reconcilability)
	case "durable":
		return of(n.Identity.Durable)
	case "host-identity":
		return of(n.HostIdentity)
	case "hosts":
		return of(n.Hosts)
	case "paths":
		return of(n.Paths)
	}
	f := n.field(name)
	switch {
	case f == nil:
		return 0, nil, false
	case strings.HasPrefix(name, "settable:"):
		return of(f.Settable())
	}
	return of(f.Share)
}

// field gives the field that a number is about, nil where it is about none or
// nothing has it.
func (n *Numbers) field(name string) *FieldShare {
	kind, field, _ := strings.Cut(name, ":")
	fields := n.Fields
	if kind == "compared" {
		fields = n.Compared
	}
	i := slices.IndexFunc(fields, func(f FieldShare) bool { return string(f.Field) == field })
	if i < 0 {
		return nil
	}
	return &fields[i]
}

// mostOf names the largest gap behind a number.
func (n *Numbers) mostOf(name string) string {
	f := n.field(name)
	if f == nil {
		switch name { // the field that fares worst says most
		case "observability", "observable":
			f = leastOf(n.Fields)
		case "reconcilability":
			f = leastOf(n.Compared)
		}
	}
	if f == nil || len(f.Gaps) == 0 {
		return ""
	}
	most := slices.MaxFunc(f.Gaps, func(a, b Gap) int { return a.Count - b.Count })
	words := fmt.Sprintf(": %s is lacking on %d of %d (%s", f.Field, most.Count, f.Of, most.Why)
	if most.Note != "" {
		words += ": " + most.Note
	}
	if words += ")"; most.Remedy != "" {
		words += "; " + most.Remedy
	}
	return words
}

func leastOf(fields []FieldShare) *FieldShare {
	var least *FieldShare
	low := 1.0
	for i := range fields {
		f := &fields[i]
		if ratio, some := f.Ratio(); some && (f.Needed || f.Known == "") && ratio < low {
			least, low = f, ratio
		}
	}
	return least
}

func (s *Sources) fromProbe(platform string, r *Requirement, c *Check, now time.Time, score *CheckScore) {
	file := s.probeOf(platform, now)
	switch {
	case file == nil:
		score.Missing = "no result of a probe was given"
		score.Lift = probeLift(platform)
		return
	case file.Run.At.After(now.Add(ahead)):
		score.Missing = fmt.Sprintf("the probe in %s says that it was in the future (%s)", file.Name, file.Run.At.UTC().Format(time.RFC3339))
		score.Lift = probeLift(platform)
		return
	case now.Sub(file.Run.At) > attestedFor:
		score.Missing = fmt.Sprintf("the probe of %s (%s) is more than a year old", file.Run.At.UTC().Format(time.DateOnly), file.Name)
		score.Lift = probeLift(platform)
		return
	}
	t := file.Run.tally(c.Probe)
	if t.share.Of == 0 {
		score.Missing = fmt.Sprintf("%s has none of the steps %s, so nothing shows whether %s", platform, strings.Join(c.Probe.Steps, ", "), aspectWords(c.Probe.Aspect))
		score.Lift = "find another way to show it: " + r.Wants
		return
	}
	// Steps that nothing is known of may be true or not: the level is known where
	// that makes no difference to whether the requirement is met.
	worst := float64(t.share.Have) / float64(t.share.Of)
	best := float64(t.share.Have+len(t.open)) / float64(t.share.Of)
	ratio := worst
	switch {
	case c.level(worst) >= r.Minimum:
	case c.level(best) < r.Minimum:
		ratio = best
	default:
		score.Missing = fmt.Sprintf("the probe could not tell of %s whether %s", strings.Join(t.open, ", "), aspectWords(c.Probe.Aspect))
		score.Lift = fmt.Sprintf("let the probe get through %s (see %s)", strings.Join(t.open, ", "), file.Name)
		if what, held := strings.CutPrefix(c.Probe.Aspect, "held:"); held && file.Run.worked(t.open) {
			score.Missing = fmt.Sprintf("the probe's guest has no %s that could be kept", what)
			score.Lift = fmt.Sprintf("let the probe's guest have %s, if the runtime has such (see %s)", what, file.Name)
		}
		return
	}
	score.Share = &t.share
	says := fmt.Sprintf("%s: true of %d steps of %d", aspectWords(c.Probe.Aspect), t.share.Have, t.share.Of)
	if file.Run.Type != "" {
		says += " with a " + file.Run.Type
	}
	if len(t.no) > 0 {
		says += ", not of " + strings.Join(t.no, ", ")
	}
	if len(t.open) > 0 {
		says += "; nothing is known of " + strings.Join(t.open, ", ")
	}
	if len(file.Run.Left) > 0 {
		says += "; left behind: " + strings.Join(file.Run.Left, ", ")
	}
	score.Evidence = []Evidence{{Says: says, Link: file.Name + "#" + strings.Join(c.Probe.Steps, ","), At: file.Run.At.UTC().Format(time.RFC3339)}}
	if score.reach(c, r, ratio) {
		return
	}
	score.Lift = fmt.Sprintf("make it true of %s that %s", strings.Join(t.no, ", "), aspectWords(c.Probe.Aspect))
	if step := file.Run.step(t.no[0]); step != nil && step.Error != "" {
		score.Lift += ": " + step.Error
	}
}

// aspectWords says what an aspect of a step means.
func aspectWords(aspect string) string {
	switch aspect {
	case "worked":
		return "it works without a person"
	case "seen":
		return "its effect is observed in time"
	case "event":
		return "the runtime tells of it by an event"
	}
	what := map[string]string{"uuid": "the UUID", "macs": "the MAC addresses", "serials": "the disks' serials", "nics": "the order of the NICs", "metadata": "the metadata"}
	return what[strings.TrimPrefix(aspect, "held:")] + " stays what it was"
}

func probeLift(platform string) string {
	return "run avstem-probe on a lab host with " + platform + ", and give its result with --probe"
}

// ahead is how far in the future evidence may be dated: clocks differ, and so do
// the days of time zones.
const ahead = 24 * time.Hour

// probeOf is the newest result for a platform. One from the future is given only
// where there is no other.
func (s *Sources) probeOf(platform string, now time.Time) *ProbeFile {
	var newest *ProbeFile
	for i := range s.Probes {
		if f := &s.Probes[i]; f.Run.Platform == platform && (newest == nil || newer(f.Run.At, newest.Run.At, now)) {
			newest = f
		}
	}
	return newest
}

// newer says whether evidence of one time counts more than of another.
func newer(a, b, now time.Time) bool {
	if future := a.After(now.Add(ahead)); future != b.After(now.Add(ahead)) {
		return !future
	}
	return a.After(b)
}

func (s *Sources) fromAttested(platform string, r *Requirement, c *Check, now time.Time, score *CheckScore) {
	score.Lift = "attest " + r.ID + ": " + c.Attested
	var newest *Attestation
	for i := range s.Attested {
		a := &s.Attested[i]
		if a.Platform == platform && a.Requirement == r.ID && (a.Check == "" || a.Check == c.ID) && (newest == nil || a.before(newest, now)) {
			newest = a
		}
	}
	switch {
	case newest == nil:
		score.Missing = "nobody has attested it"
		return
	case newest.date().After(now.Add(ahead)):
		score.Missing = fmt.Sprintf("what was attested (%s) is dated in the future, on %s", newest.Where, newest.Date)
		return
	case newest.old(now):
		score.Missing = fmt.Sprintf("what was attested on %s (%s) is more than a year old", newest.Date, newest.Where)
		score.Lift += ", anew"
		return
	}
	score.Level = &newest.Level
	score.Evidence = []Evidence{{Says: newest.Says + " (" + newest.By + ", " + newest.Where + ")", Link: newest.Source, At: newest.Date}}
	if score.Lift = ""; newest.Level < r.Minimum {
		score.Lift = fmt.Sprintf("improve %s, which was attested at level %d: %s", r.ID, newest.Level, newest.Says)
	}
}

// Percent writes a share with one digit after the point where it has any, cut and
// not rounded: what is not quite all is never written as all.
func Percent(ratio float64) string {
	tenths := int(ratio*1000 + 1e-9)
	switch {
	case tenths == 0 && ratio > 0:
		return "under 0.1 %"
	case tenths%10 == 0:
		return fmt.Sprintf("%d %%", tenths/10)
	}
	return fmt.Sprintf("%d.%d %%", tenths/10, tenths%10)
}

// numberWords says what a number of the criteria is.
func numberWords(name string) string {
	switch name {
	case "observable":
		return "observability (if all were set)"
	case "durable":
		return "the share of VMs matched on a durable identity"
	case "host-identity":
		return "the share of hosts matched on a durable identity"
	case "hosts":
		return "the share of hosts whose VMs could all be listed"
	case "paths":
		return "the share of NICs whose way off the host could be followed"
	}
	kind, field, of := strings.Cut(name, ":")
	switch {
	case !of:
		return name
	case kind == "seen":
		return "the share on which " + field + " is seen"
	case kind == "settable":
		return "the share on which " + field + " can be seen"
	}
	return "the share on which " + field + " could be compared"
}
