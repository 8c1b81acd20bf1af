# Run on a furnished lab host: starts libvirt there and one VM, which has nothing
# to boot, with a NIC on VLAN 120 of the bridge and a disk in the file system on
# the volume. $1 is the host's number in the lab, from 1 on.
set -eu
systemctl start virtlogd libvirtd

# libvirt starts QEMU without the variables that keep it from AVX (see package uml).
{
	echo '#!/bin/sh'
	sed 's/^/export /' /etc/environment
	echo 'exec /usr/bin/qemu-system-x86_64 "$@"'
} >/usr/local/bin/qemu-system-x86_64
chmod 755 /usr/local/bin/qemu-system-x86_64

qemu-img create -q -f qcow2 /srv/images/web.qcow2 8M
cat >/root/web.xml <<-END
	<domain type='qemu'>
	  <name>web-0$1</name>
	  <uuid>0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c000$1</uuid>
	  <memory unit='MiB'>32</memory>
	  <vcpu>1</vcpu>
	  <os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os>
	  <devices>
	    <emulator>/usr/local/bin/qemu-system-x86_64</emulator>
	    <disk type='file' device='disk'>
	      <driver name='qemu' type='qcow2'/>
	      <source file='/srv/images/web.qcow2'/>
	      <target dev='vda' bus='virtio'/>
	      <serial>web-0$1-root</serial>
	    </disk>
	    <interface type='bridge'>
	      <mac address='52:54:00:aa:77:0$1'/>
	      <source bridge='br0'/>
	      <target dev='web0'/>
	      <model type='virtio'/>
	    </interface>
	  </devices>
	</domain>
END
virsh -q define /root/web.xml
# Paused: it needs no processor time, and is as real.
virsh -q start --paused "web-0$1"
bridge vlan del vid 1 dev web0
bridge vlan add vid 120 pvid untagged dev web0
