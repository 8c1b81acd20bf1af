-- Disks: by serial, WWN, name and source, else by order where the record has neither
-- of the first two.

create table disk_pair (record text, want_pos bigint, vm bigint, pos bigint, rung bigint);
create unique index disk_pair_want on disk_pair (record, want_pos);
create unique index disk_pair_got on disk_pair (vm, pos);
insert into disk_pair select p.record, w.pos, p.vm, g.pos, 1 from pair p join want_disk w on w.vm = p.record join got_disk g on g.vm = p.vm and g.serial = w.serial where w.serial <> '';
create table disk_open as select p.record, p.vm, w.pos, w.name, w.wwn, w.serial, w.source from want_disk w join pair p on p.record = w.vm
  where not exists (select 1 from disk_pair x where x.record = w.vm and x.want_pos = w.pos);
insert into disk_pair select o.record, o.pos, o.vm, g.pos, 2 from disk_open o join got_disk g on g.vm = o.vm and g.wwn = o.wwn where o.wwn <> '';
insert into disk_pair select o.record, o.pos, o.vm, g.pos, 3 from disk_open o join got_disk g on g.vm = o.vm and g.target = o.name
  where o.name <> '' and not exists (select 1 from disk_pair x where (x.record = o.record and x.want_pos = o.pos) or (x.vm = g.vm and x.pos = g.pos));
insert into disk_pair select o.record, o.pos, o.vm, g.pos, 4 from disk_open o join got_disk g on g.vm = o.vm and g.source = o.source
  where o.source <> '' and not exists (select 1 from disk_pair x where (x.record = o.record and x.want_pos = o.pos) or (x.vm = g.vm and x.pos = g.pos));
insert into disk_pair select o.record, o.pos, o.vm, g.pos, 5 from disk_open o join got_disk g on g.vm = o.vm and g.pos = o.pos
  where o.serial = '' and o.wwn = '' and not exists (select 1 from disk_pair x where (x.record = o.record and x.want_pos = o.pos) or (x.vm = g.vm and x.pos = g.pos));

create table disk_both as
  select x.record, x.want_pos, x.pos, x.rung, w.serial as want_serial, g.serial, w.size as want_size, g.size, w.format as want_format, g.format, w.source as want_source, g.source
  from disk_pair x join want_disk w on w.vm = x.record and w.pos = x.want_pos join got_disk g on g.vm = x.vm and g.pos = x.pos
  join pair p on p.record = x.record where p.fresh = 1;
create index disk_both_record on disk_both (record);

insert into finding select 'disk.missing', o.record from disk_open o join pair p on p.record = o.record
  where p.fresh = 1 and not exists (select 1 from disk_pair x where x.record = o.record and x.want_pos = o.pos);
insert into finding select 'disk.unknown', p.record from got_disk g join pair p on p.vm = g.vm where p.fresh = 1 and not exists (select 1 from disk_pair x where x.vm = g.vm and x.pos = g.pos);
insert into finding select 'disk.size', record from disk_both where want_size >= 0 and size >= 0 and want_size <> size;
insert into finding select 'disk.format', record from disk_both where want_format <> '' and format <> '' and want_format <> format;
insert into finding select 'disk.source', record from disk_both where want_source <> '' and source <> '' and want_source <> source;
insert into finding select 'disk.serial', record from disk_both where want_serial <> '' and serial <> '' and want_serial <> serial;
insert into finding select distinct 'disk.order', a.record from disk_both a join disk_both b on b.record = a.record and b.want_pos > a.want_pos where b.pos < a.pos;
insert into finding select 'disk.backing', coalesce(p.record, v.uuid) from got_disk g join got_vm v on v.id = g.vm join hosts h on h.host = v.host left join pair p on p.vm = g.vm where g.fault <> '' and h.fresh = 1;

-- The image that the root disk was made from: by digest, else by path, and only where
-- it is another image that Sentral knows.
insert into finding select 'disk.image', p.record from pair p join image i on i.digest = p.image_digest
  where p.image_digest <> '' and p.want_image <> '' and (i.id <> p.want_image or i.version <> p.want_version) and p.fresh = 1;
insert into finding select 'disk.image', p.record from pair p join image i on i.source = p.image_source
  where p.image_digest = '' and p.image_source <> '' and p.want_image <> '' and (i.id <> p.want_image or i.version <> p.want_version) and p.fresh = 1;

-- One file of a host, writable by two VMs; the finding is the first one's.
create table disk_twice as
  select v.host, g.source from (select source from got_disk where source <> '' and shareable = 0 group by source having count(*) > 1) s
  join got_disk g on g.source = s.source join got_vm v on v.id = g.vm where v.type = '' and v.source <> 'runtime-qemu' group by v.host, g.source having count(distinct v.uuid) > 1;
insert into finding select 'disk.shared', min(coalesce(p.record, v.uuid)) from disk_twice t join got_disk g on g.source = t.source join got_vm v on v.id = g.vm and v.host = t.host
  left join pair p on p.vm = v.id group by t.host, t.source;

-- Volumes that nobody on the host has. What a pool lies on, which decides who else may
-- use it, and chains below volumes are followed by avstem alone.
insert into finding select 'disk.orphan', h.name from got_volume o join hosts h on h.host = o.host
  where h.covered = 1 and o.format <> 'iso' and not exists (select 1 from got_disk g join got_vm v on v.id = g.vm where g.source = o.path and v.host = o.host)
    and not exists (select 1 from image i where i.source = o.path) and not exists (select 1 from want_disk w where w.source = o.path);
