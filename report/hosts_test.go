package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/report"
)

func TestHosts(t *testing.T) {
	at := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	health := &evaluate.Health{Hosts: []evaluate.HostHealth{
		{Host: "hv-osl1-02", Site: "osl1", State: evaluate.HostUnheard, Why: []string{"hv-osl1-02 is active in Sentral and was never heard"}},
		{Host: "hv-osl1-01", Site: "osl1", State: evaluate.HostLive, VMs: 12, Platforms: []string{"libvirt"}, Version: "1.2.3",
			LastHeard: at.Add(-3 * time.Second), ID: uuid.MustParse("6f1c0000-0000-4000-8000-000000000001")},
	}}
	for width, want := range map[int]string{
		80: `HOST        SITE  STATE    VMS  PLATFORM  AGENT  HEARD
hv-osl1-02  osl1  unheard    0  –         –      never
hv-osl1-01  osl1  live      12  libvirt   1.2.3  3s ago
            6f1c0000-0000-4000-8000-000000000001

hv-osl1-02: is active in Sentral and was never heard

`,
		100: `HOST        SITE  STATE    VMS  PLATFORM  AGENT  HEARD   HOST ID
hv-osl1-02  osl1  unheard    0  –         –      never
hv-osl1-01  osl1  live      12  libvirt   1.2.3  3s ago  6f1c0000-0000-4000-8000-000000000001

hv-osl1-02: is active in Sentral and was never heard

`,
	} {
		var out strings.Builder
		if err := report.Hosts(&out, health, report.Options{Width: width, Now: at}); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(out.String(), want) {
			t.Errorf("at %d columns it is\n%swant\n%s", width, out.String(), want)
		}
	}
}
