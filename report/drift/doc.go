// Package drift makes the values of a drift report: what is open by kind and
// severity, how that went over time, which hosts, projects and VMs have most of it,
// and what differs from the report before.
//
// It exists apart from package report, which writes them, so that a page, a table
// and the JSON that the next report is held against are made of the same values.
// It judges nothing: it counts findings, events and numbers that it is given. It
// knows neither streams nor files nor a clock.
//
// Nothing here keeps state but a [History], which belongs to one goroutine.
package drift
