package packages

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/test/lab"
)

const (
	server = "avstem.service"
	agent  = "avstem-agent.service"
)

// on runs a command on a host.
func on(t *testing.T, h *lab.Host, command string) string {
	t.Helper()
	out, err := h.Run(t.Context(), command)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// refused runs a command that must not succeed, and gives what it said.
func refused(t *testing.T, h *lab.Host, command string) string {
	t.Helper()
	out, err := h.Run(t.Context(), "("+command+") 2>&1")
	if err == nil {
		t.Fatalf("%s: it did not fail: %s", command, out)
	}
	return out + err.Error()
}

// soon waits until a command says something that is wanted.
func soon(t *testing.T, h *lab.Host, command, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		out, err := h.Run(ctx, command)
		if err == nil && strings.Contains(out, want) {
			return
		}
		if ctx.Err() != nil {
			journal, _ := h.Run(t.Context(), "journalctl --no-pager -n 40 -u 'avstem*'")
			t.Fatalf("%s never said %q, but %q, %v\n%s", command, want, out, err, journal)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// property is what systemd knows of a unit.
func property(t *testing.T, h *lab.Host, unit, name string) string {
	t.Helper()
	return on(t, h, "systemctl show --value -p "+name+" "+unit)
}

// setUpServer makes of a host with the package a server for site osl1.
func setUpServer(t *testing.T, h *lab.Host) {
	t.Helper()
	for path, text := range map[string]string{
		"/srv/inventory/osl1.yaml": "sites: [{id: osl1}]\n",
		"/etc/avstem/avstem.yaml":  "site: osl1\nstate-dir: /var/lib/avstem-server\ninventory: /srv/inventory\nwith-nats: true\n",
	} {
		if err := h.Put(t.Context(), path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	on(t, h, "runuser -u avstem -- avstem auth init --site osl1 --name "+h.Address())
}

// tokenFor makes a token that lets a host in.
func tokenFor(t *testing.T, server, h *lab.Host) string {
	t.Helper()
	var made struct{ Token string }
	if err := json.Unmarshal([]byte(on(t, server, "runuser -u avstem -- avstem enroll token --auto-approve -o json --host "+h.Name())), &made); err != nil {
		t.Fatal(err)
	}
	return made.Token
}

// letIn enrolls a host with the agent's package at a server.
func letIn(t *testing.T, server, h *lab.Host) {
	t.Helper()
	if err := h.Put(t.Context(), "/run/token", []byte(tokenFor(t, server, h)), 0o600); err != nil {
		t.Fatal(err)
	}
	on(t, h, "runuser -u avstem-agent -- avstem-agent enroll --token-file - --state-dir /var/lib/avstem </run/token; rm /run/token")
}

func installDeb(t *testing.T, h *lab.Host, program string) {
	t.Helper()
	if err := h.Put(t.Context(), "/root/"+program+".deb", debOf(t, program), 0o644); err != nil {
		t.Fatal(err)
	}
	on(t, h, "dpkg -i /root/"+program+".deb")
}

// The units run under a real systemd, as their packages install them.
func TestServices(t *testing.T) {
	t.Parallel()
	l := lab.ForTest(t, lab.Options{Hosts: 5, Container: true})
	center, host := l.Host(0), l.Host(1)
	installDeb(t, center, "avstem")
	installDeb(t, host, "avstem-agent")

	t.Run("nothing runs before anything is set", func(t *testing.T) {
		for h, unit := range map[*lab.Host]string{center: server, host: agent} {
			soon(t, h, "systemctl show -p ActiveState,Result,UnitFileState "+unit, "Result=exec-condition\nActiveState=inactive\nUnitFileState=enabled")
		}
		if got := on(t, center, "systemctl list-timers --no-legend avstem-report.timer"); !strings.Contains(got, "avstem-report.service") {
			t.Errorf("the timer is not listed: %q", got)
		}
	})
	if t.Failed() {
		return
	}
	t.Run("a NATS server that isn't there yet is waited for", func(t *testing.T) { waits(t, center, l.Address()) })
	t.Run("the server is active once it is ready, and says how it is", func(t *testing.T) {
		setUpServer(t, center)
		on(t, center, "systemctl start avstem")
		// A unit of Type=notify is started when it said so: hosts may enroll at once.
		on(t, center, "avstem drift -o json")
		soon(t, center, "systemctl show -p ActiveState,SubState,StatusText,User avstem", "0 hosts, 0 VMs")
		if got := on(t, center, "ps -o user= -C avstem"); got != "avstem" {
			t.Errorf("it runs as %q", got)
		}
	})
	t.Run("the report is written for everybody to read, and its numbers are kept for the next one", func(t *testing.T) {
		for range 2 {
			on(t, center, "systemctl start avstem-report")
		}
		got := on(t, center, `cd /var/lib && stat -c '%A %U %n' avstem-report avstem-server avstem-server/reports && stat -c '%A %U' avstem-report/*.html avstem-server/reports/* | sort -u`)
		want := "drwxr-xr-x avstem avstem-report\ndrwx------ avstem avstem-server\ndrwxr-xr-x avstem avstem-server/reports\n-rw------- avstem\n-rw-r--r-- avstem"
		if got != want {
			t.Errorf("it made\n%s\nwant\n%s", got, want)
		}
		if said := on(t, center, "journalctl -u avstem-report -o cat"); strings.Contains(said, "can't") {
			t.Error(said)
		}
	})
	t.Run("an enrolled host needs nothing in its file", func(t *testing.T) {
		letIn(t, center, host)
		// Often, so that the test needs not wait.
		if err := host.Put(t.Context(), "/etc/systemd/system/avstem-agent.service.d/often.conf", []byte("[Service]\nEnvironment=AVSTEM_INTERVAL=2s\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		on(t, host, "systemctl daemon-reload && systemctl start avstem-agent")
		soon(t, host, "systemctl show --value -p StatusText avstem-agent", "published")
		if got := on(t, host, "ps -o user= -C avstem-agent; stat -c '%a %U' /var/lib/avstem /var/lib/avstem/*"); strings.Count(got, "600 avstem-agent") < 5 || strings.Contains(got, "root") {
			t.Errorf("it runs as, and its files are\n%s", got)
		}
		soon(t, center, "systemctl show --value -p StatusText avstem", "1 host,")
	})
	t.Run("each on a host of its own", func(t *testing.T) {
		for name, f := range map[string]func(t *testing.T){
			"cloud-init's user data lets a host in at its first boot": func(t *testing.T) { cloudInit(t, center, l.Host(2)) },
			"the installer's late command does":                       func(t *testing.T) { preseed(t, l, center, l.Host(3)) },
			"libvirtd comes and goes, and the agent goes on":          func(t *testing.T) { comesAndGoes(t, host) },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f(t)
			})
		}
	})
	t.Run("a host starts while it waits for its server and for approval", func(t *testing.T) { startsMeanwhile(t, center, l.Host(4)) })
	t.Run("ceilings are set", func(t *testing.T) {
		for unit, want := range map[string]string{
			server:                  "infinity 4294967296 0 512 50 infinity",
			agent:                   "infinity 268435456 0 256 20 500ms",
			"avstem-report.service": "infinity 2147483648 0 64 20 infinity",
		} {
			h := center
			if unit == agent {
				h = host
			}
			got := strings.Fields(on(t, h, "for p in MemoryHigh MemoryMax MemorySwapMax TasksMax CPUWeight CPUQuotaPerSecUSec; do systemctl show --value -p $p "+unit+"; done"))
			if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", unit, diff)
			}
		}
	})
	t.Run("a reload says what it took and what waits, and of a wrong file takes nothing", func(t *testing.T) { reloads(t, host) })
	t.Run("the server restarts under the agent", func(t *testing.T) {
		before := property(t, host, agent, "MainPID")
		on(t, center, "systemctl restart avstem")
		soon(t, center, "systemctl show --value -p StatusText avstem", "4 hosts")
		if after := property(t, host, agent, "MainPID"); after != before {
			t.Errorf("the agent's process was %s and is %s", before, after)
		}
		on(t, center, "systemctl kill --kill-whom=main -s KILL avstem")
		soon(t, center, "systemctl show -p ActiveState,NRestarts avstem", "NRestarts=1\nActiveState=active")
	})
	t.Run("credentials are taken from systemd, and by a NATS context", func(t *testing.T) { credentials(t, center, host) })
	t.Run("the journal has fields, few lines, and no secret", func(t *testing.T) { journals(t, center, host) })
	t.Run("both stop at once when told to", func(t *testing.T) {
		for h, unit := range map[*lab.Host]string{center: server, host: agent} {
			on(t, h, "systemctl stop "+unit)
			if got := on(t, h, "systemctl show -p Result,ActiveState "+unit); got != "Result=success\nActiveState=inactive" {
				t.Errorf("%s: %s", unit, got)
			}
		}
	})
}

// comesAndGoes starts libvirtd under the agent, stops it and starts it again.
func comesAndGoes(t *testing.T, host *lab.Host) {
	before := property(t, host, agent, "MainPID")
	for _, step := range []struct{ command, outcome string }{
		{"start libvirtd", "complete"}, {"stop libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd", "failed"}, {"start libvirtd", "complete"},
	} {
		since := on(t, host, "date +%s.%N && systemctl "+step.command)
		soon(t, host, "journalctl -o cat --since=@"+since+" AVSTEM_SOURCE=runtime-libvirt AVSTEM_OUTCOME="+step.outcome, "source ")
	}
	if after := property(t, host, agent, "MainPID"); after != before || property(t, host, agent, "NRestarts") != "0" {
		t.Errorf("its process was %s and is %s", before, after)
	}
}

// waits starts the server before its NATS server, at an address where none is, and
// stops it while it waits.
func waits(t *testing.T, center *lab.Host, address string) {
	for path, text := range map[string]string{
		"/srv/inventory/osl1.yaml": "sites: [{id: osl1}]\n",
		"/etc/avstem/avstem.yaml":  "site: osl1\nstate-dir: /var/lib/avstem-server\ninventory: /srv/inventory\nserver: tls://" + address + ":4222\n",
	} {
		if err := center.Put(t.Context(), path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	on(t, center, "systemctl start avstem")
	soon(t, center, "systemctl status --no-pager avstem", `Status: "waiting for NATS: connect to NATS: /etc/avstem/avstem.yaml: nothing answers at tls://`+address)
	if said := on(t, center, "systemctl show -p NRestarts,ActiveState avstem; journalctl -o cat _SYSTEMD_UNIT=avstem.service"); strings.Count(said, "waited for") != 1 || !strings.HasPrefix(said, "NRestarts=0\nActiveState=active\n") {
		t.Errorf("it waits, and says\n%s", said)
	}
	on(t, center, "systemctl stop avstem")
	if got := on(t, center, "systemctl show -p Result,ActiveState avstem"); got != "Result=success\nActiveState=inactive" {
		t.Errorf("stopped while it waits, it is %s", got)
	}
}

func reloads(t *testing.T, host *lab.Host) {
	put := func(text string) {
		if err := host.Put(t.Context(), "/etc/avstem/agent.yaml", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("log-level: debug\nrefresh: 5m\n")
	on(t, host, "systemctl reload avstem-agent")
	soon(t, host, "journalctl -u avstem-agent -o cat", "configuration was read again taken=[log-level] waitForRestart=[refresh]")
	put("log-level: info\nrefresh: soon\n")
	refused(t, host, "systemctl reload avstem-agent")
	if said := on(t, host, "journalctl -u avstem-agent -o cat"); !strings.Contains(said, "/etc/avstem/agent.yaml:2: refresh: ") {
		t.Errorf("the journal doesn't say what is wrong:\n%s", said)
	}
	// Whoever sends the signal without the check is told the same.
	on(t, host, "systemctl kill --kill-whom=main -s HUP avstem-agent")
	soon(t, host, "systemctl show -p StatusText,ActiveState avstem-agent", "the configuration was not taken: /etc/avstem/agent.yaml:2: refresh")
	put("log-level: info\n")
	on(t, host, "systemctl reload avstem-agent && systemctl restart avstem-agent")
}

// journals looks at what was logged in all the cases before.
func journals(t *testing.T, center, host *lab.Host) {
	id := on(t, host, "sed -n 's/.*\"id\": *\"\\([^\"]*\\)\".*/\\1/p' /var/lib/avstem/host-id.json")
	for query, want := range map[string]string{
		"AVSTEM_HOST=" + id + " AVSTEM_EPOCH=2":                              "host identity",
		"AVSTEM_SOURCE=runtime-libvirt AVSTEM_OUTCOME=failed PRIORITY=4":     "source is not seen whole",
		"AVSTEM_SOURCE=runtime-libvirt AVSTEM_OUTCOME=complete PRIORITY=6":   "source has changed",
		"_SYSTEMD_UNIT=avstem-agent.service AVSTEM_WAITFORRESTART=[refresh]": "configuration was read again",
	} {
		has(t, on(t, host, "journalctl --no-pager -o cat '"+strings.ReplaceAll(query, " ", "' '")+"'"), want)
	}
	// What is done about a finding is found by it.
	var found []struct{ ID, State string }
	if err := json.Unmarshal([]byte(on(t, center, "avstem drift -o json")), &found); err != nil || len(found) == 0 {
		t.Fatalf("there is no finding: %v, %v", found, err)
	}
	on(t, center, "avstem ack "+found[0].ID+" --until 8h --reason 'being looked at' --by kari")
	soon(t, center, "journalctl --no-pager -o cat AVSTEM_FINDING="+found[0].ID+" AVSTEM_BY=kari", "finding acknowledged")
	if said := on(t, center, "journalctl --no-pager -o cat _SYSTEMD_UNIT="+server); strings.Contains(said, "can not be resolved properly") {
		t.Errorf("the NATS server would list its addresses, and may not:\n%s", said)
	}
	for h, unit := range map[*lab.Host]string{center: server, host: agent} {
		said := on(t, h, "journalctl --no-pager -o cat _SYSTEMD_UNIT="+unit)
		// Half a dozen starts, and everything that the cases before did to it.
		if lines := strings.Count(said, "\n"); lines > 120 {
			t.Errorf("%s wrote %d lines:\n%s", unit, lines, said)
		}
		for _, secret := range []string{"avstem1.", "SEED", "-----BEGIN", "SU", "eyJ"} {
			for line := range strings.Lines(said) {
				for word := range strings.FieldsSeq(line) {
					if strings.HasPrefix(word, secret) && len(word) > 20 {
						t.Errorf("%s tells a secret: %s", unit, line)
					}
				}
			}
		}
	}
}

// credentials has an agent connect by what systemd hands it, and by a context of the
// nats command's, with no enrolment left to fall back on.
func credentials(t *testing.T, center, host *lab.Host) {
	on(t, host, `systemctl stop avstem-agent && cd /var/lib/avstem && mv nats.json /root/ && install -m 0600 nats.creds /root/nats.creds &&
		install -m 0640 -g avstem-agent nats.creds /etc/avstem/nats.creds && install -m 0644 nats-ca.pem /etc/avstem/ca.pem`)
	url := "tls://" + center.Address() + ":4222"
	for name, files := range map[string]map[string]string{
		"systemd": {
			"/etc/avstem/agent.yaml":                                "site: osl1\nserver: " + url + "\nca: /etc/avstem/ca.pem\ncreds: nats.creds\n",
			"/etc/systemd/system/avstem-agent.service.d/creds.conf": "[Service]\nLoadCredential=nats.creds:/root/nats.creds\n",
		},
		"context": {
			"/etc/avstem/agent.yaml":                         "site: osl1\ncontext: oslo\n",
			"/var/lib/avstem/.config/nats/context/oslo.json": `{"url": "` + url + `", "creds": "/etc/avstem/nats.creds", "ca": "/etc/avstem/ca.pem"}`,
		},
	} {
		for path, text := range files {
			if err := host.Put(t.Context(), path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		since := on(t, host, "chown -R avstem-agent: /var/lib/avstem; systemctl daemon-reload && date +%s.%N && systemctl restart avstem-agent")
		soon(t, host, "systemctl show --value -p StatusText avstem-agent", "published")
		if said := on(t, host, "journalctl -o cat --since=@"+since+" -u avstem-agent"); !strings.Contains(said, "connected to NATS server="+url) {
			t.Errorf("by %s it says:\n%s", name, said)
		}
	}
	// One that everybody may read is not used.
	said := refused(t, host, "chmod 0644 /etc/avstem/nats.creds && runuser -u avstem-agent -- avstem-agent run --creds /etc/avstem/nats.creds --server "+url)
	has(t, said, "chmod o-rwx /etc/avstem/nats.creds")
}
