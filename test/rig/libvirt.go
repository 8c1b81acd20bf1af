package rig

// Define defines a domain from its XML.
func (r *Rig) Define(xml string) error {
	_, err := r.runWith(xml, "virsh", "-q", "-c", "qemu:///system", "define", "/dev/stdin")
	return err
}

// StartVM starts a defined domain.
func (r *Rig) StartVM(name string) error {
	_, err := r.Virsh("start", name)
	return err
}

// StartVMPaused starts a defined domain without letting it execute: a real QEMU
// process that takes no CPU time.
func (r *Rig) StartVMPaused(name string) error {
	_, err := r.Virsh("start", "--paused", name)
	return err
}

// signalLibvirtd is a shell script: its first argument is the signal.
const signalLibvirtd = `set -e
pid=$(cat /run/libvirtd.pid)
kill -s "$1" "$pid"
`

// awaitLibvirtdGone goes after signalLibvirtd.
const awaitLibvirtdGone = `while kill -s 0 "$pid" 2>/dev/null; do sleep 0.01; done`

// awaitStopped goes after a SIGSTOP to $pid: each thread stops in its own time.
const awaitStopped = `
while grep -h '^State:' /proc/"$pid"/task/*/status | grep -qv stopped; do sleep 0.01; done`

// KillLibvirtd kills the daemon with SIGKILL and waits until it is gone. Guests
// go on.
func (r *Rig) KillLibvirtd() error {
	_, err := r.Run("sh", "-c", signalLibvirtd+awaitLibvirtdGone, "sh", "KILL")
	return err
}

// RestartLibvirtd ends the daemon, if there is one, and starts it anew. It
// returns when the new one answers.
func (r *Rig) RestartLibvirtd() error {
	script := `if kill -s 0 "$(cat /run/libvirtd.pid)" 2>/dev/null; then
` + signalLibvirtd + `kill -s CONT "$pid" # a paused one would never end
` + awaitLibvirtdGone + `
fi
libvirtd -d >/dev/null 2>&1
virsh -q -c qemu:///system list --all`
	_, err := r.Run("sh", "-c", script, "sh", "TERM")
	return err
}

// PauseLibvirtd stops the daemon with SIGSTOP: it accepts connections and
// answers nothing, as a hung one does.
func (r *Rig) PauseLibvirtd() error {
	_, err := r.Run("sh", "-c", signalLibvirtd+awaitStopped, "sh", "STOP")
	return err
}

// ResumeLibvirtd lets a paused daemon go on.
func (r *Rig) ResumeLibvirtd() error {
	_, err := r.Run("sh", "-c", signalLibvirtd, "sh", "CONT")
	return err
}
