package packages

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	pageLink  = regexp.MustCompile(`\]\(([^)#]+)(?:#[^)]*)?\)`)
	pagePlace = regexp.MustCompile(`/usr/share/doc/avstem[a-z-]*/[a-z./]*[a-z]`)
)

// What is installed sends nobody to a page that isn't: not the pages themselves, and
// not what the program, its man pages, its settings and its units name.
func TestInstalledPages(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"avstem", "avstem-agent"} {
		deb := only(t, filepath.Join(ours(t), program+"_*.deb"))
		root := t.TempDir()
		run(t, "dpkg-deb", "-x", deb, root)
		named := map[string]bool{}
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			inside := strings.TrimPrefix(path, root)
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			switch {
			case strings.HasSuffix(path, ".md"):
				for _, link := range pageLink.FindAllStringSubmatch(string(text), -1) {
					if strings.Contains(link[1], "://") {
						continue
					}
					if _, err := os.Stat(filepath.Join(filepath.Dir(path), link[1])); err != nil {
						t.Errorf("%s links to %s, which isn't installed", inside, link[1])
					}
				}
			case strings.HasSuffix(path, ".gz"):
				text = []byte(strings.ReplaceAll(run(t, "zcat", path), `\`, ""))
			}
			for _, place := range pagePlace.FindAllString(string(text), -1) {
				named[place] = true
				if _, err := os.Stat(filepath.Join(root, place)); err != nil && strings.HasPrefix(place, "/usr/share/doc/"+program+"/") {
					t.Errorf("%s names %s, which isn't installed", inside, place)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range map[string][]string{"avstem": {"policy.md", "sentral.md", "findings.md", "security.md", "install.md"}, "avstem-agent": {"runtimes.md", "packages.md"}}[program] {
			if place := "/usr/share/doc/" + program + "/" + page; !named[place] {
				t.Errorf("nothing in %s names %s", program, place)
			}
		}
	}
	root := t.TempDir()
	run(t, "dpkg-deb", "-x", only(t, filepath.Join(ours(t), "avstem_*.deb")), root)
	for _, name := range []string{"README.md", "examples/policy.yaml", "examples/inventory/sites.yaml", "sentral/schema.json", "prometheus/avstem.rules.yaml", "grafana/avstem.json"} {
		if _, err := os.Stat(filepath.Join(root, "usr/share/doc/avstem", name)); err != nil {
			t.Error(err)
		}
	}
}
