# Run in the root file system that all lab hosts begin with, once.
set -eu

# Each host makes its own at its first boot.
: >/etc/machine-id
rm -f /var/lib/dbus/machine-id

# Nobody waits for these, and some never end in a lab.
for unit in systemd-networkd-wait-online apt-daily.timer apt-daily-upgrade.timer e2scrub_reap fstrim.timer \
	man-db.timer dpkg-db-backup.timer getty@tty1 console-getty serial-getty@ttyS0 libvirt-guests \
	systemd-timesyncd lldpd multipathd openvswitch-switch libvirtd mdmonitor mdcheck_start.timer mdcheck_continue.timer; do
	systemctl disable "$unit" >/dev/null 2>&1 || true
done
systemctl mask getty.target systemd-logind systemd-binfmt proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount >/dev/null 2>&1
systemctl set-default multi-user.target >/dev/null
systemctl enable ssh systemd-networkd >/dev/null 2>&1

# Nobody answers for names here, and a login must not wait for them.
cat >/etc/ssh/sshd_config.d/lab.conf <<-END
	UseDNS no
	PermitRootLogin prohibit-password
	PrintMotd no
	MaxStartups 100
	MaxSessions 100
END

# Where the processor has AMX, AVX doesn't work in a host (see package uml).
mkdir -p /etc/gcrypt
printf 'intel-avx\nintel-avx2\nintel-avx512\nintel-vaes-vpclmul\n' >/etc/gcrypt/hwf.deny

# Whoever wants it removes this, and gives it a source of data.
touch /etc/cloud/cloud-init.disabled

# libvirt without what can't work without devices of its own.
cat >/etc/libvirt/qemu.conf <<-END
	namespaces = []
	security_driver = "none"
	cgroup_controllers = []
END
apt-get clean
