-- Which host is which record, and which VM is which.

create table finding (kind text, subject text);

create table host_match (record text primary key, host text unique, rung bigint);
insert into host_match select w.id, g.host, 1 from want_host w join got_host g on g.host = w.host_id;
insert into host_match select w.id, g.host, 2 from want_host w join got_host g on g.system_uuid = w.system_uuid
  where w.system_uuid <> '' and not exists (select 1 from host_match m where m.record = w.id) and not exists (select 1 from host_match m where m.host = g.host);
insert into host_match select w.id, g.host, 3 from want_host w join got_host g on g.serial = w.serial
  where w.serial <> '' and not exists (select 1 from host_match m where m.record = w.id) and not exists (select 1 from host_match m where m.host = g.host);

-- A host is covered where what it doesn't show isn't there: it speaks, and its
-- runtime was enumerated. What QEMU shows by itself says nothing of what is stopped.
create table hosts as
  select g.host, coalesce(m.record, g.host) as name, coalesce(m.record, '') as record, g.site, coalesce(w.rack, '') as rack,
    case when h.ago <= 30 then 1 else 0 end as fresh,
    case when h.ago <= 30 and d.runtimes > 0 and d.whole = d.runtimes then 1 else 0 end as covered
  from got_host g
  left join host_match m on m.host = g.host
  left join want_host w on w.id = m.record
  left join heard h on h.host = g.host
  left join (select host, count(*) as runtimes, sum(complete) as whole from got_doc
    where source in ('runtime-libvirt', 'runtime-incus') group by host) d on d.host = g.host;
create unique index hosts_host on hosts (host);
create unique index hosts_name on hosts (name);
analyze hosts;

-- A VM that several hosts show is one VM: the one on its record's host leads.
create table shown as
  select v.id, v.uuid, v.host, v.state, h.fresh,
    row_number() over (partition by v.uuid order by case when w.host = h.name then 0 else 1 end, case when v.state = 'running' then 0 else 1 end, v.id) as place
  from got_vm v
  join (select uuid from got_vm where uuid <> '' and type = '' and source <> 'runtime-qemu' group by uuid having count(*) > 1) twice on twice.uuid = v.uuid
  join hosts h on h.host = v.host
  left join want_vm w on w.uuid = v.uuid
  where v.type = '' and v.source <> 'runtime-qemu';
create table copy as select id from shown where place > 1;
create unique index copy_id on copy (id);

-- The ladder. UUID and label agree for nearly all, so that the rungs are climbed by
-- what is left. SQL has no loop: each rung is written out, and a tie is one of a
-- rung alone (avstem follows it over everything that it touches). UUIDs in the other
-- byte order and SMBIOS UUIDs would be two more rungs.
create table vm_match (record text primary key, vm bigint unique, rung bigint);
insert into vm_match
  select w.id, v.id, 1 from want_vm w join got_vm v on v.uuid = w.uuid and v.label = w.id
  where v.type = '' and v.source <> 'runtime-qemu' and v.id not in (select id from copy);

analyze vm_match;
create table want_left as select w.* from want_vm w where not exists (select 1 from vm_match m where m.record = w.id);
create table got_left as select v.* from got_vm v
  where v.type = '' and v.source <> 'runtime-qemu' and not exists (select 1 from vm_match m where m.vm = v.id) and v.id not in (select id from copy);
analyze want_left;
analyze got_left;

create table candidate as
  select w.id as record, v.id as vm, 1 as rung from want_left w join got_left v on v.label = w.id
  union all select w.id, v.id, 2 from want_left w join got_left v on v.uuid = w.uuid where w.uuid <> ''
  union all select distinct w.id, v.id, 3 from want_left w join want_nic n on n.vm = w.id join got_nic g on g.mac = n.mac join got_left v on v.id = g.vm
    join hosts h on h.host = v.host where n.mac <> '' and w.state <> 'absent' and w.site = h.site and v.label in ('', w.id)
  union all select distinct w.id, v.id, 4 from want_left w join want_disk d on d.vm = w.id join got_disk g on g.serial = d.serial join got_left v on v.id = g.vm
    join hosts h on h.host = v.host where d.serial <> '' and w.state <> 'absent' and w.site = h.site and v.label in ('', w.id)
  union all select w.id, v.id, 5 from want_left w join got_left v on v.tenant = w.tenant and v.project = w.project and v.name = w.name
    join hosts h on h.host = v.host where w.state <> 'absent' and w.site = h.site and v.label in ('', w.id);

create table tied (record text, vm bigint);
insert into vm_match select record, vm, rung from (select c.*, count(*) over (partition by record) as r, count(*) over (partition by vm) as v from candidate c where rung = 1) c where r = 1 and v = 1;
insert into tied select record, vm from (select c.*, count(*) over (partition by record) as r, count(*) over (partition by vm) as v from candidate c where rung = 1) c where r > 1 or v > 1;
create table open2 as select c.* from candidate c where rung = 2 and not exists (select 1 from vm_match m where m.record = c.record or m.vm = c.vm) and not exists (select 1 from tied t where t.record = c.record or t.vm = c.vm);
insert into vm_match select record, vm, rung from (select c.*, count(*) over (partition by record) as r, count(*) over (partition by vm) as v from open2 c) c where r = 1 and v = 1;
insert into tied select record, vm from (select c.*, count(*) over (partition by record) as r, count(*) over (partition by vm) as v from open2 c) c where r > 1 or v > 1;
create table open3 as select c.* from candidate c where rung = 3 and not exists (select 1 from vm_match m where m.record = c.record or m.vm = c.vm) and not exists (select 1 from tied t where t.record = c.record or t.vm = c.vm);
insert into vm_match select record, vm, rung from (select c.*, count(*) over (partition by record) as r, count(*) over (partition by vm) as v from open3 c) c where r = 1 and v = 1;
insert into tied select record, vm from (select c.*, count(*) over (partition by record) as r, count(*) over (partition by vm) as v from open3 c) c where r > 1 or v > 1;
create table open4 as select c.* from candidate c where rung = 4 and not exists (select 1 from vm_match m where m.record = c.record or m.vm = c.vm) and not exists (select 1 from tied t where t.record = c.record or t.vm = c.vm);
insert into vm_match select record, vm, rung from (select c.*, count(*) over (partition by record) as r, count(*) over (partition by vm) as v from open4 c) c where r = 1 and v = 1;
insert into tied select record, vm from (select c.*, count(*) over (partition by record) as r, count(*) over (partition by vm) as v from open4 c) c where r > 1 or v > 1;
create table open5 as select c.* from candidate c where rung = 5 and not exists (select 1 from vm_match m where m.record = c.record or m.vm = c.vm) and not exists (select 1 from tied t where t.record = c.record or t.vm = c.vm);
insert into vm_match select record, vm, rung from (select c.*, count(*) over (partition by record) as r, count(*) over (partition by vm) as v from open5 c) c where r = 1 and v = 1;

-- Both sides of each VM on one row.
create table pair as
  select w.id as record, v.id as vm, m.rung, h.host, h.name as on_host, h.site as on_site, h.fresh, w.uuid as want_uuid, v.uuid, v.label, w.tenant, w.project, w.environment,
    v.tenant as got_tenant, v.project as got_project, v.environment as got_environment, v.manager, w.host as want_host, w.site as want_site,
    w.state as want_state, v.state, w.vcpus as want_vcpus, v.vcpus, w.memory as want_memory, v.memory, w.machine as want_machine, v.machine, v.persistent,
    w.image as want_image, w.image_version as want_version, v.image, v.image_version, v.image_source, v.image_digest, w.apart
  from vm_match m join want_vm w on w.id = m.record join got_vm v on v.id = m.vm join hosts h on h.host = v.host;
create unique index pair_record on pair (record);
create unique index pair_vm on pair (vm);
analyze pair;
