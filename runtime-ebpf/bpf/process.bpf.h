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
	process->flags &= ~PROCESS_EXE_TRUNCATED;
	if (buffer->truncated)
		process->flags |= PROCESS_EXE_TRUNCATED;
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

/* The record of a process whose fork was not seen, made from what the kernel has now. */
__noinline int adopt(u64 leader_address, u64 cgroup)
{
	struct task_struct *leader = (struct task_struct *)leader_address;
	struct process *process = only_element(&process_buffers);
	struct path_buffer *buffer = only_element(&path_buffers);
	if (!process || !buffer)
		return -1;
	u32 pid = BPF_CORE_READ(leader, tgid);
	struct task_struct *parent = BPF_CORE_READ(leader, real_parent, group_leader);
	process->start = BPF_CORE_READ(leader, start_boottime);
	process->owner = owner_of(cgroup);
	process->parent_pid = BPF_CORE_READ(parent, tgid);
	process->parent_start = BPF_CORE_READ(parent, start_boottime);
	process->parent_exe_id = 0;
	process->parent_length = 0;
	process->outer_mount_namespace = mount_namespace_of(leader);
	process->flags = PROCESS_PARENT_INFERRED;
	if (owner_of(cgroup_of(parent)) != process->owner)
		process->flags |= PROCESS_PARENT_RUNTIME;

	struct file *file = BPF_CORE_READ(parent, mm, exe_file);
	if (file) {
		walk_file(buffer, file);
		store_exe(process, buffer);
		process->parent_exe_id = process->exe_id;
		process->parent_length = process->exe_length;
		if (process->flags & PROCESS_EXE_TRUNCATED)
			process->flags |= PROCESS_PARENT_TRUNCATED;
		__builtin_memcpy(process->parent_exe, process->exe, INLINE_PATH);
	}
	process->exe_length = 0;
	process->exe_id = 0;
	file = BPF_CORE_READ(leader, mm, exe_file);
	if (file) {
		walk_file(buffer, file);
		store_exe(process, buffer);
	}
	if (bpf_map_update_elem(&processes, &pid, process, BPF_ANY))
		count_trouble(TROUBLE_PROCESSES_FULL);
	return 0;
}

/* The record of a process, made when there is none or it is that of an earlier process of the same number. */
static __always_inline struct process *process_of(struct task_struct *leader, u64 cgroup)
{
	u32 pid = BPF_CORE_READ(leader, tgid);
	struct process *process = bpf_map_lookup_elem(&processes, &pid);
	if (process && process->start == BPF_CORE_READ(leader, start_boottime))
		return process;
	adopt((u64)leader, cgroup);
	return bpf_map_lookup_elem(&processes, &pid);
}

static __always_inline int handle_fork(struct task_struct *forker, struct task_struct *child)
{
	u32 pid = BPF_CORE_READ(child, tgid);
	if (pid != (u32)BPF_CORE_READ(child, pid))
		return 0; /* a thread */
	u64 cgroup = cgroup_of(child);
	if (is_ignored(cgroup))
		return 0;
	struct task_struct *parent = BPF_CORE_READ(forker, group_leader);
	struct process *known = process_of(parent, cgroup_of(forker));
	struct process *process = only_element(&process_buffers);
	if (!known || !process)
		return 0;

	u64 owner = owner_of(cgroup);
	process->start = BPF_CORE_READ(child, start_boottime);
	process->parent_start = known->start;
	process->parent_pid = BPF_CORE_READ(parent, tgid);
	process->owner = owner;
	process->outer_mount_namespace = known->outer_mount_namespace;
	process->flags = 0;
	if (owner_of(known->owner) != owner) {
		/* Born into the container from outside (CLONE_INTO_CGROUP). */
		process->flags = PROCESS_RUNTIME | PROCESS_PARENT_RUNTIME;
		process->outer_mount_namespace = mount_namespace_of(forker);
	} else if (known->flags & PROCESS_RUNTIME) {
		process->flags = PROCESS_RUNTIME | PROCESS_PARENT_RUNTIME;
	}
	if (known->flags & PROCESS_EXE_TRUNCATED)
		process->flags |= PROCESS_EXE_TRUNCATED | PROCESS_PARENT_TRUNCATED;
	process->exe_id = process->parent_exe_id = known->exe_id;
	process->exe_length = process->parent_length = known->exe_length;
	__builtin_memcpy(process->exe, known->exe, INLINE_PATH);
	__builtin_memcpy(process->parent_exe, known->exe, INLINE_PATH);
	if (bpf_map_update_elem(&processes, &pid, process, BPF_ANY))
		count_trouble(TROUBLE_PROCESSES_FULL);

	u32 namespace;
	struct fork_event event = {
		.start = process->start,
		.parent_start = process->parent_start,
		.pid = pid,
		.container_pid = innermost_pid(child, &namespace),
		.parent_pid = process->parent_pid,
		.flags = process->flags & PROCESS_RUNTIME ? FLAG_PARENT_RUNTIME : 0,
	};
	begin_record(&event.header, EVENT_FORK, cgroup);
	submit_record(&event, sizeof(event));
	return 0;
}

static __always_inline int handle_exit(struct task_struct *task)
{
	if (BPF_CORE_READ(task, signal, live.counter) != 0)
		return 0; /* other threads live on */
	u32 pid = BPF_CORE_READ(task, tgid);
	bool known = bpf_map_delete_elem(&processes, &pid) == 0;
	u64 cgroup = cgroup_of(task);
	if (is_ignored(cgroup) && !known)
		return 0;
	struct exit_event event = {
		.start = BPF_CORE_READ(task, group_leader, start_boottime),
		.pid = pid,
		.status = BPF_CORE_READ(task, exit_code),
	};
	begin_record(&event.header, EVENT_EXIT, cgroup);
	submit_record(&event, sizeof(event));
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
	if (is_ignored(cgroup))
		return 0;
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	u32 pid = BPF_CORE_READ(leader, tgid);
	struct process *process = bpf_map_lookup_elem(&processes, &pid);
	if (process && process->start == BPF_CORE_READ(leader, start_boottime)) {
		if (owner_of(process->owner) == owner_of(cgroup))
			return 0;
	} else {
		adopt((u64)leader, cgroup);
		process = bpf_map_lookup_elem(&processes, &pid);
		/* One whose parent is in this container only moves about in it. */
		if (!process || !(process->flags & PROCESS_PARENT_RUNTIME))
			return 0;
	}
	process->owner = owner_of(cgroup);
	process->flags |= PROCESS_RUNTIME | PROCESS_PARENT_RUNTIME;
	process->outer_mount_namespace = mount_namespace_of(BPF_CORE_READ(leader, real_parent));
	return 0;
}

#endif
