package network

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors/collectorstest"
	"github.com/dataverket/avstem/inventory"
)

// What Linux 6.1 said of a NIC with virtual functions: igb, an Intel 82576 as
// QEMU 10.0 has it (-device igb), which Debian 12's own QEMU 7.2 doesn't. It was
// recorded by this test binary as the first process of that guest:
//
//	go test -c -o init ./collectors/network       # CGO_ENABLED=0
//	cp …/i2c-algo-bit.ko …/dca.ko …/igb.ko …/igbvf.ko modules/
//	find init modules | cpio -o -H newc > initrd
//	qemu-system-x86_64 -M q35 -m 512 -nographic -no-reboot -kernel vmlinuz -initrd initrd
//	    -device pcie-root-port,id=p,bus=pcie.0,chassis=1,slot=1 -netdev hubport,id=n,hubid=0
//	    -device igb,bus=p,netdev=n,mac=52:54:00:aa:01:00
//	    -append 'console=ttyS0 AVSTEM_TEST_ROLE=sriov'
//
// and what it printed between the lines "-- NAME --" is in testdata.
func TestRecordedVirtualFunctions(t *testing.T) {
	root := collectorstest.Tree(t, "testdata/sriov.txtar")
	golden(t, "sriov.json", 0, func() *inventory.Observation {
		return observeFrom(t, root, func(_ context.Context, what request) ([][]byte, error) {
			if what == linkRequest {
				return recorded(t, "sriov.hex"), nil
			}
			return nil, nil
		})
	})
}

// sriovMain is the first process of a guest that has such a NIC.
func sriovMain() {
	if err := sriovRun(); err != nil {
		fmt.Println("guest:", err)
	}
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func sriovRun() error {
	for _, kind := range []string{"proc", "sysfs"} {
		dir := map[string]string{"proc": "/proc", "sysfs": "/sys"}[kind]
		if err := errors.Join(os.MkdirAll(dir, 0o755), unix.Mount(kind, dir, kind, 0, "")); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	for _, module := range []string{"i2c-algo-bit", "dca", "igb", "igbvf"} {
		f, err := os.Open("/modules/" + module + ".ko")
		if err != nil {
			return err
		}
		if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil {
			return fmt.Errorf("load module %s: %w", module, err)
		}
	}
	pf, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(pf); err != nil {
		return err
	}
	if err := os.WriteFile("/sys/class/net/eth0/device/sriov_numvfs", []byte("3"), 0); err != nil {
		return err
	}
	told := setFunctions(pf)
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if state, _ := os.ReadFile("/sys/class/net/eth0/operstate"); string(state) == "up\n" {
			break
		}
	}
	if err := printRecording(); err != nil {
		return err
	}
	return told
}

// setFunctions gives each function other settings, as libvirt and nova do.
func setFunctions(pf netlink.Link) error {
	return errors.Join(
		netlink.LinkSetVfHardwareAddr(pf, 0, attrs("", 0x10).HardwareAddr),
		netlink.LinkSetVfVlan(pf, 0, 110),
		netlink.LinkSetVfHardwareAddr(pf, 1, attrs("", 0x11).HardwareAddr),
		netlink.LinkSetVfSpoofchk(pf, 1, false),
		netlink.LinkSetVfTrust(pf, 1, true),
	)
}

// printRecording prints what the kernel says of links, and the part of sysfs that
// the collector reads.
func printRecording() error {
	socket, err := openRoute("")
	if err != nil {
		return err
	}
	defer socket.Close()
	messages, err := socketDumper(socket)(context.Background(), linkRequest)
	if err != nil {
		return err
	}
	fmt.Println("-- sriov.hex --")
	for _, m := range messages {
		fmt.Println(hex.EncodeToString(m))
	}
	fmt.Println("-- sriov.txtar --")
	links, err := filepath.Glob("/sys/class/net/*")
	for _, link := range links {
		dir, none := filepath.EvalSymlinks(link)
		err = errors.Join(err, none)
		printLinks(link, dir+"/device")
		for _, name := range []string{"/ifindex", "/speed"} {
			if data, err := os.ReadFile(dir + name); err == nil {
				fmt.Printf("-- %s --\n%s", strings.TrimPrefix(dir+name, "/"), data)
			}
		}
		if device, err := filepath.EvalSymlinks(link + "/device"); err == nil { // lo has none
			functions, _ := filepath.Glob(device + "/virtfn*")
			printLinks(append(functions, device+"/driver", device+"/subsystem", device+"/physfn")...)
		}
	}
	fmt.Println("-- end --")
	return err
}

func printLinks(files ...string) {
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil {
			fmt.Printf("-- %s -> %s --\n", strings.TrimPrefix(file, "/"), target)
		}
	}
}
