package reconcile_test

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// traps are thirty ways to find what isn't so, each paid for by somebody else's
// users. Each has a scenario in which nothing, or nothing that opens, comes of it,
// whose comment names the trap; what no scenario can hold has a test, as
// "file.go TestName".
var traps = map[int]struct {
	what   string
	silent []string
}{
	1:  {"an empty list on error read as all gone", []string{"trap-01-error-is-not-empty", "capacity-quota-not-so"}},
	2:  {"no report read as no change", []string{"trap-02-silence-is-not-no-change", "capacity-overcommit-not-so"}},
	3:  {"a reboot seen as a stop, a migration as a loss", []string{"trap-03-reboot-is-not-stop", "trap-03-migration-is-not-loss", "capacity-overcommit-not-so", "capacity-affinity-not-so", "vm-transient-not-so"}},
	4:  {"libvirtd restarting", []string{"trap-04-libvirtd-restarts"}},
	5:  {"libvirt's random host UUID", []string{"trap-05-random-host-uuid"}},
	6:  {"placeholder UUIDs and serials", []string{"trap-06-placeholder-serials"}},
	7:  {"one UUID in two spellings", []string{"trap-07-byte-order"}},
	8:  {"containers see the host's DMI UUID", []string{"trap-08-containers-see-the-hosts-dmi"}},
	9:  {"clones share a machine-id", []string{"trap-09-clones-share-machine-id"}},
	10: {"native IDs are equal across clusters", []string{"trap-10-native-ids-repeat"}},
	11: {"a MAC is not an identity", []string{"trap-11-macs-that-all-have"}},
	12: {"the guest sees another UUID than the domain's", []string{"trap-12-guest-sees-another-uuid"}},
	13: {"matching across scopes, pairing leftovers by order", []string{"trap-13-never-across-scopes", "trap-13-no-pairing-of-leftovers", "capacity-quota-not-so", "capacity-affinity-not-so"}},
	14: {"one VM through two drivers counted twice", []string{"trap-14-two-drivers-see-one-vm", "host-runtime-not-so"}},
	15: {"a running process's name is old, live is not defined", []string{"trap-15-renamed", "trap-15-live-is-not-defined", "../collectors/libvirt/definition_test.go TestNothingIsPendingBetweenLiveAndDefined"}},
	16: {"nil, empty and default taken apart; order, units, case", []string{"trap-16-spellings"}},
	17: {"values that change all the time", []string{"trap-17-what-changes-all-the-time", "capacity-quota-not-so", "observe-clock"}},
	18: {"the runtime's own defaults", []string{"trap-18-runtime-defaults", "host-runtime-not-so", "vm-transient-not-so"}},
	19: {"placement where any host would do", []string{"trap-19-any-host-will-do", "capacity-affinity-not-so"}},
	20: {"what only a running VM shows", []string{"trap-20-stopped-vm-has-no-tap"}},
	21: {"addresses that many hosts share", []string{"trap-21-addresses-that-many-share"}},
	22: {"veth, tap and CNI churn", []string{"trap-22-links-come-and-go"}},
	23: {"dedupe by content hides what must be said again", []string{"../agent/schedule_test.go TestReconnectSaysEverythingAgain", "engine/engine_test.go TestObserveSaysWhatBecameOfADocument"}},
	24: {"one VM that can't be decoded", []string{"trap-24-one-vm-undecodable", "scope-contradiction-not-so"}},
	25: {"one wedged VM blanks the host", []string{"trap-25-one-vm-wedged", "capacity-quota-not-so"}},
	26: {"drift with an empty diff", []string{"laws_test.go checkLaws"}},
	27: {"an ignore rule that matches nothing", []string{"policy-unmatched"}},
	28: {"discovery that changes something", []string{"../collectors/libvirt/user_test.go TestNobody", "../agent/hostid/identity_test.go TestReadChangesNothing"}},
	29: {"the record read at one time, the host at another", []string{"trap-29-two-books-of-two-times"}},
	30: {"reacting to an identity contradiction", []string{"trap-30-contradiction-is-reported-only"}},
}

func TestEveryTrapHasItsScenario(t *testing.T) {
	for n := 1; n <= 30; n++ {
		trap, known := traps[n]
		if !known || len(trap.silent) == 0 {
			t.Errorf("trap %d has neither scenario nor test", n)
		}
		for _, where := range trap.silent {
			file, function, isTest := strings.Cut(where, " ")
			if isTest {
				text, err := os.ReadFile(file)
				if err != nil || !strings.Contains(string(text), "func "+function+"(") {
					t.Errorf("trap %d (%s): %s has no %s: %v", n, trap.what, file, function, err)
				}
				continue
			}
			archive, err := txtar.ParseFile("testdata/scenarios/" + where + ".txtar")
			if err != nil {
				t.Errorf("trap %d (%s): %v", n, trap.what, err)
				continue
			}
			if !names(string(archive.Comment), n) {
				t.Errorf("the comment of %s doesn't name trap %d: %s", where, n, trap.what)
			}
		}
	}
	files, err := os.ReadDir("testdata/scenarios")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(file.Name(), ".txtar")
		if number := regexp.MustCompile(`^trap-0?(\d+)-`).FindStringSubmatch(name); number != nil && !listsTrap(number[1], name) && name != "trap-10-two-sites-one-uuid" {
			t.Errorf("%s is in no trap's list", name)
		}
	}
}

var trapWords = regexp.MustCompile(`(?i)traps?\s+(\d+)(?:(?:,\s+|\s+and\s+)(\d+))*`)

// names says whether a text speaks of the trap by its number.
func names(text string, n int) bool {
	for _, words := range trapWords.FindAllString(text, -1) {
		for _, number := range regexp.MustCompile(`\d+`).FindAllString(words, -1) {
			if number == strconv.Itoa(n) {
				return true
			}
		}
	}
	return false
}

func listsTrap(number, scenario string) bool {
	n, err := strconv.Atoi(number)
	return err == nil && slices.Contains(traps[n].silent, scenario)
}
