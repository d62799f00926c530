/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The table of live processes: kept from fork to exit, so that every event can name the process that forked
 * its actor, with the executable that one had at that moment. */
#ifndef PODWARDEN_PROCESS_BPF_H
#define PODWARDEN_PROCESS_BPF_H

#include "path.bpf.h"
#include "record.bpf.h"
#include "task.bpf.h"

/* Stores the path in the buffer as a process's executable; what does not fit goes to long_paths. */
static __always_inline void store_exe(struct process *process, struct path_buffer *buffer)
{
	u32 length = path_length(buffer);
	process->flags &= ~(PROCESS_EXE_TRUNCATED | PROCESS_EXE_DETACHED);
	if (buffer->truncated)
		process->flags |= PROCESS_EXE_TRUNCATED;
	if (buffer->detached)
		process->flags |= PROCESS_EXE_DETACHED;
	process->exe_id = 0;
	process->exe_length = length;
	if (length <= INLINE_PATH) {
		bpf_probe_read_kernel(process->exe, length, &buffer->text[buffer->offset & (MAX_PATH - 1)]);
		return;
	}
	u64 *ids = only_element(&exe_ids);
	if (ids) {
		/* Never 0, and another one on each CPU. */
		*ids += 1;
		u64 id = *ids << 12 | (bpf_get_smp_processor_id() & 0xfff);
		process->exe_id = id;
		/* The path ends at MAX_PATH; what stands before it is old and of no meaning. */
		bpf_map_update_elem(&long_paths, &id, buffer->text, BPF_ANY);
	}
}

/* What the flags of a process's executable are to its children. */
static __always_inline u32 as_parent(u32 flags)
{
	return (flags & PROCESS_EXE_TRUNCATED ? PROCESS_PARENT_TRUNCATED : 0) |
	       (flags & PROCESS_EXE_DETACHED ? PROCESS_PARENT_DETACHED : 0);
}

/* Remembers which process it is that others in its PID namespace know by a number of their own. */
static __always_inline void note_inner_pid(struct process *process, struct task_struct *leader, u32 pid)
{
	process->inner.number = innermost_pid(leader, &process->inner.namespace);
	if (process->inner.namespace == INITIAL_PID_NAMESPACE)
		return;
	if (bpf_map_update_elem(&inner_pids, &process->inner, &pid, BPF_ANY))
		count_trouble(TROUBLE_PROCESSES_FULL);
}

/* The record of a process whose fork was not seen, made from what the kernel has now. */
static __noinline int adopt(struct task_struct *leader, u64 cgroup)
{
	struct process *process = only_element(&process_buffers);
	struct path_buffer *buffer = only_element(&path_buffers);
	if (!process || !buffer)
		return -1;
	u32 pid = READ(leader, tgid);
	struct task_struct *parent = READ(leader, real_parent, group_leader);
	process->start = READ(leader, start_boottime);
	process->owner = owner_of(cgroup);
	process->parent_pid = READ(parent, tgid);
	process->parent_start = READ(parent, start_boottime);
	process->parent_exe_id = 0;
	process->parent_length = 0;
	process->outer_mount_namespace = mount_namespace_of(leader);
	process->flags = PROCESS_PARENT_INFERRED;
	if (owner_of(cgroup_of(parent)) != process->owner)
		process->flags |= PROCESS_PARENT_RUNTIME;

	struct file *file = READ(parent, mm, exe_file);
	if (file) {
		walk_file(buffer, file, parent);
		store_exe(process, buffer);
		process->parent_exe_id = process->exe_id;
		process->parent_length = process->exe_length;
		process->flags |= as_parent(process->flags);
		__builtin_memcpy(process->parent_exe, process->exe, INLINE_PATH);
	}
	process->exe_length = 0;
	process->exe_id = 0;
	file = READ(leader, mm, exe_file);
	if (file) {
		walk_file(buffer, file, leader);
		store_exe(process, buffer);
	}
	note_inner_pid(process, leader, pid);
	if (bpf_map_update_elem(&processes, &pid, process, BPF_ANY))
		count_trouble(TROUBLE_PROCESSES_FULL);
	return 0;
}

/* The record of a process, made when there is none or it is that of an earlier process of the same number. */
static __always_inline struct process *process_of(struct task_struct *leader, u64 cgroup)
{
	u32 pid = READ(leader, tgid);
	struct process *process = bpf_map_lookup_elem(&processes, &pid);
	if (process && process->start == READ(leader, start_boottime))
		return process;
	adopt(leader, cgroup);
	return bpf_map_lookup_elem(&processes, &pid);
}

/* The record of a process that is not where its container is; NULL for all others. */
static __always_inline struct process *escaped(struct task_struct *leader)
{
	u32 *count = only_element(&escapes);
	if (!count || !*count)
		return NULL;
	u32 pid = READ(leader, tgid);
	struct process *process = bpf_map_lookup_elem(&processes, &pid);
	if (process && process->flags & PROCESS_ESCAPED && process->start == READ(leader, start_boottime))
		return process;
	return NULL;
}

/* The cgroup that a process's doings count for: its own, or its container's where it was moved out of that to one
 * that is nobody's. 0 when nobody wants to hear of them. */
static __always_inline u64 counts_for(struct task_struct *leader, u64 cgroup)
{
	struct cgroup_state *state = bpf_map_lookup_elem(&cgroups, &cgroup);
	if (state && state->owner)
		return cgroup;
	struct process *process = escaped(leader);
	if (process)
		return process->owner;
	return state && state->ignored ? 0 : cgroup;
}

static __always_inline int handle_fork(struct task_struct *forker, struct task_struct *child)
{
	u32 pid = READ(child, tgid);
	if (pid != (u32)READ(child, pid))
		return 0; /* a thread */
	struct task_struct *parent = READ(forker, group_leader);
	u64 own = cgroup_of(child);
	u64 cgroup = counts_for(parent, own);
	if (!cgroup)
		return 0;
	u64 owner = owner_of(cgroup);
	u64 from = READ(forker, cgroups) == READ(child, cgroups) ? own : cgroup_of(forker);
	struct process *known = process_of(parent, from);
	struct process *process = only_element(&process_buffers);
	if (!known || !process)
		return 0;

	process->start = READ(child, start_boottime);
	process->parent_start = known->start;
	process->parent_pid = READ(parent, tgid);
	process->owner = owner;
	process->outer_mount_namespace = known->outer_mount_namespace;
	process->flags = known->flags & (PROCESS_ESCAPED | PROCESS_EXE_TRUNCATED | PROCESS_EXE_DETACHED);
	process->flags |= as_parent(known->flags);
	if (owner_of(known->owner) != owner) {
		/* Born into the container from outside (CLONE_INTO_CGROUP). */
		process->flags |= PROCESS_RUNTIME | PROCESS_PARENT_RUNTIME;
		process->outer_mount_namespace = mount_namespace_of(forker);
	} else if (known->flags & PROCESS_RUNTIME) {
		process->flags |= PROCESS_RUNTIME | PROCESS_PARENT_RUNTIME;
	}
	process->exe_id = process->parent_exe_id = known->exe_id;
	process->exe_length = process->parent_length = known->exe_length;
	__builtin_memcpy(process->exe, known->exe, INLINE_PATH);
	__builtin_memcpy(process->parent_exe, known->exe, INLINE_PATH);
	note_inner_pid(process, child, pid);
	if (bpf_map_update_elem(&processes, &pid, process, BPF_ANY))
		count_trouble(TROUBLE_PROCESSES_FULL);

	struct fork_event event = {
		.start = process->start,
		.parent_start = process->parent_start,
		.pid = pid,
		.container_pid = process->inner.number,
		.parent_pid = process->parent_pid,
		.flags = process->flags & PROCESS_RUNTIME ? FLAG_PARENT_RUNTIME : 0,
	};
	begin_record(&event.header, EVENT_FORK, cgroup);
	submit_record(&event, sizeof(event), false);
	return 0;
}

static __always_inline int handle_exit(struct task_struct *task)
{
	if (READ(task, signal, live.counter) != 0)
		return 0; /* other threads live on */
	u32 pid = READ(task, tgid);
	u64 cgroup = counts_for(READ(task, group_leader), cgroup_of(task));
	struct process *process = bpf_map_lookup_elem(&processes, &pid);
	if (process) {
		if (process->inner.namespace != INITIAL_PID_NAMESPACE)
			bpf_map_delete_elem(&inner_pids, &process->inner);
		bpf_map_delete_elem(&processes, &pid);
	}
	if (!cgroup)
		return 0;
	struct exit_event event = {
		.start = READ(task, group_leader, start_boottime),
		.pid = pid,
		.status = READ(task, exit_code),
	};
	begin_record(&event.header, EVENT_EXIT, cgroup);
	submit_record(&event, sizeof(event), false);
	return 0;
}

/* A process that is moved into another container's cgroup is that container's runtime from then on, until it
 * executes something there.
 *
 * It may have entered the container's namespaces already (runc exec does), so the mount namespace that it came
 * from is that of its parent, which stayed outside. */
static __always_inline int handle_attach(struct cgroup *to, struct task_struct *task)
{
	if (!is_followed(to))
		return 0;
	u64 cgroup = cgroup_of(task);
	struct task_struct *leader = READ(task, group_leader);
	u32 pid = READ(leader, tgid);
	struct process *process = bpf_map_lookup_elem(&processes, &pid);
	bool known = process && process->start == READ(leader, start_boottime);
	if (!is_owned(cgroup)) {
		/* Out of its container, to a cgroup of the host or a new one: only a privileged container can do that.
		 * A runtime that goes back to where it came from was never the container's. */
		if (known && !(process->flags & PROCESS_RUNTIME) && is_owned(process->owner)) {
			process->flags |= PROCESS_ESCAPED;
			u32 *count = only_element(&escapes);
			if (count)
				*count = 1;
			return 0;
		}
		if (is_ignored(cgroup))
			return 0;
	}
	if (known) {
		process->flags &= ~PROCESS_ESCAPED;
		if (owner_of(process->owner) == owner_of(cgroup))
			return 0;
		/* From one container to another, which only a privileged one can do: it is nobody's runtime, so that
		 * what it does there is seen. */
		if (!(process->flags & PROCESS_RUNTIME) && is_owned(process->owner)) {
			process->owner = owner_of(cgroup);
			return 0;
		}
	} else {
		adopt(leader, cgroup);
		process = bpf_map_lookup_elem(&processes, &pid);
		/* One whose parent is in this container only moves about in it. */
		if (!process || !(process->flags & PROCESS_PARENT_RUNTIME))
			return 0;
	}
	process->owner = owner_of(cgroup);
	process->flags |= PROCESS_RUNTIME | PROCESS_PARENT_RUNTIME;
	process->outer_mount_namespace = mount_namespace_of(READ(leader, real_parent));
	return 0;
}

#endif
