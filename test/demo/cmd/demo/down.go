package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/dataverket/avstem/test/demo"
	"github.com/dataverket/avstem/test/rig"
)

// down removes the demo, whatever there is of it.
func (d *demonstration) down() error {
	if err := d.dropLink(); err != nil {
		return err
	}
	if _, err := os.Lstat(d.dir); errors.Is(err, os.ErrNotExist) {
		d.say("There is no demo: nothing to remove.")
		return nil
	}
	alive := running(d.dir)
	if err := rig.Clean(d.dir); err != nil {
		return err
	}
	if len(alive) > 0 {
		d.say("ended    %s", strings.Join(alive, ", "))
	}
	d.say("removed  %s", d.dir)
	return nil
}

// running says what of the demo runs, in words.
func running(dir string) []string {
	r, err := rig.Open(dir)
	if err != nil {
		return nil
	}
	var alive []string
	if demo.OpenAvstem(r).Running() {
		alive = append(alive, "avstem")
	}
	if names, err := r.Virsh("list", "--name"); err == nil {
		alive = append(alive, fmt.Sprintf("%d guests", len(strings.Fields(names))))
	}
	return append(alive, "libvirtd", "Open vSwitch")
}
