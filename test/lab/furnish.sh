# Run on a lab host: makes of it what hypervisor hosts usually are. $1 is its
# number in the lab, from 1 on.
set -eu
modprobe -a 8021q bonding bridge openvswitch tun sd_mod dm_multipath dm_round_robin

# Two NICs in a bond, under a bridge that filters VLANs, where the host itself is
# on VLAN 110.
ip link add bond0 type bond mode active-backup miimon 100
for nic in nic0 nic1; do
	ip link set "$nic" down
	ip link set "$nic" master bond0
done
ip link add br0 type bridge vlan_filtering 1
ip link set bond0 master br0
bridge vlan del vid 1 dev bond0
bridge vlan add vid 110 dev bond0
bridge vlan add vid 120 dev bond0
bridge vlan add vid 110 dev br0 self
ip link add link br0 name br0.110 type vlan id 110
for link in bond0 br0 br0.110; do
	ip link set "$link" up
done
ip address add "10.110.0.$1/24" dev br0.110

# One disk that is reached by two paths, a volume group on it, a file system on a
# volume of that. The disk's target says that it does ALUA, whose handler this
# kernel lacks.
cat >/etc/multipath.conf <<-END
	defaults {
		find_multipaths no
		user_friendly_names yes
	}
	overrides {
		hardware_handler "0"
		detect_prio no
		prio const
		path_selector "round-robin 0"
		path_grouping_policy multibus
	}
END
systemctl start multipathd
modprobe scsi_debug dev_size_mb=64 add_host=2 vpd_use_hostno=0
udevadm settle
end=$(($(date +%s) + 60))
until [ -e /dev/mapper/mpatha ]; do
	[ "$(date +%s)" -lt "$end" ] || { echo "multipathd makes no device of the disk" >&2; exit 1; }
	sleep 0.2
done
pvcreate -q /dev/mapper/mpatha
vgcreate -q vg0 /dev/mapper/mpatha
lvcreate -qy -n images -L 32M vg0
mkfs.ext4 -q /dev/vg0/images
mkdir -p /srv/images
mount /dev/vg0/images /srv/images

# A second switch, in the kernel's datapath.
systemctl start openvswitch-switch
ovs-vsctl --timeout=60 add-br ovs0
