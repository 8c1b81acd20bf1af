package lab

import (
	"context"
	"os"
)

// containerNIC is what systemd-nspawn calls the NIC that it gives a container.
const containerNIC = "host0"

// containerFile makes logins quick: nobody's session is kept here.
var containerFile = layered{"etc/ssh/sshd_config.d/container.conf", "UsePAM no\n"}

// contain is a shell script: the host's name, its root file system and a file
// that is there while it runs. The container has a control group of its own,
// since systemd in it takes all that is below for its own.
const contain = `set -e
own=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/$1
mkdir -p "$own" "$(dirname "$3")"
touch "$3"
(
	read -r self _ </proc/self/stat
	echo "$self" >"$own/cgroup.procs"
	setsid systemd-nspawn --quiet --register=no --keep-unit --machine="$1" --directory="$2" --boot --console=pipe \
		--network-bridge=mgmt --link-journal=no --resolv-conf=off --timezone=off \
		systemd.journald.forward_to_console=1 </dev/null
	rm -f "$3"
) &`

// contain boots the host as a container of systemd-nspawn's. It is a child of the
// rig's first process, and ends with it.
func (h *Host) contain(console *os.File) error {
	cmd := h.lab.rig.Command(context.Background(), "sh", "-c", contain, "sh", h.Name(), h.Disk(), h.dir+"/uml/"+h.Name()+"/pid")
	cmd.Stdout, cmd.Stderr = console, console
	return cmd.Run()
}
