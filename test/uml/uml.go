// Package uml makes user-mode Linux (Debian's linux.uml) run on machines whose
// processors have more state than it knows.
//
// It restores its processes' floating-point registers by PTRACE_SETREGSET, with
// room for those up to AVX-512. On a machine with AMX the kernel wants all of
// them, AMX's eight KiB too, and refuses with EFAULT, upon which the guest's
// first process is killed ("ptrace set fp regs failed, errno = 14"). Where the
// kernel doesn't have that call, linux.uml uses the older PTRACE_SETFPREGS,
// which knows x87 and SSE alone. So it is told that the call isn't there, and
// programs in the guest that there is no AVX: two threads of one process would
// mix their AVX registers up.
package uml

import (
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// noAVX are variables for a guest's first process that keep Go's, glibc's,
// OpenSSL's and GnuTLS's own code from AVX.
var noAVX = []string{
	"GODEBUG=cpu.all=off",
	"GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-XSAVE,-XSAVEC",
	"OPENSSL_ia32cap=~0x1800000000000000:0",
	"GNUTLS_CPUID_OVERRIDE=0x1",
}

// Adapt prepares the calling thread so that a linux.uml that it starts works on
// this machine, and returns what belongs on that guest's command line. The
// thread must be locked to its goroutine for good ([runtime.LockOSThread]
// without its opposite), since what is done to it can't be undone.
func Adapt() (arguments []string, err error) {
	cpu, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return nil, err
	}
	if !strings.Contains(string(cpu), " amx_tile") {
		return nil, nil
	}
	if err := refuseRegisterSets(); err != nil {
		return nil, fmt.Errorf("hide ptrace register sets from linux.uml: %w", err)
	}
	return noAVX, nil
}

// refuseRegisterSets has PTRACE_GETREGSET, by which linux.uml asks whether there
// are register sets, fail with EIO in this thread and its children (seccomp(2)).
func refuseRegisterSets() error {
	const (
		load     = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal    = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		answer   = unix.BPF_RET | unix.BPF_K
		callAt   = 0  // struct seccomp_data, nr
		firstArg = 16 // its args[0], low half
	)
	program := []unix.SockFilter{
		{Code: load, K: callAt},
		{Code: equal, K: unix.SYS_PTRACE, Jf: 3},
		{Code: load, K: firstArg},
		{Code: equal, K: unix.PTRACE_GETREGSET, Jf: 1},
		{Code: answer, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EIO)},
		{Code: answer, K: unix.SECCOMP_RET_ALLOW},
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&filter)), 0, 0)
}
