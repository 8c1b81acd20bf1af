package install

import (
	"regexp"
	"testing"

	"github.com/dataverket/avstem/test/lab"
)

// breakAgent breaks what a host's agent lives on, and has it upgraded.
func breakAgent(t *testing.T, server, host *lab.Host, upgrade []string, old, next string) {
	run := steps(t)
	run("a wrong file is named by line and key", func(w *walk) {
		w.must(host, "echo 'interval: soon' >>/etc/avstem/agent.yaml")
		_, err := w.on(host, "systemctl restart avstem-agent && sleep 1 && systemctl is-active avstem-agent")
		if err == nil {
			w.t.Error("it runs")
		}
		w.soon(host, "journalctl -u avstem-agent -n 40 -o cat", `/etc/avstem/agent\.yaml:[0-9]+: interval: `)
		_, _ = w.on(host, "systemctl status --no-pager avstem-agent") // for the log: it fails, as the service does
		w.must(host, "sed -i '/^interval: soon/d' /etc/avstem/agent.yaml; systemctl reset-failed avstem-agent; systemctl restart avstem-agent")
	})
	run("credentials that are lost are missed by name", func(w *walk) {
		w.must(host, "mv /var/lib/avstem/nats.creds /var/lib/avstem/kept; systemctl restart avstem-agent || true")
		out, err := w.on(host, "avstem-agent doctor")
		if err == nil {
			w.t.Error("doctor finds nothing")
		}
		w.says(out, "broken", "type: ")
		w.must(host, "mv /var/lib/avstem/kept /var/lib/avstem/nats.creds; systemctl reset-failed avstem-agent; systemctl restart avstem-agent")
		w.soon(server, "avstem hosts", isLive(host, ""))
	})
	run("a full state directory is named, and nothing is lost", func(w *walk) {
		before := w.must(host, "avstem-agent identity show")
		w.must(host, `systemctl stop avstem-agent; cp -a /var/lib/avstem /var/lib/kept; mount -t tmpfs -o size=128k,mode=700,uid=$(id -u avstem-agent),gid=$(id -g avstem-agent) tmpfs /var/lib/avstem; cp -a /var/lib/kept/. /var/lib/avstem; dd if=/dev/zero of=/var/lib/avstem/fill bs=4k 2>/dev/null || true; systemctl start --no-block avstem-agent; sleep 3`)
		out, err := w.on(host, "avstem-agent doctor")
		if err == nil {
			w.t.Error("doctor finds nothing")
		}
		w.says(out, "no space left on device", "df -h /var/lib/avstem")
		w.soon(host, "journalctl -u avstem-agent -n 40 -o cat", "no space left on device: make room in /var/lib/avstem")
		w.must(host, "systemctl stop avstem-agent; umount /var/lib/avstem; rm -rf /var/lib/kept; systemctl reset-failed avstem-agent; systemctl start avstem-agent")
		id := regexp.MustCompile(`[0-9a-f-]{36}`)
		if after := w.must(host, "avstem-agent identity show"); id.FindString(after) != id.FindString(before) {
			w.t.Error("it is another host")
		}
		w.soon(server, "avstem hosts", isLive(host, ""))
	})
	run("an agent that hangs is killed and started again", func(w *walk) {
		w.must(host, "mkdir -p /run/systemd/system/avstem-agent.service.d; printf '[Service]\\nWatchdogSec=8\\nRestartSec=1\\n' >/run/systemd/system/avstem-agent.service.d/quick.conf; systemctl daemon-reload; systemctl restart avstem-agent; kill -STOP $(systemctl show --value -p MainPID avstem-agent)")
		w.soon(host, "systemctl show -p NRestarts,ActiveState avstem-agent; journalctl -u avstem-agent -o cat | grep -i watchdog", "(?s)NRestarts=1.*ActiveState=active|(?s)ActiveState=active.*NRestarts=1")
		w.must(host, "rm -r /run/systemd/system/avstem-agent.service.d; systemctl daemon-reload; systemctl restart avstem-agent")
	})
	run("an upgrade while it runs, and back", func(w *walk) {
		w.must(host, "echo '# written by its operator' >>/etc/avstem/agent.yaml")
		for _, dir := range []string{next, old} {
			put(w.t, host, dir, "avstem-agent")
			before := w.must(host, "systemctl show --value -p MainPID avstem-agent")
			for _, command := range upgrade {
				w.must(host, command)
			}
			if after := w.must(host, "systemctl show --value -p MainPID avstem-agent"); after == before {
				w.t.Error("it was not started again")
			}
			w.soon(server, "avstem hosts", isLive(host, map[string]string{next: "1.1.0", old: "1.0.0"}[dir]))
			// Whoever set something isn't asked about it.
			w.says(w.must(host, "ls /etc/avstem; tail -n 1 /etc/avstem/agent.yaml /usr/share/avstem-agent/agent.yaml"),
				"agent.yaml\n==>", "# written by its operator", map[string]string{next: "# a key of the new version", old: "/usr/share/avstem-agent/agent.yaml"}[dir])
		}
	})
}
