package incus

// Flavor is which of the two daemons is read. They differ in names alone.
type Flavor struct {
	name     string   // of the runtime, and what the daemon calls itself
	title    string   // for sentences
	sockets  []string // where it listens, in order
	group    string   // whose members may connect
	service  string
	list     string // the command that lists instances
	notifier string // see client.member
}

// The two flavors.
var (
	Incus = Flavor{
		name: "incus", title: "Incus", group: "incus-admin", service: "incus", list: "incus list --all-projects",
		sockets:  []string{"/run/incus/unix.socket", "/var/lib/incus/unix.socket"},
		notifier: "incus-cluster-notifier",
	}
	LXD = Flavor{
		name: "lxd", title: "LXD", group: "lxd", service: "lxd", list: "lxc list --all-projects",
		sockets:  []string{"/var/lib/lxd/unix.socket", "/var/snap/lxd/common/lxd/unix.socket"},
		notifier: "lxd-cluster-notifier",
	}
)
