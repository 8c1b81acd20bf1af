package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/dataverket/avstem/test/demo"
	"github.com/dataverket/avstem/test/rig"
)

// down removes the demo, whatever there is of it.
func (d *demonstration) down(ctx context.Context) error {
	if err := d.dropLink(); err != nil {
		return err
	}
	if _, err := os.Lstat(d.dir); errors.Is(err, os.ErrNotExist) {
		d.say("There is no demo: nothing to remove.")
		return nil
	}
	alive := running(ctx, d.dir)
	if err := rig.Clean(d.dir); err != nil {
		return err
	}
	if len(alive) > 0 {
		d.say("ended    %s", strings.Join(alive, ", "))
	}
	d.say("removed  %s", d.dir)
	return nil
}

// answersWithin is how long libvirtd may take to say how many guests run: a
// stopped one must not hold up its own end.
const answersWithin = 2 * time.Second

// running says what of the demo runs, in words.
func running(ctx context.Context, dir string) []string {
	r, err := rig.Open(dir)
	if err != nil {
		return nil
	}
	var alive []string
	if demo.OpenAvstem(r).Running() {
		alive = append(alive, "avstem")
	}
	ctx, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	if names, err := r.Command(ctx, "virsh", "-q", "-c", "qemu:///system", "list", "--name").Output(); err == nil {
		alive = append(alive, fmt.Sprintf("%d guests", len(strings.Fields(string(names)))))
	} else {
		alive = append(alive, "its guests")
	}
	return append(alive, "libvirtd", "Open vSwitch")
}
