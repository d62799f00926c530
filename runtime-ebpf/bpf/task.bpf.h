/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What the kernel knows of a task: cgroup, namespaces, ids. */
#ifndef PODWARDEN_TASK_BPF_H
#define PODWARDEN_TASK_BPF_H

#include "maps.bpf.h"
#include "read.bpf.h"

static __always_inline u32 subsystem_index(void)
{
	switch (cgroup_source) {
	case SOURCE_MEMORY:
		return bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	case SOURCE_PIDS:
		return bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id);
	case SOURCE_CPU:
		return bpf_core_enum_value(enum cgroup_subsys_id, cpu_cgrp_id);
	case SOURCE_DEVICES:
		return bpf_core_enum_value(enum cgroup_subsys_id, devices_cgrp_id);
	default:
		return bpf_core_enum_value(enum cgroup_subsys_id, freezer_cgrp_id);
	}
}

/* The task's cgroup in the hierarchy that container runtimes use on this machine. */
static __always_inline u64 cgroup_of(struct task_struct *task)
{
	if (cgroup_source == SOURCE_UNIFIED)
		return READ(task, cgroups, dfl_cgrp, kn, id);
#ifdef RAW_TRACEPOINTS
	struct css_set *set = PROBE(task, cgroups);
	struct cgroup_subsys_state *state = NULL;
	char *states = (char *)set + bpf_core_field_offset(struct css_set, subsys);
	bpf_probe_read_kernel(&state, sizeof(state), states + subsystem_index() * sizeof(state));
	return PROBE(state, cgroup, kn, id);
#else
	char *set = (char *)READ(task, cgroups);
	struct cgroup_subsys_state **states = (void *)(set + bpf_core_field_offset(struct css_set, subsys));
	struct cgroup_subsys_state *state = states[subsystem_index()];
	return READ(state, cgroup, kn, id);
#endif
}

/* True for cgroups of the hierarchy that ids are taken from. */
static __always_inline bool is_followed(struct cgroup *cgroup)
{
	return (u32)READ(cgroup, root, hierarchy_id) == cgroup_hierarchy;
}

/* True when nobody wants to hear of this cgroup. Unknown ones are heard of. */
static __always_inline bool is_ignored(u64 cgroup)
{
	struct cgroup_state *state = bpf_map_lookup_elem(&cgroups, &cgroup);
	return state && state->ignored;
}

/* The cgroup of the container that this cgroup belongs to, as far as is known. */
static __always_inline u64 owner_of(u64 cgroup)
{
	struct cgroup_state *state = bpf_map_lookup_elem(&cgroups, &cgroup);
	return state && state->owner ? state->owner : cgroup;
}

/* True for a cgroup that is known to be a container's. */
static __always_inline bool is_owned(u64 cgroup)
{
	struct cgroup_state *state = bpf_map_lookup_elem(&cgroups, &cgroup);
	return state && state->owner;
}

static __always_inline u32 mount_namespace_of(struct task_struct *task)
{
	return READ(task, nsproxy, mnt_ns, ns.inum);
}

/* The innermost PID namespace of a task, and the task's number in it. */
static __always_inline u32 innermost_pid(struct task_struct *task, u32 *namespace)
{
	struct pid *pid = READ(task, thread_pid);
	/* MAX_PID_NS_LEVEL is 32, a struct upid has 16 bytes. A typed pointer takes no unbounded number. */
	u64 offset = BOUNDED(READ(pid, level) * bpf_core_type_size(struct upid), 511);
	char *numbers = (char *)pid + bpf_core_field_offset(struct pid, numbers);
	struct upid *own = (struct upid *)(numbers + offset);
	*namespace = PROBE(own, ns, ns.inum);
	return PROBE(own, nr);
}

#endif
