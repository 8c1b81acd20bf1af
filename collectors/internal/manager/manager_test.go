package manager

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOfSystem(t *testing.T) {
	for _, tt := range []struct{ manufacturer, product, want string }{
		{"OpenStack Foundation", "OpenStack Nova", Nova},
		{"RDO", "OpenStack Compute", Nova},
		{"oVirt", "RHEL", OVirt},
		{"Apache Software Foundation", "CloudStack KVM Hypervisor", CloudStack},
		{"KubeVirt", "None", KubeVirt},
		{"QEMU", "Standard PC (Q35 + ICH9, 2009)", ""},
		{"", "", ""},
	} {
		if got := OfSystem(tt.manufacturer, tt.product); got != tt.want {
			t.Errorf("%q %q is %q, want %q", tt.manufacturer, tt.product, got, tt.want)
		}
	}
}

func TestOfHost(t *testing.T) {
	root := t.TempDir()
	touch := func(path string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	hold := func(want string) {
		t.Helper()
		if got := OfHost(root); got != want {
			t.Errorf("the host is %q's, want %q", got, want)
		}
	}
	hold("")
	touch("/var/lib/one/remotes/VERSION")
	hold(OpenNebula)
	touch("/etc/pve/local")
	hold("") // two settle nothing
}
