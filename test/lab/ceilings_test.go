package lab

import (
	"os"
	"strings"
	"testing"
	"time"
)

// eaters are shell scripts that put themselves into the agent's unit, where each wants
// more of one thing than the unit may have.
var eaters = map[string]string{
	"tasks":  "for n in $(seq 300); do read -r never </root/wait & done", // none is more than a fork
	"CPU":    "exec timeout 60 sh -c 'while :; do :; done'",
	"memory": "exec dd if=/dev/zero of=/dev/null bs=300M",
}

// proveCeilings runs the agent's unit as it is in the packages, on a host whose kernel
// has every controller, and has something in it take too much.
func proveCeilings(t *testing.T, h *Host) {
	unit, err := os.ReadFile("../../systemd/avstem-agent.service")
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string][]byte{"/etc/systemd/system/avstem-agent.service": unit, "/etc/avstem/agent.yaml": []byte("server: tls://127.0.0.1:4222\n")} {
		if err := h.Put(t.Context(), path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const group = "/sys/fs/cgroup/system.slice/avstem-agent.service/"
	for name, script := range eaters {
		if err := h.Put(t.Context(), "/root/"+name, []byte("echo $$ >"+group+"cgroup.procs\n"+script+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// What a service's user makes is root's on hostfs, see docs/lab.md.
	run(t, h, "useradd --system avstem-agent && ln -s "+agentProgram+" /usr/bin/ && rm -rf /var/lib/avstem /var/lib/private/avstem && mkdir -p /var/lib/avstem && mount -t tmpfs tmpfs /var/lib/avstem && systemctl daemon-reload && systemctl start avstem-agent")
	const pid = "systemctl show --value -p MainPID avstem-agent"
	before := run(t, h, pid)

	run(t, h, "mkfifo /root/wait; sh /root/tasks >/dev/null 2>&1 || true")
	if got := run(t, h, "cat "+group+"pids.max; grep -c 'max 0' "+group+"pids.events || true"); got != "256\n0" {
		t.Errorf("how many tasks it may have, and whether none was refused: %q", got)
	}
	run(t, h, ": >/root/wait") // ends them
	run(t, h, "sh /root/CPU >/dev/null 2>&1 </dev/null &")
	await(t, "it is kept from more than half a core", func() bool {
		return !strings.Contains(run(t, h, "cat "+group+"cpu.stat"), "nr_throttled 0\n")
	})
	run(t, h, "pkill -x timeout")
	if after := run(t, h, pid); after != before {
		t.Errorf("for tasks and CPU it was started again: %s, %s", before, after)
	}

	began := time.Now()
	if _, err := h.Run(t.Context(), "sh /root/memory"); err == nil {
		t.Error("it may have all memory")
	}
	await(t, "it is started again", func() bool {
		return run(t, h, "systemctl show -p NRestarts,SubState avstem-agent") == "NRestarts=1\nSubState=running"
	})
	t.Logf("it was killed and came back within %s", time.Since(began).Round(time.Second))
	said := run(t, h, "journalctl --no-pager -o cat -u avstem-agent")
	for _, words := range []string{"A process of this unit has been killed by the OOM killer.", "Failed with result 'oom-kill'.", "new=false"} {
		if !strings.Contains(said, words) {
			t.Errorf("its journal doesn't say %q:\n%s", words, said)
		}
	}
	run(t, h, "systemctl disable --now avstem-agent; umount /var/lib/avstem")
}
