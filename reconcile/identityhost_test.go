package reconcile_test

import (
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/dataverket/avstem/reconcile"
)

// What a person is told to do can be pasted into a shell, with the ID in it.
func TestOldHostIDIsProposedAsACommand(t *testing.T) {
	const oldID = "19d7aa79-edef-5a8a-857f-5403be3f6300"
	for scenario, kind := range map[string]reconcile.Kind{
		"host-installed-again":                   reconcile.IdentityChanged,
		"host-installed-again-without-record":    reconcile.IdentityChanged,
		"host-installed-again-known-by-its-tpm":  reconcile.IdentityChanged,
		"host-lost-its-identity-but-not-its-vms": reconcile.HostUnknown,
	} {
		t.Run(scenario, func(t *testing.T) {
			archive, err := txtar.ParseFile("testdata/scenarios/" + scenario + ".txtar")
			if err != nil {
				t.Fatal(err)
			}
			in := reconcile.Input{Policy: reconcile.DefaultPolicy(), Now: epoch}
			for _, section := range archive.Files {
				switch section.Name {
				case "intended.yaml":
					in.Intended = readIntended(t, section.Data)
				case "observed.yaml":
					in.Observed = readObserved(t, section.Data, epoch)
				}
			}
			for _, f := range reconcile.Reconcile(in).Findings {
				for _, r := range f.Resolutions {
					if f.Kind == kind && strings.Contains(r.Do, "avstem-agent identity adopt "+oldID) {
						return
					}
				}
			}
			t.Errorf("no %s says how to give the host its old ID", kind)
		})
	}
}
