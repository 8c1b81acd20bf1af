package install

import (
	"regexp"
	"strings"
	"testing"

	"github.com/dataverket/avstem/test/lab"
)

// On hosts with a kernel of their own, which takes full-sized labs: what containers
// share with this machine, its clock, is broken here.
func TestOnWholeHosts(t *testing.T) {
	if !lab.Full() {
		return
	}
	todo := commands(t)
	dir := build(t, "1.0.0", "avstem avstem-agent")
	l := lab.ForTest(t, lab.Options{Hosts: 2})
	server, host := l.Host(0), l.Host(1)
	put(t, server, dir, "avstem")
	put(t, host, dir, "avstem-agent")
	run := steps(t)
	run("both are installed by the page, with bond, bridge, LVM, multipath and a VM", func(w *walk) {
		for _, h := range l.Hosts() {
			// hostfs gives root what a service's user makes, see docs/lab.md.
			if _, err := h.Run(t.Context(), "for d in avstem avstem-server avstem-report; do mkdir -p /var/lib/$d && mount -t tmpfs tmpfs /var/lib/$d; done"); err != nil {
				t.Fatal(err)
			}
		}
		if err := host.Furnish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := host.StartVM(t.Context()); err != nil {
			t.Fatal(err)
		}
		given := regexp.MustCompile(`avstem1\.[A-Za-z0-9_-]+`).FindString(w.must(server, todo["server"][0]) + w.must(server, todo["server"][1]))
		w.words = strings.NewReplacer("SERVER", server.Address(), "TOKEN", given)
		for _, command := range todo["host"][:2] {
			w.must(host, command)
		}
		w.soon(server, todo["server"][4], host.Name()+" .* 1 +libvirt ")
		w.must(server, todo["adopt"][0])
		w.soon(server, todo["adopt"][1], "web-02")
	})
	run("a clock that is wrong is found, and doctor says by how much", func(w *walk) {
		w.must(host, "date -s '+2 hours'")
		w.soon(server, "avstem drift --kind observe.clock", `observe\.clock +`+host.Name())
		out, err := w.on(host, "avstem-agent doctor")
		if err == nil {
			w.t.Error("doctor finds nothing")
		}
		w.says(out, "timedatectl set-ntp true")
		if !regexp.MustCompile(`(?m)^broken +clock .*: (1h59m5|2h0m)`).MatchString(out) { // give or take a second
			w.t.Errorf("doctor doesn't find two hours:\n%s", out)
		}
		missed(w, w.must(server, "avstem drift --all"))
		w.must(host, "date -s '-2 hours'")
		w.soon(server, "avstem drift --kind observe.clock", "(?i)nothing")
	})
}
