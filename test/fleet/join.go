package fleet

import (
	"bufio"
	"context"
	_ "embed"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// The reconciliation in SQL, which SQLite and PostgreSQL both take.
var (
	//go:embed sql/schema.sql
	schemaSQL string
	//go:embed sql/index.sql
	indexSQL string
	//go:embed sql/match.sql
	matchSQL string
	//go:embed sql/vm.sql
	vmSQL string
	//go:embed sql/nic.sql
	nicSQL string
	//go:embed sql/disk.sql
	diskSQL string
	//go:embed sql/host.sql
	hostSQL string
)

// Row is one finding as a join can give it.
type Row struct {
	Kind    reconcile.Kind
	Subject string // the ID of its subject
}

// Joined is how long a database took, and what it found.
type Joined struct {
	Load, Join Used
	Found      map[Row]int
}

// RowsOf are findings as a join could give them.
func RowsOf(findings []reconcile.Finding) map[Row]int {
	rows := map[Row]int{}
	for i := range findings {
		rows[Row{findings[i].Kind, findings[i].Subject.ID}]++
	}
	return rows
}

// Against counts how many of the findings the join has, and how many it has that are
// none.
func (j *Joined) Against(findings map[Row]int) (found, wrong int) {
	for row, n := range j.Found {
		have := min(n, findings[row])
		found, wrong = found+have, wrong+n-have
	}
	return found, wrong
}

// SQLite loads the tables into a database in memory and joins them.
func SQLite(ctx context.Context, dir string) (Joined, error) {
	load := schemaSQL + ".mode csv\n"
	for _, table := range Tables {
		load += fmt.Sprintf(".import %s %s\n", filepath.Join(dir, table+".csv"), table)
	}
	return runJoin(exec.CommandContext(ctx, "sqlite3", "-bail", ":memory:"), nil, load, ".print loaded\n", ".mode list\n.separator |\n")
}

// runJoin feeds a database's shell, and takes the time between its answers, and what
// the shell and the server, by its process ID, use.
func runJoin(cmd *exec.Cmd, server []int, load, mark, format string) (Joined, error) {
	cmd.Stdin = strings.NewReader(strings.Join([]string{load, indexSQL, mark, matchSQL, vmSQL, nicSQL, diskSQL, hostSQL, format,
		"select kind, subject from finding order by kind, subject;\n"}, "\n"))
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return Joined{}, err
	}
	before, begin := cpuOf(server...), time.Now()
	if err := cmd.Start(); err != nil {
		return Joined{}, err
	}
	since := func() Used { return Used{time.Since(begin), cpuOf(append(server, cmd.Process.Pid)...) - before} }
	done := Joined{Found: map[Row]int{}}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == "loaded" {
			done.Load = since()
		} else if kind, subject, is := strings.Cut(strings.TrimSpace(lines.Text()), "|"); is {
			done.Found[Row{reconcile.Kind(kind), subject}]++
		}
	}
	all := since() // before it is waited for and gone
	if err := cmd.Wait(); err != nil || done.Load.Clock == 0 || errs.Len() > 0 {
		return Joined{}, fmt.Errorf("join in %s: %v: %s", cmd.Path, err, errs.String())
	}
	done.Join = Used{all.Clock - done.Load.Clock, all.CPU - done.Load.CPU}
	return done, nil
}
