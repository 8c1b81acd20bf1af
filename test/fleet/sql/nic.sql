-- NICs, by MAC and else by order, and the VLANs that they are on.
--
-- The VLAN is that of the switch's port for the tap. Frames that go by patch ports,
-- VLAN links, bridges behind bridges, macvtap or virtual functions are followed by
-- avstem from tap to wire; joins would need a recursion over every kind of link.

create table nic_pair as
  select p.record, p.vm, n.pos as want_pos, g.pos, g.mac, n.network as want_network, n.model as want_model, g.network, g.model, g.link, g.link_up, g.mtu, p.host, p.on_site, p.fresh
  from pair p join want_nic n on n.vm = p.record join got_nic g on g.vm = p.vm and g.mac = n.mac where n.mac <> ''
  union all
  select p.record, p.vm, n.pos, g.pos, g.mac, n.network, n.model, g.network, g.model, g.link, g.link_up, g.mtu, p.host, p.on_site, p.fresh
  from want_nic n join pair p on p.record = n.vm join got_nic g on g.vm = p.vm and g.pos = n.pos
  where n.mac = '' and not exists (select 1 from want_nic o where o.vm = n.vm and o.mac = g.mac);
create index nic_pair_record on nic_pair (record, want_pos);
create index nic_pair_vm on nic_pair (vm, pos);

insert into finding select 'nic.missing', n.vm from want_nic n join pair p on p.record = n.vm
  where p.fresh = 1 and not exists (select 1 from nic_pair x where x.record = n.vm and x.want_pos = n.pos);
insert into finding select 'nic.unknown', p.record from got_nic g join pair p on p.vm = g.vm
  where p.fresh = 1 and not exists (select 1 from nic_pair x where x.vm = g.vm and x.pos = g.pos);
insert into finding select 'nic.network', x.record from nic_pair x join network n on n.id = x.network where x.network <> x.want_network and x.fresh = 1;
insert into finding select 'nic.vlan', x.record from nic_pair x join network_vlan w on w.network = x.want_network and w.site = x.on_site
  join got_port t on t.host = x.host and t.name = x.link where x.fresh = 1 and t.vlan <> w.vlan;
insert into finding select 'nic.model', record from nic_pair where want_model <> '' and model <> '' and want_model <> model and fresh = 1;
insert into finding select 'nic.link', record from nic_pair where link_up = 0 and fresh = 1;
insert into finding select distinct 'nic.order', a.record from nic_pair a join nic_pair b on b.record = a.record and b.want_pos > a.want_pos where b.pos < a.pos and a.fresh = 1;

-- One MAC on two VMs of a site, of which one is active, on one VLAN or unknown ones.
-- The finding is the first VM's.
create table mac_twice as select mac from got_nic where mac <> '' group by mac having count(*) > 1;
create table mac_user as
  select t.mac, v.id, v.state, h.site, p.vlan, coalesce(m.record, v.uuid) as subject, v.uuid from mac_twice t join got_nic g on g.mac = t.mac join got_vm v on v.id = g.vm join hosts h on h.host = v.host
  left join got_port p on p.host = v.host and p.name = g.link left join vm_match m on m.vm = v.id where v.type = '' and v.source <> 'runtime-qemu';
insert into finding select 'nic.mac', min(a.subject) from mac_user a join mac_user b on b.mac = a.mac and b.id <> a.id
  where a.site = b.site and a.uuid <> b.uuid and (a.state in ('running', 'paused') or b.state in ('running', 'paused')) and (a.vlan is null or b.vlan is null or a.vlan = b.vlan) group by a.mac, a.site;

-- A VLAN of somebody else, which needs no record of the NIC: whose the VM is comes
-- from its record, else from its label.
create table vlan_owner as select v.site, v.vlan, n.tenant, n.project from network_vlan v join network n on n.id = v.network;
create index vlan_owner_site on vlan_owner (site, vlan);
create table nic_on as
  select g.vm, v.uuid, h.site, t.vlan, v.tenant, v.project from got_nic g join got_vm v on v.id = g.vm join hosts h on h.host = v.host
  join got_port t on t.host = v.host and t.name = g.link where v.type = '' and h.fresh = 1;
insert into finding select distinct 'network.isolation', coalesce(p.record, x.uuid) from nic_on x left join pair p on p.vm = x.vm
  where coalesce(p.tenant, x.tenant) <> '' and exists (select 1 from vlan_owner o where o.site = x.site and o.vlan = x.vlan)
    and not exists (select 1 from vlan_owner o where o.site = x.site and o.vlan = x.vlan and o.tenant = coalesce(p.tenant, x.tenant) and o.project = coalesce(p.project, x.project));
insert into finding select 'network.mtu', x.record from nic_pair x join got_link l on l.host = x.host and l.name = x.link
  where x.fresh = 1 and (x.mtu > 1500 or (x.mtu < 0 and l.mtu > 1500)) and exists (select 1 from got_link u join got_uplink up on up.host = u.host and up.name = u.name
    where u.host = x.host and u.mtu < case when x.mtu > 0 then x.mtu else l.mtu end);

-- An uplink that lacks a VLAN: once for the host and once for each NIC.
create table cut as
  select h.name, t.vlan, coalesce(p.record, v.uuid) as subject from (select host from got_uplink group by host having sum(last - first + 1) < 4093) narrow
  join hosts h on h.host = narrow.host join got_port t on t.host = h.host join got_nic g on g.link = t.name join got_vm v on v.id = g.vm and v.host = h.host and v.state = 'running'
  left join pair p on p.vm = v.id
  where h.fresh = 1 and not exists (select 1 from got_uplink u where u.host = h.host and t.vlan between u.first and u.last);
insert into finding select 'network.uplink', subject from cut;
insert into finding select distinct 'network.uplink', name from cut;
