package demo

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dataverket/avstem/test/rig"
)

//go:embed inventory
var inventoryFiles embed.FS

// Build makes the host's side in an empty rig: bridges, images, guests, and
// starts the guests that run. ctx is looked at between the steps.
func Build(ctx context.Context, r *rig.Rig) error {
	if err := makeBridges(r); err != nil {
		return fmt.Errorf("build the demo's bridges: %w", err)
	}
	for _, version := range []string{imageBefore, imageNow} {
		if _, err := r.CreateBootImage(imageFile(version), 2*gib); err != nil {
			return fmt.Errorf("build the demo's images: %w", err)
		}
	}
	for i := range guests {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := makeGuest(r, &guests[i]); err != nil {
			return fmt.Errorf("build the demo's guest %s: %w", guests[i].Name, err)
		}
	}
	return nil
}

func makeBridges(r *rig.Rig) error {
	if _, err := r.VSCtl("add-br", tenantBridge, "--", "set", "bridge", tenantBridge, "datapath_type=netdev"); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"link", "set", tenantBridge, "up"},
		{"link", "add", managementBridge, "type", "bridge"},
		{"link", "set", managementBridge, "up"},
	} {
		if _, err := r.Run("ip", args...); err != nil {
			return err
		}
	}
	return nil
}

func makeGuest(r *rig.Rig, g *guest) error {
	for _, d := range g.disks() {
		if _, err := r.CreateImage(d.image, d.size, d.backing); err != nil {
			return err
		}
	}
	xml, err := g.domain()
	if err != nil {
		return err
	}
	if err := r.Define(xml); err != nil {
		return err
	}
	if g.Stopped {
		return nil
	}
	return r.StartVM(g.Name)
}

// WriteInventory writes Sentral's side into a new directory.
func WriteInventory(dir string) error {
	files, err := fs.Sub(inventoryFiles, "inventory")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("write the demo's inventory: %w", err)
	}
	if err := os.CopyFS(dir, files); err != nil {
		return fmt.Errorf("write the demo's inventory: %w", err)
	}
	return nil
}

// Disagreeing names the VMs on which host and Sentral differ, in no order that
// means anything.
func Disagreeing() []string {
	names := []string{missing}
	for i := range guests {
		if !guests[i].Agrees {
			names = append(names, guests[i].Name)
		}
	}
	return names
}

// Guests counts the guests of the host, and those of them that run.
func Guests() (all, running int) {
	for i := range guests {
		if !guests[i].Stopped {
			running++
		}
	}
	return len(guests), running
}
