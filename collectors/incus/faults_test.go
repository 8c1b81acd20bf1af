package incus

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/test/rig"
)

// answersRaw serves bytes as they are, whatever was asked.
func answersRaw(t testing.TB, answer string, hold bool) string {
	t.Helper()
	l := listening(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func(conn net.Conn) {
				defer conn.Close()
				_, _ = http.ReadRequest(bufio.NewReader(conn))
				_, _ = io.WriteString(conn, answer)
				if hold {
					<-release
				}
			}(conn)
		}
	}()
	return l.Addr().String()
}

// TestFakePeers are what may listen on a socket and be no sound daemon. Each is
// one problem that says what happened and what to do, and no pass is complete.
func TestFakePeers(t *testing.T) {
	ok := "HTTP/1.1 200 OK\r\n"
	whole := func(body string) string { return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", ok, len(body), body) }
	tests := map[string]struct {
		socket string
		why    inventory.Why
		says   string
	}{
		"garbage":         {answersRaw(t, "\x00\xff\x13garbage\r\n\r\n", false), inventory.WhyBroken, "malformed HTTP"},
		"no JSON":         {answersRaw(t, whole("<htm>"), false), inventory.WhyBroken, "decode the answer"},
		"half an answer":  {answersRaw(t, ok+"Content-Length: 500\r\n\r\n{\"type\": \"sync\", ", false), inventory.WhyBroken, "unexpected EOF"},
		"silent half-way": {answersRaw(t, ok+"Content-Length: 500\r\n\r\n{\"type\": \"sync\", ", true), inventory.WhyTimedOut, "no answer from the daemon within"},
		"endless headers": {answersRaw(t, ok+strings.Repeat("X-A: b\r\n", 1<<16), true), inventory.WhyBroken, "headers"},
		"another shape":   {answersRaw(t, whole(`{"metadata": []}`), false), inventory.WhyBroken, "decode the answer"},
		"another daemon":  {answersRaw(t, whole(`{"metadata": {"environment": {"server": "dockerd"}}}`), false), inventory.WhyBroken, `"dockerd" answers here`},
		"LXD for Incus":   {fakeVMs(t, "[]"), inventory.WhyBroken, `"lxd" answers here, and no Incus`},
		"no trust": {fakeDaemon(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			synced(w, `{"auth": "untrusted"}`)
		})), inventory.WhyRefused, "doesn't trust us"},
		"forbidden": {fakeDaemon(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"type": "error", "error": "not authorized", "error_code": 403}`)
		})), inventory.WhyRefused, "403: not authorized"},
		"starting": {fakeDaemon(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, "LXD daemon setup in progress")
		})), inventory.WhyBroken, "503 Service Unavailable"},
		"huge": {fakeDaemon(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			chunk := []byte(strings.Repeat(" ", 1<<20))
			for range bodyLimit>>20 + 2 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		})), inventory.WhyBroken, "larger than"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := &Collector{Sockets: []string{tt.socket}, CallTimeout: time.Minute}
			if tt.why == inventory.WhyTimedOut {
				c.CallTimeout = 300 * time.Millisecond
			}
			o := (&collectors.Runner{Collector: c, Timeout: 2 * time.Minute}).Run(t.Context())
			if o.Outcome != inventory.OutcomeFailed || len(o.Problems) != 1 {
				t.Fatalf("outcome %s, problems %+v", o.Outcome, o.Problems)
			}
			p := o.Problems[0]
			if p.Why != tt.why || !strings.Contains(p.Error, tt.says) || p.Call != "GET /1.0" || p.Remedy == "" {
				t.Errorf("problem is %+v", p)
			}
		})
	}
}

// fakeList serves a list, and each of its members by itself.
func fakeList(t testing.TB, server string, list func(w http.ResponseWriter, r *http.Request)) *http.ServeMux {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /1.0", func(w http.ResponseWriter, _ *http.Request) { synced(w, server) })
	mux.HandleFunc("GET /1.0/instances", list)
	mux.HandleFunc("GET /1.0/storage-pools", func(w http.ResponseWriter, _ *http.Request) { synced(w, "[]") })
	mux.HandleFunc("GET /1.0/instances/{name}/snapshots", func(w http.ResponseWriter, _ *http.Request) { synced(w, "[]") })
	return mux
}

const fakeServer = `{"environment": {"server": "lxd", "server_name": "m1"}}`

func fakeVM(name, more string) string {
	return fmt.Sprintf(`{"name": %q, "project": "default", "type": "virtual-machine", "status": "Running", "status_code": 103, "expanded_config": {"volatile.uuid": "00000000-0000-4000-8000-0000000000%s"}%s}`,
		name, name, more)
}

// TestOneThatCannotBeDecoded: it keeps the identity that it had, and the others
// lose nothing. Before anybody knows who it is, nothing is concluded from what
// isn't seen.
func TestOneThatCannotBeDecoded(t *testing.T) {
	list := "[" + fakeVM("01", "") + "," + fakeVM("02", "") + "]"
	broken := "[" + fakeVM("01", "") + `,{"name": "02", "type": "virtual-machine", "expanded_config": {"limits.cpu": 4}}, 7]`
	unseen := "[" + fakeVM("01", "") + `,{"name": "02", "project": "default", "type": "virtual-machine", "status": "Error", "status_code": 112}]`
	metadata := list
	socket := fakeDaemon(t, fakeList(t, fakeServer, func(w http.ResponseWriter, _ *http.Request) { synced(w, metadata) }))
	c := &Collector{Flavor: LXD, Sockets: []string{socket}}
	id := vmOf(t, complete(t, c), "default/02").UUID

	metadata = unseen
	o := pass(c)
	vm := vmOf(t, o, "default/02")
	p, found := o.ProblemOf(vm.Entity(), "")
	if !o.Complete || vm.UUID != id || !found || p.Remedy == "" || len(o.VMs) != 2 {
		t.Errorf("complete %t, %+v, problems %+v", o.Complete, vm, o.Problems)
	}
	metadata = broken
	o = pass(c)
	if o.Complete || len(o.VMs) != 3 || vmOf(t, o, "default/02").UUID != id || vmOf(t, o, "default/01").State != inventory.StateRunning {
		t.Errorf("a list with what is no instance: complete %t, %d VMs, problems %+v", o.Complete, len(o.VMs), o.Problems)
	}
	metadata = unseen
	o = pass(&Collector{Flavor: LXD, Sockets: []string{socket}})
	if o.Complete || len(o.VMs) != 2 {
		t.Errorf("an unknown one that can't be read: complete %t, %+v", o.Complete, o.VMs)
	}
}

// TestTwoOfOneUUID: a copy of a whole configuration doesn't break the pass.
func TestTwoOfOneUUID(t *testing.T) {
	twin := strings.Replace(fakeVM("01", ""), `"name": "01"`, `"name": "twin"`, 1)
	socket := fakeDaemon(t, fakeList(t, fakeServer, func(w http.ResponseWriter, _ *http.Request) {
		synced(w, "["+fakeVM("01", "")+","+twin+"]")
	}))
	o := pass(&Collector{Flavor: LXD, Sockets: []string{socket}})
	p, found := o.ProblemOf("vm:default/twin", "vm.uuid")
	if !o.Complete || len(o.VMs) != 2 || !found || !strings.Contains(p.Error, "default/01's too") {
		t.Errorf("complete %t, problems %+v", o.Complete, o.Problems)
	}
}

// TestOneThatHangs: while the list waits for one VM's monitor, the others are
// asked for one by one.
func TestOneThatHangs(t *testing.T) {
	mux := fakeList(t, fakeServer, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("recursion") == "1" {
			<-r.Context().Done()
			return
		}
		synced(w, `["/1.0/instances/01", "/1.0/instances/02", "/1.0/instances/03?project=acme", "/1.0/instances/gone"]`)
	})
	mux.HandleFunc("GET /1.0/instances/{name}", func(w http.ResponseWriter, r *http.Request) {
		switch name := r.PathValue("name"); name {
		case "02":
			<-r.Context().Done()
		case "gone":
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"type": "error", "error": "Instance not found", "error_code": 404}`)
		default:
			synced(w, strings.Replace(fakeVM(name, ""), "default", "acme", strings.Count(r.FormValue("project"), "acme")))
		}
	})
	c := &Collector{Flavor: LXD, Sockets: []string{fakeDaemon(t, mux)}, CallTimeout: 300 * time.Millisecond}
	c.known = map[string]identity{"default/02": {uuid: webUUID}}
	o := pass(c)
	p, found := o.ProblemOf(inventory.VMEntity(webUUID), "")
	if !o.Complete || len(o.VMs) != 3 || !found || p.Why != inventory.WhyTimedOut || len(o.Problems) != 1 {
		t.Errorf("complete %t, %d VMs, problems %+v", o.Complete, len(o.VMs), o.Problems)
	}
	vmOf(t, o, "acme/03")
}

// TestOneThatHangsInACluster tells no place, and isn't gone for that.
func TestOneThatHangsInACluster(t *testing.T) {
	server := `{"environment": {"server": "lxd", "server_name": "m1", "server_clustered": true}}`
	mux := fakeList(t, server, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("recursion") == "1" {
			<-r.Context().Done()
			return
		}
		synced(w, `["/1.0/instances/01", "/1.0/instances/02"]`)
	})
	mux.HandleFunc("GET /1.0/instances/{name}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("name") == "02" {
			<-r.Context().Done()
			return
		}
		synced(w, fakeVM("01", `, "location": "m1"`))
	})
	o := pass(&Collector{Flavor: LXD, Sockets: []string{fakeDaemon(t, mux)}, CallTimeout: 300 * time.Millisecond})
	if o.Complete || len(o.VMs) != 2 {
		t.Errorf("complete %t, %+v", o.Complete, o.VMs)
	}
}

// TestInParallel hands a panic on to who can make a problem of it, after the rest.
func TestInParallel(t *testing.T) {
	var done atomic.Int32
	defer func() {
		if v := recover(); v != "seventh" || done.Load() != 19 {
			t.Errorf("recovered %v after %d", v, done.Load())
		}
	}()
	inParallel(20, func(i int) {
		if i == 7 {
			panic("seventh")
		}
		done.Add(1)
	})
}

// TestOneThatGoes ceases to be between the list and its snapshots.
func TestOneThatGoes(t *testing.T) {
	mux := fakeList(t, fakeServer, func(w http.ResponseWriter, _ *http.Request) {
		synced(w, "["+fakeVM("01", "")+","+fakeVM("02", "")+"]")
	})
	mux.HandleFunc("GET /1.0/instances/02/snapshots", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"type": "error", "error": "Instance not found", "error_code": 404}`)
	})
	o := complete(t, &Collector{Flavor: LXD, Sockets: []string{fakeDaemon(t, mux)}})
	if len(o.VMs) != 1 {
		t.Errorf("%d VMs, problems %+v", len(o.VMs), o.Problems)
	}
}

// TestFakeCluster: each member reports what is located on it, so that no VM is on
// two hosts, whether the daemon spares the others or not, and whether those are
// there or not.
func TestFakeCluster(t *testing.T) {
	all := `[` + fakeVM("01", `, "location": "m1"`) + `,` + fakeVM("02", `, "location": "m2"`) + `,
		{"name": "03", "project": "default", "location": "m3", "type": "virtual-machine", "status": "Error", "status_code": 112}]`
	var agents []string
	seen := map[string]int{}
	for _, member := range []string{"m1", "m2"} {
		server := fmt.Sprintf(`{"environment": {"server": "lxd", "server_name": %q, "server_clustered": true}}`, member)
		socket := fakeDaemon(t, fakeList(t, server, func(w http.ResponseWriter, r *http.Request) {
			agents = append(agents, r.UserAgent())
			synced(w, all)
		}))
		o := complete(t, &Collector{Flavor: LXD, Sockets: []string{socket}})
		if o.Runtime.Member != member {
			t.Errorf("member is %q", o.Runtime.Member)
		}
		for _, vm := range o.VMs {
			seen[vm.Name]++
		}
	}
	if diff := cmp.Diff(map[string]int{"01": 1, "02": 1}, seen); diff != "" {
		t.Errorf("on how many hosts each is (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{LXD.notifier, LXD.notifier}, agents); diff != "" {
		t.Errorf("asked as (-want +got):\n%s", diff)
	}
}

// TestRealCluster makes the daemon a cluster's first member, which locates its
// instances.
func TestRealCluster(t *testing.T) {
	r := on(rig.ForTestWith(t, rig.Options{Hostname: "hv-1", Incus: true}), Incus)
	r.launch(t, "one")
	before := *vmOf(t, complete(t, r.collector()), "default/one")
	r.do(t, "config set core.https_address=127.0.0.1:8443\ncluster enable hv-1")
	o := complete(t, r.collector())
	if o.Runtime.Member != "hv-1" || vmOf(t, o, "default/one").UUID != before.UUID {
		t.Errorf("runtime %+v, VMs %+v", o.Runtime, o.VMs)
	}
}

// TestDaemonThatDies and comes back: its instances were never gone.
func TestDaemonThatDies(t *testing.T) {
	r := on(rig.ForTestWith(t, rig.Options{LXD: true}), LXD)
	r.launch(t, "one")
	c := r.collector()
	before := complete(t, c)
	if err := r.pause(); err != nil {
		t.Fatal(err)
	}
	c.CallTimeout = 200 * time.Millisecond
	o := pass(c)
	if o.Outcome != inventory.OutcomeFailed || len(o.Problems) != 1 || o.Problems[0].Why != inventory.WhyTimedOut {
		t.Errorf("hanging it is %s: %+v", o.Outcome, o.Problems)
	}
	if err := r.kill(); err != nil {
		t.Fatal(err)
	}
	c.CallTimeout = time.Minute
	for deadline := time.Now().Add(time.Minute); o.Problems[0].Why == inventory.WhyTimedOut && time.Now().Before(deadline); {
		o = pass(c)
	}
	if o.Outcome != inventory.OutcomeFailed || o.Complete {
		t.Errorf("dead it is %s: %+v", o.Outcome, o.Problems)
	}
	if err := r.rig.RestartLXD(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before.Body, complete(t, c).Body, cmpopts.IgnoreFields(inventory.StoragePool{}, "Available")); diff != "" {
		t.Errorf("after its restart (-before +after):\n%s", diff)
	}
	r.remove(t, "one")
}

// socketVariable makes the test's program a collector that makes one pass on the
// socket it names and writes the observation, for passes as another user.
const socketVariable = "AVSTEM_TEST_INCUS_SOCKET"

// TestNobody is refused, and told what access costs.
func TestNobody(t *testing.T) {
	r := real(t, Incus)
	dir, err := os.MkdirTemp("", "nobody-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	own, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "collect")
	for _, err := range []error{os.Chmod(dir, 0o755), os.WriteFile(program, own, 0o755), os.Chmod(r.rig.Dir(), 0o755)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program)
	cmd.Dir, cmd.Env = "/", []string{socketVariable + "=" + r.socket}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var o inventory.Observation
	if err := json.Unmarshal(out, &o); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if o.Outcome != inventory.OutcomeFailed || len(o.Problems) != 1 || o.Problems[0].Why != inventory.WhyRefused ||
		!strings.Contains(o.Problems[0].Remedy, "which is root by another name") {
		t.Errorf("outcome %s, problems %+v", o.Outcome, o.Problems)
	}
}
