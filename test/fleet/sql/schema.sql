-- Both books as tables, as somebody makes them who is going to compare them by joins:
-- want_ is Sentral's inventory, got_ what is in hosts' documents. Text that is not
-- told is '', a number -1, a yes or no -1 too. Keys and indexes come after loading.

create table want_host (id text, host_id text, site text, rack text, platform text, state text, serial text, system_uuid text, vcpus bigint, memory bigint);
create table want_link (host text, name text, mac text);
create table want_hostdisk (host text, serial text, wwn text, size bigint);
create table want_vm (id text, uuid text, name text, tenant text, project text, environment text, site text, host text, apart text, state text,
  vcpus bigint, memory bigint, machine text, image text, image_version text);
create table want_nic (vm text, pos bigint, mac text, network text, model text);
create table want_disk (vm text, pos bigint, name text, serial text, wwn text, size bigint, format text, source text);
create table project (tenant text, id text, vcpus bigint, memory bigint, storage bigint);
create table network (id text, tenant text, project text);
create table network_vlan (network text, site text, vlan bigint);
create table image (id text, version text, digest text, source text);

create table got_doc (host text, site text, source text, outcome text, complete bigint);
create table got_host (host text, site text, hostname text, serial text, system_uuid text, cpus bigint, memory bigint);
create table got_link (host text, name text, kind text, mac text, oper text, mtu bigint, master text);
create table got_port (host text, name text, vlan bigint);
create table got_uplink (host text, name text, first bigint, last bigint);
create table got_blockdevice (host text, serial text, wwn text, size bigint);
create table got_vm (id bigint, host text, source text, uuid text, native text, name text, type text, state text, persistent bigint, vcpus bigint, memory bigint,
  machine text, label text, tenant text, project text, environment text, manager text, image text, image_version text, image_source text, image_digest text);
create table got_nic (vm bigint, pos bigint, mac text, model text, link text, network text, link_up bigint, mtu bigint);
create table got_disk (vm bigint, pos bigint, target text, serial text, wwn text, source text, format text, size bigint, fault text, shareable bigint);
create table got_pending (vm bigint, path text);
create table got_volume (host text, pool text, name text, path text, format text, capacity bigint);

-- What a reconciler hears besides documents.
create table heard (host text, ago bigint, ahead bigint);
create table gap (host text, source text);
create table refused (host text, source text);
create table task (vm text, action text, state text);
