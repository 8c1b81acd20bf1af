package rig

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// startTimeout bounds start-up, which takes some tenths of a second.
const startTimeout = 30 * time.Second

// Start starts a rig in dir, which must be absent or empty, and returns when its
// daemons answer. What a failed start made is gone again. ctx bounds the start
// alone, not the rig's life.
func Start(ctx context.Context, dir string, o Options) (*Rig, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("start rig: it makes namespaces and mounts: run it as root")
	}
	if err := checkPackages(o); err != nil {
		return nil, fmt.Errorf("start rig: %w", err)
	}
	dir, err := resolve(dir)
	if err != nil {
		return nil, err
	}
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("start rig: %w", err)
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, fmt.Errorf("start rig: %w", err)
	}
	defer unlock()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		return nil, cmp.Or(err, fmt.Errorf("start rig in %s: the directory isn't empty: clean it first", dir))
	}
	r, err := start(ctx, dir, o)
	if err != nil {
		said := tail(dir + logFile)
		return nil, errors.Join(fmt.Errorf("start rig in %s: %w\n%s", dir, err, said), clean(dir))
	}
	return r, nil
}

func start(ctx context.Context, dir string, o Options) (*Rig, error) {
	rec := record{Hostname: cmp.Or(o.Hostname, "rig"), Persist: o.Persist}
	runtimes := o.instanceRuntimes()
	if o.CGroups || len(runtimes) > 0 {
		var err error
		if rec.CGroups, err = ownCGroups("avstem-rig-" + rand.Text()); err != nil {
			return nil, err
		}
	}
	if err := rec.write(dir); err != nil {
		return nil, err
	}
	if err := writeLayout(dir, rec.Hostname, runtimes); err != nil {
		return nil, err
	}
	init, err := launch(dir, rec, runtimes)
	if err != nil {
		return nil, err
	}
	if rec.Init, err = identify(init.cmd.Process.Pid); err == nil {
		err = rec.write(dir)
	}
	if err == nil {
		err = enterCGroups(rec.CGroups, rec.Init.PID)
	}
	if err != nil {
		init.release()
		return nil, err
	}
	if err := init.handshake(ctx); err != nil {
		return nil, err
	}
	rec.Ready = true
	if err := rec.write(dir); err != nil {
		return nil, err
	}
	if o.Persist {
		init.release()
	}
	return &Rig{dir: dir, init: rec.Init}, nil
}

// initProcess is init.sh with our ends of its two pipes.
type initProcess struct {
	cmd   *exec.Cmd
	life  *os.File // its descriptor 3
	ready *os.File // its descriptor 4
}

// launch starts init.sh, which waits for our word before it does anything.
func launch(dir string, rec record, runtimes []string) (*initProcess, error) {
	log, err := os.Create(dir + logFile)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	lifeIn, life, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer lifeIn.Close()
	ready, readyOut, err := os.Pipe()
	if err != nil {
		life.Close()
		return nil, err
	}
	defer readyOut.Close()

	mode := "starter"
	if rec.Persist {
		mode = "persist"
	}
	cmd := exec.Command(dir+initFile, append([]string{dir, rec.Hostname, mode}, runtimes...)...)
	cmd.Dir, cmd.Env = "/", environment()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{lifeIn, readyOut}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Setsid:     true, // a terminal's Ctrl-C is for the starter
	}
	if err := cmd.Start(); err != nil {
		life.Close()
		ready.Close()
		return nil, err
	}
	init := &initProcess{cmd: cmd, life: life, ready: ready}
	// Reaps it, and keeps the pipe that it lives by from being collected.
	go func() {
		_ = cmd.Wait() // it is killed in the end; how it ended says nothing
		life.Close()
	}()
	return init, nil
}

// release closes our end of the pipe that a rig without Persist lives by.
func (i *initProcess) release() { i.life.Close() }

// handshake lets init.sh go and waits for the end of start-up.
func (i *initProcess) handshake(ctx context.Context) error {
	defer i.ready.Close()
	if _, err := io.WriteString(i.life, "go\n"); err != nil {
		return err
	}
	if err := i.ready.SetReadDeadline(time.Now().Add(startTimeout)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = i.ready.SetReadDeadline(time.Now()) })
	defer stop()
	// A line and not the end of the pipe, which the daemons hold open; if init.sh
	// dies they die with it and it does end.
	said, err := bufio.NewReader(i.ready).ReadString('\n')
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.EOF) || err == nil && said != "ready\n":
		return errors.New("a daemon did not start")
	case err != nil:
		return fmt.Errorf("wait for the daemons: %w", err)
	}
	return nil
}
