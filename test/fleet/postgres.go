package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrNoPostgreSQL says that there is no PostgreSQL server on this machine.
var ErrNoPostgreSQL = errors.New("no PostgreSQL server is installed")

// PostgreSQL makes a cluster of its own in a directory, loads the tables into it
// and joins them. It runs as the user postgres, as PostgreSQL refuses root.
func PostgreSQL(ctx context.Context, dir string) (_ Joined, err error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return Joined{}, ErrNoPostgreSQL
	}
	bin := filepath.Dir(slices.Max(found))
	if _, err := user.Lookup("postgres"); err != nil {
		return Joined{}, ErrNoPostgreSQL
	}
	data := filepath.Join(dir, "postgres")
	as := func(name string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "setpriv", append([]string{"--reuid", "postgres", "--regid", "postgres", "--clear-groups", name}, args...)...)
		cmd.Dir = "/"
		return cmd
	}
	if err := errors.Join(os.Mkdir(data, 0o700), exec.CommandContext(ctx, "chown", "-R", "postgres", dir).Run(), os.Chmod(dir, 0o755)); err != nil {
		return Joined{}, fmt.Errorf("prepare PostgreSQL: %w", err)
	}
	for _, cmd := range []*exec.Cmd{
		as(filepath.Join(bin, "initdb"), "-D", data, "-A", "trust", "--no-sync"),
		as(filepath.Join(bin, "pg_ctl"), "-D", data, "-w", "-l", filepath.Join(data, "log"), "-o",
			"-c listen_addresses='' -c unix_socket_directories="+data+" -c fsync=off -c jit=off -c shared_buffers=1GB -c work_mem=256MB -c maintenance_work_mem=512MB -c max_wal_size=8GB -c wal_level=minimal -c max_wal_senders=0", "start"),
	} {
		if out, err := cmd.CombinedOutput(); err != nil {
			return Joined{}, fmt.Errorf("start PostgreSQL: %w: %s", err, out)
		}
	}
	defer func() {
		stop := as(filepath.Join(bin, "pg_ctl"), "-D", data, "-m", "immediate", "stop")
		if out, stopErr := stop.CombinedOutput(); stopErr != nil {
			err = errors.Join(err, fmt.Errorf("stop PostgreSQL: %w: %s", stopErr, out))
		}
	}()
	postmaster, err := postmasterOf(data)
	if err != nil {
		return Joined{}, err
	}
	load := schemaSQL
	for _, table := range Tables {
		load += fmt.Sprintf("\\copy %s from '%s' csv null 'NULL'\n", table, filepath.Join(dir, table+".csv"))
	}
	return runJoin(as(filepath.Join(bin, "psql"), "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", data, "-d", "postgres"), []int{postmaster}, load, "\\echo loaded\n", "")
}

// postmasterOf is the server's first process, whose children the others are.
func postmasterOf(data string) (pid int, err error) {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err == nil {
		first, _, _ := strings.Cut(string(text), "\n")
		pid, err = strconv.Atoi(strings.TrimSpace(first))
	}
	if err != nil {
		return 0, fmt.Errorf("find PostgreSQL's process: %w", err)
	}
	return pid, nil
}
