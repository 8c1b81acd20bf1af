package install

import (
	"strings"
	"testing"

	"github.com/dataverket/avstem/test/lab"
)

// shop01 is a VM of an operator's: real QEMU, emulated, without anything to boot. Its
// metadata says whose it is.
const shop01 = `<domain type='qemu'>
  <name>shop-01</name>
  <uuid>0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0f01</uuid>
  <metadata>
    <dv:placement xmlns:dv='urn:dataverket:maskin:placement:v1' vm='0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0f01' tenant='acme' project='web' environment='prod'/>
  </metadata>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='/var/lib/libvirt/images/shop-01.qcow2'/>
      <target dev='vda' bus='virtio'/>
      <serial>shop-01-root</serial>
    </disk>
  </devices>
</domain>
`

// sockets are those of libvirtd's units.
const sockets = "libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket"

// startVM makes a hypervisor of a host: libvirtd as its package's unit runs it, also
// after a reboot, and a VM.
func startVM(w *walk, h *lab.Host) {
	w.t.Helper()
	if err := h.Put(w.t.Context(), "/root/shop-01.xml", []byte(shop01), 0o644); err != nil {
		w.t.Fatal(err)
	}
	w.must(h, "systemctl enable --now libvirtd && qemu-img create -q -f qcow2 /var/lib/libvirt/images/shop-01.qcow2 8M && virsh -q define /root/shop-01.xml && virsh -q autostart shop-01 && virsh -q start shop-01 && virsh list")
}

// breakRuntime changes the VM of a host under avstem, and takes from its agent what it
// sees the VM by.
func breakRuntime(t *testing.T, server, host *lab.Host) {
	run := steps(t)
	run("a VM that is changed by virsh is found", func(w *walk) { changeVM(w, server, host) })
	run("a reboot", func(w *walk) {
		if err := host.Reboot(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		w.soon(host, "systemctl status --no-pager avstem-agent", "1 VM, .*published")
		w.soon(server, "avstem hosts", isLive(host, ""))
	})
	run("libvirtd that is stopped, and its VM is missed by nobody", func(w *walk) { stopLibvirtd(w, server, host) })
	run("a socket that is forbidden is named, with what to type", func(w *walk) { forbidSocket(w, server, host) })
}

// ofHost are the findings of the host with a VM, whatever is wrong with the other one.
const ofHost = "avstem drift --platform libvirt"

// changeVM gives the VM other memory than is written down, and its old one back.
func changeVM(w *walk, server, h *lab.Host) {
	w.t.Helper()
	const give = "virsh -q destroy shop-01; virsh -q setmaxmem shop-01 SIZE --config && virsh -q setmem shop-01 SIZE --config && virsh -q start shop-01"
	w.must(h, strings.ReplaceAll(give, "SIZE", "48M"))
	w.soon(server, "avstem drift", `vm\.memory +acme/web/shop-01 +32 ?MiB → 48 ?MiB`)
	w.must(server, "avstem explain shop-01")
	w.must(h, strings.ReplaceAll(give, "SIZE", "32M"))
	w.soon(server, ofHost, "(?i)no drift|nothing")
}

// stopLibvirtd stops the daemon under its VM, which runs on.
func stopLibvirtd(w *walk, server, h *lab.Host) {
	w.t.Helper()
	w.must(h, "systemctl stop libvirtd "+sockets)
	w.soon(h, "systemctl status --no-pager avstem-agent", `Status: ".*runtime-libvirt failed \(connect /run/libvirt/libvirt-sock-ro: .*connection refused`)
	w.says(w.must(h, "journalctl -u avstem-agent -n 3 -o cat"), "source is not seen whole source=runtime-libvirt outcome=failed why=", "connection refused")
	out, err := w.on(h, "avstem-agent doctor")
	if err == nil {
		w.t.Error("doctor finds nothing")
	}
	w.says(out, "rights", "user avstem-agent", "nobody listens on it: connection refused", "systemctl start libvirtd")
	// What is blind is open after as long as what is missing would be.
	missed(w, w.soon(server, "avstem drift", `observe\.blind +`+h.Name()+" runtime-libvirt"))
	w.soon(server, "avstem hosts", "(?s)"+h.Name()+" [^\n]* blind .*connection refused")
	missed(w, w.must(server, "avstem drift --all"))
	w.must(h, "systemctl start libvirtd")
	w.soon(h, "journalctl -u avstem-agent -n 3 -o cat", "source has changed source=runtime-libvirt outcome=complete before=failed")
	w.soon(server, ofHost, "(?i)no drift|nothing")
}

// forbidSocket closes libvirt's read-only socket to all but root.
func forbidSocket(w *walk, server, h *lab.Host) {
	w.t.Helper()
	const restart = "systemctl daemon-reload && systemctl stop libvirtd " + sockets + " && systemctl start libvirtd && stat -c '%A %n' /run/libvirt/libvirt-sock-ro"
	w.must(h, "mkdir -p /etc/systemd/system/libvirtd-ro.socket.d && printf '[Socket]\\nSocketMode=0600\\n' >/etc/systemd/system/libvirtd-ro.socket.d/mode.conf && "+restart)
	w.soon(h, "systemctl status --no-pager avstem-agent", `Status: ".*runtime-libvirt failed \(connect /run/libvirt/libvirt-sock-ro: .*permission denied`)
	w.says(w.must(h, "journalctl -u avstem-agent -n 3 -o cat"), "source is not seen whole source=runtime-libvirt outcome=failed why=", "permission denied")
	out, err := w.on(h, "avstem-agent doctor")
	if err == nil {
		w.t.Error("doctor finds nothing")
	}
	w.says(out, "permission denied", "type: let everybody connect to the read-only socket", "SocketMode=0666 by systemctl edit libvirtd-ro.socket")
	w.soon(server, "avstem hosts", "(?s)"+h.Name()+" [^\n]* blind .*permission denied")
	missed(w, w.must(server, "avstem drift --all"))
	w.must(h, "rm -r /etc/systemd/system/libvirtd-ro.socket.d && "+restart)
	w.soon(server, "avstem hosts", isLive(h, ""))
	missed(w, w.must(server, "avstem drift --all"))
}

// missed fails where a VM is said to be missing that nobody can see at the moment.
func missed(w *walk, drift string) {
	w.t.Helper()
	if strings.Contains(drift, "vm.missing") {
		w.t.Errorf("a VM is missed that can't be seen:\n%s", drift)
	}
}
