// Package hostagent puts an agent together for this host: the collectors that
// it has, the identity in its state directory, and the schedule.
//
// It exists because `avstem-agent run` and `avstem up` are to observe a host in
// the same way. It is wiring and decides nothing. A [Host] runs once; Collect
// may be called at any time, beside a running one too.
package hostagent
