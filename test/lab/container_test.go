package lab

import (
	"testing"
)

// Hosts that are containers have what services and their packages need.
func TestContainers(t *testing.T) {
	l := ForTest(t, Options{Hosts: 2, Container: true})
	for _, h := range l.Hosts() {
		if got := run(t, h, "hostname; cat /proc/1/comm; systemctl is-system-running; journalctl -q -n 1 -o cat _PID=1 | wc -l"); got != h.Name()+"\nsystemd\nrunning\n1" {
			t.Errorf("%s says %q", h.Name(), got)
		}
	}
	first := l.Host(0)
	if got := run(t, first, "ping -c 1 -W 5 "+l.Host(1).Address()+" >/dev/null && systemd-run -q --pipe -p DynamicUser=yes -p PrivateUsers=yes -p ProtectSystem=strict -p SystemCallFilter=@system-service id -u"); len(got) != 5 {
		t.Errorf("a service runs as %q", got)
	}
	run(t, first, "useradd user && install -d -o user /var/lib/kept && runuser -u user -- touch /var/lib/kept/file && cat /proc/sys/kernel/random/boot_id")
	if err := first.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := run(t, first, "stat -c %U /var/lib/kept/file"); got != "user" {
		t.Errorf("the file is %s's after a reboot", got)
	}
}
