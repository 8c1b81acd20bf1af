package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/evaluate"
)

// Hosts writes which hosts are seen and how well, for people, with the reasons below.
func Hosts(w io.Writer, health *evaluate.Health, o Options) error {
	g := &grid{width: o.width(), painter: painter(o.Color), flex: 7, columns: []column{
		{title: "HOST", most: 34, cut: true}, {title: "SITE", cut: true}, {title: "STATE", firm: true}, {title: "VMS", right: true, firm: true},
		{title: "PLATFORM", cut: true}, {title: "AGENT", cut: true}, {title: "HEARD", firm: true}, {title: "HOST ID"},
	}, least: len(uuid.UUID{}.String())}
	for i := range health.Hosts {
		h := &health.Hosts[i]
		heard, id := "never", ""
		if !h.LastHeard.IsZero() {
			heard = max(0, o.Now.Sub(h.LastHeard)).Round(time.Second).String() + " ago"
		}
		if h.ID != uuid.Nil {
			id = h.ID.String()
		}
		g.rows = append(g.rows, gridRow{
			cells: []string{printable(h.Host), printable(cmp.Or(h.Site, "–")), string(h.State), count(h.VMs),
				printable(cmp.Or(strings.Join(h.Platforms, ","), "–")), printable(cmp.Or(h.Version, "–")), heard, id},
			sgr: make([]string, len(g.columns)),
		})
	}
	var b strings.Builder
	g.write(&b)
	for i := range health.Hosts {
		h := &health.Hosts[i]
		why := h.Why
		if h.Skew != 0 {
			why = append([]string{fmt.Sprintf("its clock is %s off", h.Skew.Round(time.Second))}, why...)
		}
		for _, reason := range why {
			b.WriteByte('\n')
			// A message may begin with the host's name, as it stands alone elsewhere.
			reason = strings.TrimPrefix(reason, h.Host+" ")
			b.WriteString(strings.Join(wrap(printable(h.Host+": "+reason), o.width()), "\n  "))
		}
	}
	if slices.ContainsFunc(health.Hosts, func(h evaluate.HostHealth) bool { return len(h.Why) > 0 || h.Skew != 0 }) {
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "\n%d of %d live\n", health.Whole.Hosts[evaluate.HostLive], health.Whole.Total())
	if health.Left > 0 {
		fmt.Fprintf(&b, "not shown, of those that are best: %d\n", health.Left)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
