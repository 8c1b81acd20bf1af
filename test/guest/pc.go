package guest

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// PC is an x86 machine, emulated by QEMU without hardware virtualization, that
// runs Debian's kernel for clouds. It has what user-mode Linux lacks: firmware
// that describes it, NICs with addresses of their own, NVMe disks, a TPM. It
// boots in a few seconds.
type PC struct {
	UUID   string   // of the system (SMBIOS type 1); "" leaves it to QEMU, which sets none
	SMBIOS []string // more of the firmware's tables, as QEMU's -smbios takes them
	NICs   []string // MAC addresses
	Disks  []PCDisk // /dev/nvme1n1 and on: the first one takes what the guest writes
	TPM    string   // the directory that holds a swtpm's state; "" for a machine without
}

// PCDisk is a disk of a PC, which writes to its file.
type PCDisk struct{ File, Serial string }

const (
	// bootWithin is the hard limit of one run: emulation on a busy machine.
	bootWithin = 4 * time.Minute
	// resultSize is what a guest may write.
	resultSize = 4 << 20
)

//go:embed cloud-kernel.sh
var cloudKernelScript string

// Boot runs the machine with the static program init as its first process, which
// calls [PCMain], until it powers off, and gives what that wrote. Files are put
// beside it, by their paths in the guest.
func (pc PC) Boot(t testing.TB, init string, files map[string]string, env ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	kernel := cloudKernel(t)
	modules, err := filepath.Glob(filepath.Join(kernel, "*.ko"))
	if err != nil || len(modules) == 0 {
		t.Fatalf("no modules in %s: %v", kernel, err)
	}
	all := map[string]string{"init": init}
	for path, file := range files {
		all[strings.TrimPrefix(path, "/")] = file
	}
	for _, file := range modules {
		all["modules/"+filepath.Base(file)] = file
	}
	initramfs, result, console := filepath.Join(dir, "initramfs"), filepath.Join(dir, "result"), filepath.Join(dir, "console")
	if err := writeInitramfs(initramfs, all); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(result, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(result, resultSize); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-kernel", filepath.Join(kernel, "vmlinuz"), "-initrd", initramfs,
		"-append", "console=ttyS0 panic=-1 quiet " + strings.Join(env, " "), "-chardev", "file,id=console,path=" + escape(console), "-serial", "chardev:console"},
		pc.arguments(append([]PCDisk{{result, "result"}}, pc.Disks...))...)
	ctx, cancel := context.WithTimeout(t.Context(), bootWithin)
	defer cancel()
	if pc.TPM != "" {
		socket, end := powerTPM(ctx, t, pc.TPM)
		defer end()
		args = append(args, "-chardev", "socket,id=tpm,path="+escape(socket), "-tpmdev", "emulator,id=tpm,chardev=tpm", "-device", "tpm-tis,tpmdev=tpm")
	}
	machine := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	machine.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	said, err := machine.CombinedOutput()
	written, readErr := os.ReadFile(result)
	if err := errors.Join(err, ctx.Err(), readErr); err != nil {
		log, _ := os.ReadFile(console)
		t.Fatalf("run PC (package qemu-system-x86): %v\n%s\nconsole:\n%s", err, said, log[max(0, len(log)-4000):])
	}
	written = bytes.TrimRight(written, "\x00")
	if len(written) == 0 {
		log, _ := os.ReadFile(console)
		t.Fatalf("the guest wrote nothing; console:\n%s", log[max(0, len(log)-4000):])
	}
	return written
}

func (pc PC) arguments(disks []PCDisk) []string {
	args := []string{"-machine", "q35,accel=tcg", "-m", "384", "-nodefaults", "-display", "none", "-no-reboot"}
	if pc.UUID != "" {
		args = append(args, "-uuid", pc.UUID)
	}
	for _, table := range pc.SMBIOS {
		args = append(args, "-smbios", table)
	}
	for _, mac := range pc.NICs {
		args = append(args, "-device", "virtio-net-pci,romfile=,mac="+mac)
	}
	for i, disk := range disks {
		args = append(args, "-drive", fmt.Sprintf("if=none,id=d%d,format=raw,file=%s", i, escape(disk.File)),
			"-device", fmt.Sprintf("nvme,drive=d%d,serial=%s", i, disk.Serial))
	}
	return args
}

// escape writes a value as QEMU's options take it.
func escape(value string) string { return strings.ReplaceAll(value, ",", ",,") }

// cloudKernel gives the directory with the kernel and its modules, which is kept
// between runs.
func cloudKernel(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	get := exec.CommandContext(t.Context(), "sh", "-s", filepath.Join(cache, "avstem-test"))
	get.Stdin = strings.NewReader(cloudKernelScript)
	var problem bytes.Buffer
	get.Stderr = &problem
	out, err := get.Output()
	if err != nil {
		t.Fatalf("get Debian's kernel for clouds: %v\n%s", err, &problem)
	}
	return strings.TrimSpace(string(out))
}
