-- VMs: are they there, where, and as they should be?

-- Absence is only concluded where the home was seen whole; of a VM that is bound to
-- no host, where its whole site was.
insert into finding select 'vm.missing', w.id from want_left w
  where w.state <> 'absent' and not exists (select 1 from vm_match m where m.record = w.id) and not exists (select 1 from tied t where t.record = w.id)
    and not exists (select 1 from got_vm v where v.label = w.id or (v.uuid = w.uuid and w.uuid <> ''))
    and case when w.host <> '' then exists (select 1 from hosts h where h.name = w.host and h.covered = 1)
      else not exists (select 1 from want_host x left join hosts h on h.name = x.id where x.site = w.site and x.state = 'active' and coalesce(h.covered, 0) = 0) end;
insert into finding select 'vm.unknown', v.uuid from got_left v
  where not exists (select 1 from vm_match m where m.vm = v.id) and not exists (select 1 from tied t where t.vm = v.id);
insert into finding select 'vm.type', w.id from want_left w join got_vm v on v.type <> '' and (v.label = w.id or v.uuid = w.uuid)
  where not exists (select 1 from vm_match m where m.record = w.id);
insert into finding select 'vm.lingering', record from pair where want_state = 'absent' and rung <= 2;
insert into finding select 'vm.misplaced', record from pair where want_state <> 'absent' and ((want_host <> '' and want_host <> on_host) or (want_host = '' and want_site <> on_site));
insert into finding select distinct 'vm.duplicate', coalesce(w.id, a.uuid) from shown a join shown b on b.uuid = a.uuid and b.id > a.id left join want_vm w on w.uuid = a.uuid
  where a.host <> b.host and a.fresh = 1 and b.fresh = 1 and a.state in ('running', 'paused') and b.state in ('running', 'paused');
insert into finding select 'vm.state', record from pair where want_state <> 'absent' and fresh = 1 and state not in ('', 'unknown') and (want_state = 'running') <> (state = 'running');
insert into finding select 'vm.vcpus', record from pair where want_vcpus <> vcpus and want_vcpus >= 0 and vcpus >= 0 and fresh = 1;
insert into finding select 'vm.memory', record from pair where want_memory <> memory and want_memory >= 0 and memory >= 0 and fresh = 1;
insert into finding select 'vm.machine', record from pair where want_machine <> '' and machine <> '' and want_machine <> machine and fresh = 1;
insert into finding select 'vm.placement', record from pair where manager = '' and got_tenant = '' and got_project = '' and got_environment = '' and fresh = 1;
insert into finding select 'vm.placement', record from pair where got_tenant <> '' and got_tenant <> tenant and fresh = 1;
insert into finding select 'vm.placement', record from pair where got_project <> '' and got_project <> project and fresh = 1;
insert into finding select 'vm.placement', record from pair where got_environment <> '' and got_environment <> environment and fresh = 1;
insert into finding select 'vm.image', record from pair where image <> '' and want_image <> '' and (image <> want_image or image_version <> want_version) and fresh = 1;
insert into finding select 'vm.transient', record from pair where persistent = 0 and manager = '' and fresh = 1;
insert into finding select distinct 'vm.config', p.record from pair p join got_pending c on c.vm = p.vm where p.fresh = 1;
insert into finding select 'vm.task', p.record from pair p join task t on t.vm = p.record
  where t.state = 'succeeded' and ((t.action in ('start', 'reboot') and p.state not in ('running', 'paused')) or (t.action = 'stop' and p.state in ('running', 'paused')) or t.action = 'delete');

insert into finding select 'identity.ambiguous', record from tied group by record;
insert into finding select 'identity.changed', p.record from pair p where p.want_uuid <> '' and p.uuid <> p.want_uuid and p.label in ('', p.record)
  and not exists (select 1 from want_vm w where w.uuid = p.uuid);
insert into finding select 'identity.conflict', p.record from pair p where p.want_uuid <> '' and p.uuid <> p.want_uuid and p.label in ('', p.record)
  and exists (select 1 from want_vm w where w.uuid = p.uuid);
insert into finding select case when exists (select 1 from pair o where o.record = p.label and o.rung <= 2) then 'identity.cloned' else 'identity.conflict' end, p.record
  from pair p where p.label not in ('', p.record);
insert into finding select 'identity.cloned', v.uuid from got_left v join pair o on o.record = v.label and o.rung <= 2
  where not exists (select 1 from vm_match m where m.vm = v.id) and not exists (select 1 from tied t where t.vm = v.id);
insert into finding select 'identity.weak', record from pair where rung >= 3 and (want_uuid = '' or uuid = '' or uuid = want_uuid) and label in ('', record);

-- Many that are missing from one host are one matter.
insert into finding select 'host.emptied', w.host from want_vm w join finding f on f.kind = 'vm.missing' and f.subject = w.id
  where w.host <> '' group by w.host having count(*) >= 10 and count(*) >= 0.3 * (select count(*) from want_vm x where x.host = w.host and x.state <> 'absent');
