package demo

// The host's side of the story. What Sentral says of the same VMs is in
// inventory/vms.yaml; the comments here say what is wrong.

// Hostname is the name of the demo's host, in Sentral too.
const Hostname = "hv-osl1-01"

// The bridges of the host: Open vSwitch for tenants, a plain Linux bridge for
// management.
const (
	tenantBridge     = "br0"
	managementBridge = "br-mgmt"
)

// The image that everybody should run, and the one before it.
const (
	imageNow    = "20261101"
	imageBefore = "20260801"
)

// Sizes, in bytes.
const (
	mib int64 = 1 << 20
	gib int64 = 1 << 30
)

// guest is a VM as the host has it.
type guest struct {
	Name   string
	UUID   string
	Memory int64 // bytes: QEMU takes them as the guest touches them, and ours touch next to none
	VCPUs  int
	// Placement is what the domain's metadata says; nil is a domain without any.
	Placement *placement
	NICs      []nic
	// Image is the version of the image below the root disk.
	Image   string
	Root    int64   // size of the root disk in bytes
	Data    []int64 // sizes of further disks in bytes
	CDROM   bool
	Stopped bool
	Agrees  bool // with Sentral, in everything
}

// placement is the metadata that whoever created the VM left in the domain.
type placement struct {
	VM, Tenant, Project, Environment, Version string
}

// nic is a NIC on the tenants' bridge with its VLAN, or without one on the
// management bridge.
type nic struct {
	MAC  string
	VLAN int
}

// id gives the UUIDs of the demo, which end in the VM's number.
func id(number string) string { return "0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c00" + number }

// placed is the metadata of a VM that was created as Sentral has it.
func placed(number, tenant, project string) *placement {
	return &placement{VM: id(number), Tenant: tenant, Project: project, Environment: "prod", Version: imageNow}
}

var guests = []guest{
	// Three that are just as they should be.
	{
		Name: "db-01", UUID: id("01"), Memory: 2 * gib, VCPUs: 2, Placement: placed("01", "acme", "data"),
		NICs:  []nic{{"52:54:00:aa:01:00", 130}},
		Image: imageNow, Root: 20 * gib, Data: []int64{100 * gib}, CDROM: true, Agrees: true,
	},
	{
		Name: "bastion-01", UUID: id("02"), Memory: 512 * mib, VCPUs: 1, Placement: placed("02", "acme", "platform"),
		NICs:  []nic{{"52:54:00:aa:02:00", 0}},
		Image: imageNow, Root: 10 * gib, Agrees: true,
	},
	{
		Name: "batch-01", UUID: id("03"), Memory: 1 * gib, VCPUs: 2, Placement: placed("03", "globex", "shop"),
		NICs:  []nic{{"52:54:00:aa:03:00", 210}},
		Image: imageNow, Root: 20 * gib, Stopped: true, Agrees: true,
	},

	// Its port is tagged for the test network.
	{
		Name: "web-01", UUID: id("11"), Memory: 1 * gib, VCPUs: 2, Placement: placed("11", "acme", "web"),
		NICs:  []nic{{"52:54:00:aa:11:00", 120}},
		Image: imageNow, Root: 20 * gib,
	},
	// Somebody defined it by hand and left out the placement metadata.
	{
		Name: "web-02", UUID: id("12"), Memory: 1 * gib, VCPUs: 2,
		NICs:  []nic{{"52:54:00:aa:12:00", 110}},
		Image: imageNow, Root: 20 * gib,
	},
	// Its label names the new image; its disk stands on the old one.
	{
		Name: "web-03", UUID: id("13"), Memory: 1 * gib, VCPUs: 2, Placement: placed("13", "acme", "web"),
		NICs:  []nic{{"52:54:00:aa:13:00", 110}},
		Image: imageBefore, Root: 20 * gib,
	},
	// Front and back were swapped: what the guest calls its first NIC is the back.
	{
		Name: "lb-01", UUID: id("14"), Memory: 512 * mib, VCPUs: 1, Placement: placed("14", "acme", "web"),
		NICs:  []nic{{"52:54:00:aa:14:01", 112}, {"52:54:00:aa:14:00", 110}},
		Image: imageNow, Root: 10 * gib,
	},
	// Its port is tagged for globex's network: another tenant's.
	{
		Name: "cache-01", UUID: id("15"), Memory: 1 * gib, VCPUs: 2, Placement: placed("15", "acme", "data"),
		NICs:  []nic{{"52:54:00:aa:15:00", 210}},
		Image: imageNow, Root: 10 * gib,
	},
	// Its data disk was never grown to 200 GiB.
	{
		Name: "db-02", UUID: id("16"), Memory: 2 * gib, VCPUs: 2, Placement: placed("16", "acme", "data"),
		NICs:  []nic{{"52:54:00:aa:16:00", 130}},
		Image: imageNow, Root: 20 * gib, Data: []int64{100 * gib},
	},
	// It has a disk that nobody told Sentral of.
	{
		Name: "mail-01", UUID: id("17"), Memory: 1 * gib, VCPUs: 1, Placement: placed("17", "acme", "platform"),
		NICs:  []nic{{"52:54:00:aa:17:00", 150}},
		Image: imageNow, Root: 20 * gib, Data: []int64{50 * gib},
	},
	// Its UUID was changed, by an undefine and a define most likely, and its
	// metadata has lost the ID. Its MAC is all that is left.
	{
		Name: "dns-01", UUID: "d15c0de5-0000-4000-8000-00000000d15c", Memory: 512 * mib, VCPUs: 1,
		Placement: &placement{Tenant: "acme", Project: "platform", Environment: "prod", Version: imageNow},
		NICs:      []nic{{"52:54:00:aa:18:00", 150}},
		Image:     imageNow, Root: 10 * gib,
	},
	// It was moved to another project in Sentral; its metadata claims the old one.
	{
		Name: "ci-01", UUID: id("19"), Memory: 1 * gib, VCPUs: 2, Placement: placed("19", "acme", "web"),
		NICs:  []nic{{"52:54:00:aa:19:00", 150}},
		Image: imageNow, Root: 20 * gib,
	},
	// It was to be made larger, and nobody restarted it with the new size.
	{
		Name: "shop-01", UUID: id("21"), Memory: 1 * gib, VCPUs: 1, Placement: placed("21", "globex", "shop"),
		NICs:  []nic{{"52:54:00:aa:21:00", 210}},
		Image: imageNow, Root: 20 * gib,
	},
	// It is down and should be up.
	{
		Name: "queue-01", UUID: id("22"), Memory: 1 * gib, VCPUs: 1, Placement: placed("22", "globex", "shop"),
		NICs:  []nic{{"52:54:00:aa:22:00", 210}},
		Image: imageNow, Root: 20 * gib, Stopped: true,
	},
	// Somebody restored db-01 beside itself one night, and forgot. Sentral has
	// never heard of it.
	{
		Name: "db-01-restore", UUID: "5ca1ab1e-0000-4000-8000-000000000bad", Memory: 2 * gib, VCPUs: 2,
		NICs:  []nic{{"52:54:00:0d:d0:01", 130}},
		Image: imageNow, Root: 20 * gib,
	},
}

// missing is the VM that is in Sentral only. It has number 23.
const missing = "api-01"
