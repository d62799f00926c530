/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Cgroups that come and go: how new containers are known before anything runs in them. */
#ifndef PODWARDEN_CGROUP_BPF_H
#define PODWARDEN_CGROUP_BPF_H

#include "record.bpf.h"
#include "task.bpf.h"

static __always_inline int report_cgroup(struct cgroup *cgroup, const char *path, u16 kind)
{
	union scratch *scratch = only_element(&scratches);
	if (!scratch)
		return 0;
	struct cgroup_event *event = (struct cgroup_event *)scratch->record;
	u32 position = sizeof(*event);
	begin_record(&event->header, kind, READ(cgroup, kn, id));
	event->padding = 0;
	event->path.offset = position;
	event->path.length = 0;
	long length = bpf_probe_read_kernel_str(&scratch->record[position], MAX_PATH, path);
	if (length > 1) {
		event->path.length = length - 1;
		position += (length - 1) & (MAX_PATH - 1);
	}
	submit_record(event, position & (sizeof(scratch->record) - 1), false);
	return 0;
}

static __always_inline int handle_cgroup_made(struct cgroup *cgroup, const char *path)
{
	if (!is_followed(cgroup))
		return 0;
	/* What a container makes below its own cgroup belongs to it, before anything can move there. */
	u64 id = READ(cgroup, kn, id);
	u64 above = READ(cgroup, self.parent, cgroup, kn, id);
	struct cgroup_state *state = bpf_map_lookup_elem(&cgroups, &above);
	if (state && state->owner) {
		struct cgroup_state own = { .owner = state->owner };
		if (bpf_map_update_elem(&cgroups, &id, &own, BPF_NOEXIST))
			count_trouble(TROUBLE_CGROUPS_FULL);
	}
	return report_cgroup(cgroup, path, EVENT_CGROUP_MADE);
}

static __always_inline int handle_cgroup_removed(struct cgroup *cgroup, const char *path)
{
	if (!is_followed(cgroup))
		return 0;
	u64 id = READ(cgroup, kn, id);
	bpf_map_delete_elem(&cgroups, &id);
	bpf_map_delete_elem(&root_devices, &id);
	return report_cgroup(cgroup, path, EVENT_CGROUP_REMOVED);
}

#endif
