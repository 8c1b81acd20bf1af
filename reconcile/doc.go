// Package reconcile holds what hosts showed against what Sentral says: it
// matches the two books, compares what it matched, checks what needs no intent,
// and gives the findings with everything they were made from.
//
// [Reconcile] is pure: the same [Input] gives the same [Result], findings in the
// same order. It reads no clock, does no I/O, and knows neither how observations
// arrive nor how findings are shown; what it judges side by side, on as many cores
// as there are, has ended when it returns. [Advance] is the second pure step, which
// gives findings their life. What keeps both books current and calls the two is
// package reconcile/engine.
//
// Values of an Input are only read, so several calls may share them.
//
// What is judged side by side is hosts, each by one goroutine with all that is on it
// alone. What a document's parts are unpacked to belongs to who judges its host: the
// accessors of a source are for that one. Of another host's document only what is
// packed may be read meanwhile (headVM), which doesn't change.
//
// # Units
//
// A pass is made of units, so that a change can be answered by judging again only
// what it touches. Each unit judges one thing, and reads nothing but what its row
// allows: a check that needs more belongs to another unit, or is a new one.
//
//	unit        judges                                  reads besides policy and time
//	inventory   records that break the contract         the inventory's problems, which projects
//	                                                    there are, networks
//	machine     which host is which record              hosts and host records with a mark of
//	            (matchHosts)                            hardware, an ID or a name in common
//	host        one host: is it there, its sources,     its documents and record, marks of records
//	            hardware, links, disks (seeHost)        that can't be used
//	VM          VMs and records that share any mark:    their documents and records; of each host
//	            matching, comparing, cloned and         they are on or belong to: its documents,
//	            doubled VMs, shared MACs and disks      record and what its own unit came to;
//	            (matchVMs, compareVM)                   networks, images, records that can't be used
//	absence     one record that no VM was matched       its record, what the host that it is bound
//	            with (checkAbsence)                     to came to, how its site is seen (sight)
//	pools       one host's storage pools (checkPools)   its documents; of the site's other hosts
//	                                                    what they use and why they aren't seen
//	stray       one host that Sentral doesn't know      its VMs' records, and whether the hosts that
//	            (checkStray)                            those are bound to speak
//	unresolved  one project that is named and that      records that name it, and labels of VMs
//	            Sentral has not (checkUnresolved)       that nobody recorded
//	project     one project's quota (checkQuota)        its record and the VMs whose record, or else
//	                                                    label, says that they are its
//	load        what one host has promised, and whom    its documents and record, the VMs seen on it
//	            its uplinks cut off (checkOvercommit,   with what their units found of their NICs,
//	            checkCuts), what it has lost            and those that records bind to it, and
//	            (checkEmptied)                          whether they are missing
//	group       one anti-affinity group in one site     its VMs, the records of the hosts that they
//	            (checkAffinity)                         are on or bound to, how many failure domains
//	                                                    the site has
//	silence     one site: whether many of its hosts     of each of its hosts: its record, and
//	            are silent at once (checkSilence)       whether it is silent
//	emptied     one site: whether many of its VMs       its VMs' records, whether they are missing,
//	            are missing at once                     and the records of their hosts
//	            (checkEmptiedSite)
//	task        Maskin's tasks on one VM that           the tasks, the VM and the findings about that,
//	            succeeded (checkTasks)                  when its hosts were passed over
//	speakers    host IDs that several agents use,       speakers, refusals, gaps and clocks, the
//	            refused and lost documents, clocks      hosts' subjects
//
// A VM's unit is found by its marks: UUID and SMBIOS UUID in either byte order,
// Sentral ID, MACs, serials, qualified name, and writable disks' sources where
// several could reach them. What two VMs can do to each other, they do through one
// of these. A check over many VMs that share no mark (a project's quota, an
// affinity group) is a unit of its own, fed with what each VM's unit adds to it.
package reconcile
