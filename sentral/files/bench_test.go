package files

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// fleet writes an inventory of VMs such as the examples', a hundred to a file.
func fleet(b *testing.B, vms int) (dir string, files []string) {
	b.Helper()
	dir = b.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
		files = append(files, path)
	}
	write("ground.yaml", ground)
	var text strings.Builder
	for i := range vms {
		if i%100 == 0 {
			text.WriteString("vms:\n")
		}
		fmt.Fprintf(&text, `  - id: 0b7e2f6e-6d3a-4d43-9d0c-0d6a%08x
    name: vm-%d
    tenant: acme
    project: web
    environment: prod
    site: osl1
    failureDomain: rack1
    host: hv1
    antiAffinity: group-%d
    state: running
    vcpus: 2
    memory: 4GiB
    image: {id: debian, version: "1"}
    nics:
      - {mac: "52:54:00:%02x:%02x:%02x", network: web-prod}
    disks:
      - {name: root, size: 20GiB, serial: root-%d}
      - {name: data, size: 100GiB, serial: data-%d}
`, i, i, i%10, i>>16, i>>8&0xff, i&0xff, i, i)
		if i%100 == 99 {
			write(fmt.Sprintf("vms-%04d.yaml", i/100), text.String())
			text.Reset()
		}
	}
	return dir, files
}

// BenchmarkLoad reads an inventory of 10,000 VMs for the first time, and holds
// it against yaml.Unmarshal of the same files into any, in the same run.
func BenchmarkLoad(b *testing.B) {
	dir, files := fleet(b, 10_000)
	var peer, ours time.Duration
	for b.Loop() {
		start := time.Now()
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				b.Fatal(err)
			}
			var value any
			if err := yaml.Unmarshal(data, &value); err != nil {
				b.Fatal(err)
			}
		}
		peer += time.Since(start)

		start = time.Now()
		s, err := Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		inv, err := s.Read(context.Background())
		ours += time.Since(start)
		if err != nil || len(inv.VMs) != 10_000 || len(inv.Problems) != 0 {
			b.Fatalf("read %d VMs: %v", len(inv.VMs), err)
		}
	}
	b.ReportMetric(float64(ours)/float64(peer), "x-unmarshal")
}

// BenchmarkReload reads it again after one of its hundred files changed, and
// holds that against reading it for the first time.
func BenchmarkReload(b *testing.B) {
	dir, files := fleet(b, 10_000)
	text, err := os.ReadFile(files[1])
	if err != nil {
		b.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s, err := Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	inv, err := s.Read(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	first := time.Since(start)
	runtime.GC()
	runtime.ReadMemStats(&after)
	perVM := float64(after.HeapAlloc-before.HeapAlloc) / float64(len(inv.VMs))
	runtime.KeepAlive(inv)
	for i := 0; b.Loop(); i++ {
		changed := strings.Replace(string(text), "vcpus: 2", fmt.Sprintf("vcpus: %d", 3+i), 1)
		if err := os.WriteFile(files[1], []byte(changed), 0o644); err != nil {
			b.Fatal(err)
		}
		if inv, err = s.Read(context.Background()); err != nil || *inv.VMs[0].VCPUs != 3+i {
			b.Fatalf("the change was not read: %v", err)
		}
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(first), "x-first-read")
	b.ReportMetric(perVM, "B/VM")
}
