// Package history says what a VM or host looked like on either side, when that
// changed, and which document or record made it so.
//
// It exists because "since when?" is the first question about a difference, and
// because the answer must not be another program's opinion: at each moment that
// something was said, the core is run over both books as they stood then, and
// what it came to is held against what it had come to before. So a VLAN that was
// changed on a switch port is a change of the VM's NIC, as it is in a finding.
//
// It knows no streams: what was said is handed to it in the order in which it
// was kept, as [Entry] values. Nothing here locks, reads a clock or does I/O.
package history
