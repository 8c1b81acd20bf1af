-- Hosts, what can be seen of them, and what they and projects have promised.

insert into finding select 'host.missing', w.id from want_host w where w.state = 'active' and not exists (select 1 from host_match m where m.record = w.id);
insert into finding select 'host.unknown', host from hosts where record = '';
insert into finding select 'host.stale', h.name from hosts h join want_host w on w.id = h.record where h.fresh = 0 and w.state = 'active';
insert into finding select 'host.site', h.name from hosts h join want_host w on w.id = h.record where w.site <> h.site;
insert into finding select 'host.changed', h.name from hosts h join want_host w on w.id = h.record join got_host g on g.host = h.host
  where h.fresh = 1 and w.serial <> '' and g.serial <> '' and w.serial <> g.serial;
insert into finding select 'host.changed', h.name from hosts h join want_host w on w.id = h.record join got_host g on g.host = h.host
  where h.fresh = 1 and w.system_uuid <> '' and g.system_uuid <> '' and w.system_uuid <> g.system_uuid;
insert into finding select 'host.link', h.name from want_link w join hosts h on h.record = w.host left join got_link l on l.host = h.host and l.name = w.name
  where h.fresh = 1 and (l.name is null or l.mac <> w.mac or l.oper not in ('up', '', 'unknown'));
insert into finding select 'host.disk', h.name from want_hostdisk w join hosts h on h.record = w.host left join got_blockdevice d on d.host = h.host and d.serial = w.serial
  where h.fresh = 1 and (d.serial is null or abs(d.size - w.size) > w.size / 100);
insert into finding select 'host.runtime', h.name from hosts h join want_host w on w.id = h.record
  where h.fresh = 1 and w.platform <> '' and exists (select 1 from got_vm v where v.host = h.host) and not exists (select 1 from got_vm v
    where v.host = h.host and w.platform in (substr(v.source, 9), v.manager, case when v.manager = 'openstack-nova' then 'openstack' else '' end));

insert into finding select 'observe.blind', h.name || '/' || d.source from got_doc d join hosts h on h.host = d.host where d.outcome = 'failed' and h.fresh = 1;
insert into finding select 'observe.partial', h.name || '/' || d.source from got_doc d join hosts h on h.host = d.host where d.outcome = 'partial' and h.fresh = 1;
insert into finding select 'observe.gap', h.name from gap g join hosts h on h.host = g.host;
insert into finding select 'observe.refused', h.name from refused r join hosts h on h.host = r.host;
insert into finding select 'observe.clock', h.name from heard e join hosts h on h.host = e.host where abs(e.ahead) > 5 and h.fresh = 1;
insert into finding select 'observe.conflict', p.record from got_vm q join got_vm v on v.uuid = q.uuid and v.host = q.host and v.source <> q.source join pair p on p.vm = v.id
  where q.source = 'runtime-qemu' and (q.memory <> v.memory or q.vcpus <> v.vcpus or q.state <> v.state);

-- Quotas and capacities, by the records and by what runs.
insert into finding select 'capacity.quota', q.tenant || '/' || q.id from project q join (select tenant, project, sum(vcpus) as vcpus, sum(memory) as memory from want_vm where state <> 'absent' group by tenant, project) w
  on w.tenant = q.tenant and w.project = q.id where (q.vcpus >= 0 and w.vcpus > q.vcpus) or (q.memory >= 0 and w.memory > q.memory);
insert into finding select 'capacity.quota', q.tenant || '/' || q.id from project q join (select tenant, project, sum(vcpus) as vcpus, sum(memory) as memory from pair group by tenant, project) w
  on w.tenant = q.tenant and w.project = q.id where (q.vcpus >= 0 and w.vcpus > q.vcpus) or (q.memory >= 0 and w.memory > q.memory);
insert into finding select 'capacity.overcommit', h.id from want_host h join (select host, sum(vcpus) as vcpus, sum(memory) as memory from want_vm where state = 'running' group by host) w on w.host = h.id
  where (h.vcpus >= 0 and w.vcpus > 4 * h.vcpus) or (h.memory >= 0 and w.memory > h.memory);
insert into finding select 'capacity.overcommit', h.name from hosts h join want_host q on q.id = h.record
  join (select host, sum(vcpus) as vcpus, sum(memory) as memory from got_vm where state in ('running', 'paused') and source <> 'runtime-qemu' and type = '' group by host) w on w.host = h.host
  where (q.vcpus >= 0 and w.vcpus > 4 * q.vcpus) or (q.memory >= 0 and w.memory > q.memory);
insert into finding select 'capacity.affinity', tenant || '/' || project from want_vm where apart <> '' and host <> '' group by tenant, project, site, apart, host having count(*) > 1;
insert into finding select 'capacity.affinity', w.tenant || '/' || w.project from want_vm w join want_host h on h.id = w.host where w.apart <> '' and h.rack <> '' group by w.tenant, w.project, w.site, w.apart, h.rack having count(*) > 1;
insert into finding select 'capacity.affinity', tenant || '/' || project from pair where apart <> '' and state in ('running', 'paused') and fresh = 1 group by tenant, project, want_site, apart, on_host having count(*) > 1;

-- Whose things are.
insert into finding select distinct 'scope.unresolved', v.tenant || '/' || v.project from got_left v
  where v.tenant <> '' and v.project <> '' and not exists (select 1 from vm_match m where m.vm = v.id) and not exists (select 1 from project q where q.tenant = v.tenant and q.id = v.project);
insert into finding select distinct 'scope.unresolved', w.tenant || '/' || w.project from want_vm w where not exists (select 1 from project q where q.tenant = w.tenant and q.id = w.project);
insert into finding select distinct 'scope.contradiction', w.id from want_nic n join want_vm w on w.id = n.vm join network x on x.id = n.network
  where w.state <> 'absent' and (x.tenant <> w.tenant or x.project <> w.project);
insert into finding select 'inventory.invalid', 'vm ' || w.id from want_vm w where w.image <> '' and not exists (select 1 from image i where i.id = w.image and i.version = w.image_version);

-- What no join gives: how long each has been so and whether that is still within
-- what happens by itself (pending, open, resolved, flapping), what follows from what,
-- how sure it is, suppressions and what is amiss with policy itself, the readings
-- and provenance that explain shows.
