package fleet

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// schema is what people make for such a comparison, with the keys that it joins on.
const schema = `
create table want (id text primary key, name text, host text, state text, vcpus int, memory bigint);
create table got (id text primary key, name text, host text, state text, vcpus int, memory bigint);
create table want_nic (mac text primary key, vm text, vlan int);
create table got_nic (mac text primary key, vm text, vlan int);
create table want_disk (serial text primary key, vm text, size bigint);
create table got_disk (serial text primary key, vm text, size bigint);
`

// joins are the comparisons that a join can make: a third of what avstem compares.
// Each gives a number.
var joins = []struct {
	kind  reconcile.Kind
	query string
}{
	{reconcile.VMMissing, `select count(*) from want w left join got g on g.id=w.id where g.id is null and w.state <> 'absent'`},
	{reconcile.VMUnknown, `select count(*) from got g left join want w on w.id=g.id where w.id is null`},
	{reconcile.VMLingering, `select count(*) from want w join got g on g.id=w.id where w.state = 'absent'`},
	{reconcile.VMMisplaced, `select count(*) from want w join got g on g.id=w.id where w.host <> g.host`},
	{reconcile.VMState, `select count(*) from want w join got g on g.id=w.id where w.state <> g.state and w.state <> 'absent'`},
	{reconcile.VMVCPUs, `select count(*) from want w join got g on g.id=w.id where w.vcpus <> g.vcpus`},
	{reconcile.VMMemory, `select count(*) from want w join got g on g.id=w.id where w.memory <> g.memory`},
	{reconcile.NICVLAN, `select count(*) from want_nic w join got_nic g on g.mac=w.mac and g.vm=w.vm where w.vlan <> g.vlan`},
	{reconcile.NICMissing, `select count(*) from want_nic w join got v on v.id=w.vm left join got_nic g on g.mac=w.mac where g.mac is null`},
	{reconcile.NICUnknown, `select count(*) from got_nic g join want v on v.id=g.vm left join want_nic w on w.mac=g.mac where w.mac is null`},
	{reconcile.DiskMissing, `select count(*) from want_disk w join got v on v.id=w.vm left join got_disk g on g.serial=w.serial where g.serial is null`},
	{reconcile.DiskUnknown, `select count(*) from got_disk g join want v on v.id=g.vm left join want_disk w on w.serial=g.serial where w.serial is null`},
	{reconcile.DiskSize, `select count(*) from want_disk w join got_disk g on g.serial=w.serial where w.size <> g.size`},
}

// Joined is how long a database took.
type Joined struct {
	Load, Join time.Duration
	Found      map[reconcile.Kind]int
}

// WriteTables writes both books as CSV files into a directory, one a table.
func (f *Fleet) WriteTables(dir string) error {
	files := map[string]*bufio.Writer{}
	var open []*os.File
	for _, table := range []string{"want", "got", "want_nic", "got_nic", "want_disk", "got_disk"} {
		file, err := os.Create(filepath.Join(dir, table+".csv"))
		if err != nil {
			return err
		}
		open = append(open, file)
		files[table] = bufio.NewWriterSize(file, 1<<20)
	}
	row := func(table string, values ...any) {
		w := files[table]
		for i, v := range values {
			if i > 0 {
				w.WriteByte(',')
			}
			fmt.Fprint(w, v)
		}
		w.WriteByte('\n')
	}
	for h := range f.Hosts {
		drift := f.hostDrift(h)
		for nth := range f.VMs {
			v := f.place(h, nth)
			if drift != nil && drift.unknown {
				v.want = nil
			} else if drift != nil {
				v.got = nil // a table has nowhere to say that nobody could look
			}
			if w := v.want; w != nil {
				row("want", w.ID, w.Name, w.Host, w.State, *w.VCPUs, uint64(*w.Memory))
				for _, n := range w.NICs {
					row("want_nic", n.MAC, w.ID, f.vlan(v.n))
				}
				for _, d := range w.Disks {
					row("want_disk", d.Serial, w.ID, uint64(*d.Size))
				}
			}
			if g := v.got; g != nil {
				row("got", g.UUID, g.Name, HostKey(h), g.State, *g.VCPUs, uint64(*g.Memory))
				for _, n := range g.NICs {
					row("got_nic", n.MAC, g.UUID, v.tag)
				}
				for _, d := range g.Disks {
					row("got_disk", d.Serial, g.UUID, uint64(*d.Capacity))
				}
			}
		}
	}
	for _, w := range files {
		if err := w.Flush(); err != nil {
			return err
		}
	}
	for _, file := range open {
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}

// SQLite loads the tables into a database in memory and joins them.
func SQLite(ctx context.Context, dir string) (Joined, error) {
	var script strings.Builder
	script.WriteString(schema + ".mode csv\n.timer off\n")
	for _, table := range []string{"want", "got", "want_nic", "got_nic", "want_disk", "got_disk"} {
		fmt.Fprintf(&script, ".import %s %s\n", filepath.Join(dir, table+".csv"), table)
	}
	return runJoins(exec.CommandContext(ctx, "sqlite3", ":memory:"), script.String(), ".print loaded\n")
}

// runJoins feeds a database's shell, and takes the time between its answers.
func runJoins(cmd *exec.Cmd, load, mark string) (Joined, error) {
	for _, j := range joins {
		mark += j.query + ";\n"
	}
	cmd.Stdin = strings.NewReader(load + mark)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return Joined{}, err
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return Joined{}, err
	}
	done := Joined{Found: map[reconcile.Kind]int{}}
	var loaded time.Time
	next := 0
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		switch n, err := strconv.Atoi(line); {
		case line == "loaded":
			loaded = time.Now()
		case err == nil && !loaded.IsZero() && next < len(joins):
			done.Found[joins[next].kind] = n
			next++
		}
	}
	joined := time.Now()
	if err := cmd.Wait(); err != nil || next != len(joins) {
		return Joined{}, fmt.Errorf("join in %s: %d of %d queries answered: %w: %s", cmd.Path, next, len(joins), err, errs.String())
	}
	done.Load, done.Join = loaded.Sub(begin), joined.Sub(loaded)
	return done, nil
}
