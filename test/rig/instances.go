package rig

// The daemons of containers that a rig may run beside libvirtd.
const (
	lxd   = "lxd"
	incus = "incus"
)

// instanceRuntimes are those that the options ask for.
func (o Options) instanceRuntimes() []string {
	var asked []string
	if o.LXD {
		asked = append(asked, lxd)
	}
	if o.Incus {
		asked = append(asked, incus)
	}
	return asked
}

// LXDSocket is LXD's socket, for use from outside by root.
func (r *Rig) LXDSocket() string { return r.dir + "/var/lib/lxd/unix.socket" }

// IncusSocket is Incus's socket, for use from outside by root.
func (r *Rig) IncusSocket() string { return r.dir + "/var/lib/incus/unix.socket" }

// LXC runs LXD's client inside, as [Rig.Run] does. The image "tiny" is there to
// launch containers from.
func (r *Rig) LXC(args ...string) (string, error) {
	return r.Run("env", append([]string{"LXD_CONF=/run/lxd-client", "lxc"}, args...)...)
}

// IncusCtl runs Incus's client inside, as [Rig.LXC] does.
func (r *Rig) IncusCtl(args ...string) (string, error) {
	return r.Run("env", append([]string{"INCUS_CONF=/run/incus-client", "incus"}, args...)...)
}

// signalDaemon is a shell script: its arguments are the runtime and the signal.
const signalDaemon = `pid=$(cat "/run/$1.pid"); kill -s "$2" "$pid"; [ "$2" != STOP ] || {` + awaitStopped + `
}`

// PauseLXD stops the daemon with SIGSTOP: it accepts connections and answers
// nothing, as a hung one does.
func (r *Rig) PauseLXD() error { return r.signal(lxd, "STOP") }

// PauseIncus is [Rig.PauseLXD] for Incus.
func (r *Rig) PauseIncus() error { return r.signal(incus, "STOP") }

// KillLXD kills the daemon with SIGKILL. Its containers go on.
func (r *Rig) KillLXD() error { return r.signal(lxd, "KILL") }

// KillIncus is [Rig.KillLXD] for Incus.
func (r *Rig) KillIncus() error { return r.signal(incus, "KILL") }

// RestartLXD starts the daemon anew after [Rig.KillLXD]. It returns when the new
// one answers.
func (r *Rig) RestartLXD() error {
	_, err := r.Run("sh", "-c", `lxd --group root --logfile /var/log/lxd/daemon.log </dev/null >/dev/null 2>&1 & echo $! >/run/lxd.pid; lxd waitready --timeout 60`)
	return err
}

func (r *Rig) signal(runtime, signal string) error {
	_, err := r.Run("sh", "-c", signalDaemon, "sh", runtime, signal)
	return err
}
