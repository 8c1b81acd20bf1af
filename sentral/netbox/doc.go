// Package netbox reads the intended side from NetBox 4, as most labs that have no
// Sentral have NetBox: sites, tenants, devices, clusters, virtual machines, their
// interfaces and disks, and VLANs become Sentral's records; what NetBox has no
// field for comes from custom fields that a [Mapping] names.
//
// It was written after NetBox's own source, 4.0 to 4.6, and is tested against a
// fake that answers as that does (fake_test.go). It is not verified on a live
// NetBox.
//
// NetBox has no versions of the whole, so a reading is held together by its own
// log of changes: where that has grown meanwhile, it is begun again. Where the
// token may not read the log, counts and IDs that don't fit are all that tells.
//
// A Source may be used from several goroutines.
package netbox
