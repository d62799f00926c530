/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What is done to the system, to privileges and to other processes. */
#ifndef PODWARDEN_SYSTEM_BPF_H
#define PODWARDEN_SYSTEM_BPF_H

#include "network.bpf.h"

/* include/uapi/linux/sched.h */
#define CLONE_NEW_ANY 0x7e020080ULL /* NEWNS, CGROUP, UTS, IPC, USER, PID, NET, TIME */
#define MAP_ANONYMOUS 0x20
#define PTRACE_TRACEME 0
#define F_DUPFD 0
#define F_DUPFD_CLOEXEC 1030

static __always_inline void append_caller_text(union scratch *scratch, struct system_event *event, u32 index,
					       u32 *position, u64 address)
{
	if (address)
		event->actor.flags |= append_user_string(scratch, &event->texts[index & 3], position, address);
}

/* Appends the path of a file as the first text. */
static __always_inline void append_file_text(union scratch *scratch, struct system_event *event, u32 *position,
					     struct task_struct *task, struct file *file)
{
	struct path_buffer *buffer = only_element(&path_buffers);
	if (!buffer || !file)
		return;
	buffer->vfsmount = (u64)PROBE(file, f_path.mnt);
	buffer->dentry = (u64)PROBE(file, f_path.dentry);
	buffer->namespace = (u64)READ(task, nsproxy, mnt_ns);
	walk_path();
	name_unplaced(buffer);
	if (append_path(scratch, &event->texts[0], position, buffer))
		event->actor.flags |= FLAG_SUBJECT_TRUNCATED;
}

/* The host's number of a process that a caller names by one of its own PID namespace; 0 where it is not known. */
static __always_inline u32 host_pid(struct task_struct *task, u32 number)
{
	u32 namespace;
	innermost_pid(READ(task, group_leader), &namespace);
	if (namespace == INITIAL_PID_NAMESPACE)
		return number;
	struct pid_key key = { .namespace = namespace, .number = number };
	u32 *pid = bpf_map_lookup_elem(&inner_pids, &key);
	return pid ? *pid : 0;
}

/* The host's number of the process that a pidfd is of; 0 where it is none. */
static __always_inline u32 pid_of_descriptor(struct task_struct *task, u64 descriptor)
{
	struct file *file = file_of(task, descriptor);
	struct pid *pid = file ? PROBE(file, private_data) : NULL;
	if (!pid || (PROBE(file, f_inode, i_mode) & S_IFMT) == S_IFSOCK)
		return 0;
	struct upid *first = (struct upid *)((char *)pid + bpf_core_field_offset(struct pid, numbers));
	return PROBE(first, nr);
}

static __always_inline void describe_target(union scratch *scratch, struct system_event *event, u32 *position,
					    u32 pid)
{
	event->target_pid = pid;
	struct process *target = bpf_map_lookup_elem(&processes, &pid);
	if (!target)
		return;
	event->target_start = target->start;
	event->target_cgroup = target->owner;
	append_stored(scratch, &event->target_exe, position, target->exe, target->exe_length, target->exe_id);
}

/* Whether a signal to this process leaves the sender's container. Nobody in a PID namespace of its own can name
 * another container's process; what is not found there is none. */
static __always_inline bool leaves_container(struct task_struct *task, struct call_state *state, u32 pid)
{
	if (!pid)
		return false;
	struct process *target = bpf_map_lookup_elem(&processes, &pid);
	if (target)
		return owner_of(target->owner) != owner_of(state->cgroup);
	/* A process of the host: of these nothing is remembered. */
	return pid != (u32)READ(task, tgid);
}

static __always_inline u32 target_of(struct task_struct *task, struct call_state *state)
{
	u64 number = argument(state, state->call.dir);
	if (state->call.flags & CALL_POINTER)
		return pid_of_descriptor(task, number);
	s32 signed_number = number;
	/* A process group is told of as its leader. */
	return host_pid(task, signed_number < -1 ? -signed_number : signed_number);
}

static __always_inline int handle_system(void)
{
	struct call_state *state = only_element(&call_states);
	if (!state)
		return 0;
	struct task_struct *task = CURRENT_TASK();
	struct call *call = &state->call;
	u32 operation = call->second;
	u64 namespaces = 0;
	u32 target = 0;
	struct sock *sock = NULL;
	switch (operation) {
	case SYSTEM_NAMESPACES:
		namespaces = argument(state, call->first);
		if (call->flags & CALL_POINTER) {
			u64 flags = 0;
			bpf_probe_read_user(&flags, sizeof(flags), (void *)namespaces);
			namespaces = flags;
		}
		namespaces &= CLONE_NEW_ANY;
		if (!namespaces)
			return 0;
		/* The child returns from a clone as well, with 0. */
		if (call->flags & CALL_MANY && state->result == 0)
			return 0;
		break;
	case SYSTEM_SIGNAL:
		target = target_of(task, state);
		if (!argument(state, call->first) || !leaves_container(task, state, target))
			return 0;
		break;
	case SYSTEM_PROCESS:
		target = target_of(task, state);
		break;
	case SYSTEM_DUPLICATE:
		/* fcntl does much else. */
		if (call->first && argument(state, call->first) != F_DUPFD &&
		    argument(state, call->first) != F_DUPFD_CLOEXEC)
			return 0;
		sock = sock_of(file_of(task, state->result));
		if (!sock)
			return 0;
		break;
	}

	u32 position;
	union scratch *scratch = begin_activity(task, state, EVENT_SYSTEM, sizeof(struct system_event), &position);
	if (!scratch)
		return 0;
	struct system_event *event = &scratch->system;
	__builtin_memset(event->args, 0, sizeof(*event) - __builtin_offsetof(struct system_event, args));
	event->args[0] = state->args[0];
	event->args[1] = state->args[1];
	event->args[2] = state->args[2];
	event->args[3] = state->args[3];
	const struct cred *cred = READ(task, cred);
	bpf_core_read(&event->effective_caps, sizeof(u64), &cred->cap_effective);

	switch (operation) {
	case SYSTEM_TEXTS:
		append_caller_text(scratch, event, 0, &position, argument(state, call->path));
		append_caller_text(scratch, event, 2, &position, argument(state, call->first));
		if (call->new_path)
			event->actor.flags |= append_argument(scratch, task, &event->dir, &event->texts[1], &position,
							      argument(state, call->new_path),
							      call->new_dir ? argument(state, call->new_dir)
									    : (u64)AT_FDCWD);
		break;
	case SYSTEM_NAMESPACES:
		event->args[0] = namespaces;
		if (!(call->flags & CALL_POINTER))
			event->actor.flags |= FLAG_SUBJECT_KERNEL;
		break;
	case SYSTEM_FILE:
		append_file_text(scratch, event, &position, task, file_of(task, argument(state, call->dir)));
		event->actor.flags |= FLAG_SUBJECT_KERNEL;
		break;
	case SYSTEM_MEMORY:
		if (call->dir && !(state->args[3] & MAP_ANONYMOUS))
			append_file_text(scratch, event, &position, task, file_of(task, argument(state, call->dir)));
		event->actor.flags |= FLAG_SUBJECT_KERNEL;
		break;
	case SYSTEM_DUPLICATE:
		event->family = PROBE(sock, __sk_common.skc_family);
		event->remote_port = swap_bytes(PROBE(sock, __sk_common.skc_dport));
		if (event->family == AF_INET)
			*(u32 *)event->remote = PROBE(sock, __sk_common.skc_daddr);
		else if (event->family == AF_INET6 && bpf_core_field_exists(sock->__sk_common.skc_v6_daddr))
			bpf_core_read(event->remote, 16, &sock->__sk_common.skc_v6_daddr);
		event->actor.flags |= FLAG_SUBJECT_KERNEL;
		break;
	case SYSTEM_PROCESS:
	case SYSTEM_SIGNAL:
		if (call->first == 0 && state->args[0] == PTRACE_TRACEME && call->dir == 2)
			target = READ(task, real_parent, tgid);
		describe_target(scratch, event, &position, target);
		event->actor.flags |= FLAG_SUBJECT_KERNEL;
		break;
	default:
		event->actor.flags |= FLAG_SUBJECT_KERNEL;
	}
	submit_activity(scratch, position, mix(mix(event->args[0], event->args[1]), event->target_pid));
	return 0;
}

#endif
