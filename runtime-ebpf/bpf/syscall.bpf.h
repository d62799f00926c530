/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The end of a system call: is it of interest, was it made where somebody listens, and who handles it.
 *
 * This runs at the end of every system call on the machine. For what nobody asked for it is one look into an
 * array. */
#ifndef PODWARDEN_SYSCALL_BPF_H
#define PODWARDEN_SYSCALL_BPF_H

#include "process.bpf.h"

#ifdef RAW_TRACEPOINTS
#define CURRENT_TASK() ((struct task_struct *)bpf_get_current_task())
#else
#define CURRENT_TASK() bpf_get_current_task_btf()
#endif

#define X86_TS_COMPAT 2
#define X32_SYSCALL_BIT 0x40000000
#define PROT_WRITE_EXEC 6
/* The result of what is queued and not over; user space never sees it from a system call. */
#define EIOCBQUEUED 529

static __always_inline u32 number_of(void *regs)
{
	struct pt_regs___x86 *x86 = regs;
	struct pt_regs___arm64 *arm64 = regs;
	if (bpf_core_field_exists(x86->orig_ax))
		return (u32)READ(x86, orig_ax) & ~X32_SYSCALL_BIT;
	return READ(arm64, syscallno);
}

/* Whether the call came by the 32-bit entry (int 0x80 works from 64-bit code as well): numbers and arguments are
 * others then. */
static __always_inline bool is_compat(struct task_struct *task)
{
	struct task_struct___x86 *x86 = (void *)task;
	if (bpf_core_field_exists(x86->thread_info.status))
		return READ(x86, thread_info.status) & X86_TS_COMPAT;
	return false;
}

/* The same register with either entry. */
static __always_inline u64 third_argument(void *regs)
{
	struct pt_regs___x86 *x86 = regs;
	struct pt_regs___arm64 *arm64 = regs;
	if (bpf_core_field_exists(x86->orig_ax))
		return READ(x86, dx);
	return READ(arm64, regs[2]);
}

static __always_inline void read_arguments(struct call_state *state, void *context, bool compat)
{
	struct pt_regs___x86 *x86 = context;
	if (!bpf_core_field_exists(x86->orig_ax)) {
		struct pt_regs___arm64 *regs = context;
		state->args[0] = READ(regs, orig_x0);
		state->args[1] = READ(regs, regs[1]);
		state->args[2] = READ(regs, regs[2]);
		state->args[3] = READ(regs, regs[3]);
		state->args[4] = READ(regs, regs[4]);
		state->args[5] = READ(regs, regs[5]);
		return;
	}
	struct pt_regs___x86 *regs = x86;
	if (compat) {
		state->args[0] = (u32)READ(regs, bx);
		state->args[1] = (u32)READ(regs, cx);
		state->args[2] = (u32)READ(regs, dx);
		state->args[3] = (u32)READ(regs, si);
		state->args[4] = (u32)READ(regs, di);
		state->args[5] = (u32)READ(regs, bp);
	} else {
		state->args[0] = READ(regs, di);
		state->args[1] = READ(regs, si);
		state->args[2] = READ(regs, dx);
		state->args[3] = READ(regs, r10);
		state->args[4] = READ(regs, r8);
		state->args[5] = READ(regs, r9);
	}
}

/* The argument with this number, from 1; 0 where there is none. */
static __always_inline u64 argument(struct call_state *state, u8 number)
{
	return number ? state->args[(number - 1) & 7] : 0;
}

/* The file behind a descriptor of this process; NULL where there is none. */
static __always_inline struct file *file_of(struct task_struct *task, u64 descriptor)
{
	struct fdtable *table = READ(task, files, fdt);
	if ((u32)descriptor >= READ(table, max_fds))
		return NULL;
	struct file **files = READ(table, fd);
	struct file *file = NULL;
	bpf_probe_read_kernel(&file, sizeof(file), &files[(u32)descriptor]);
	return file;
}

/* A file that the sensor itself opens while it marks is watched from then on. */
static __always_inline void mark_file(struct task_struct *task, u64 descriptor)
{
	struct marking *mark = only_element(&marking);
	if (!mark || !mark->sets || mark->thread != (u32)READ(task, pid))
		return;
	struct file *file = file_of(task, descriptor);
	if (!file)
		return;
	struct file_key key = { .inode = PROBE(file, f_inode, i_ino), .device = PROBE(file, f_inode, i_sb, s_dev) };
	u32 *known = bpf_map_lookup_elem(&watched_files, &key);
	u32 sets = mark->sets | (known ? *known : 0);
	bpf_map_update_elem(&watched_files, &key, &sets, BPF_ANY);
	mark->inode = key.inode;
	mark->device = key.device;
}

static __always_inline int handle_sys_exit(void *context, void *regs, s64 result)
{
	u32 number = number_of(regs);
	if (number >= CALLS)
		return 0;
	struct call *call = bpf_map_lookup_elem(&calls, &number);
	if (!call || !*(u64 *)call)
		return 0;
	struct task_struct *task = CURRENT_TASK();
	bool compat = is_compat(task);
	if (compat) {
		if (!(call->flags & CALL_ALSO_32))
			return 0;
		number += CALLS;
		call = bpf_map_lookup_elem(&calls, &number);
	}
	if (!call)
		return 0;
	if (call->flags & CALL_MOVES && result >= 0) {
		struct filter *filter = only_element(&filters);
		if (filter)
			__sync_fetch_and_add(&filter->generation, 1);
	}
	if (!call->handler)
		return 0;
	if (call->handler == HANDLER_OPEN)
		mark_file(task, result);
	if (call->flags & CALL_STANDARD && (u64)result > 2)
		return 0;
	if (call->flags & CALL_EXECUTABLE && (third_argument(regs) & PROT_WRITE_EXEC) != PROT_WRITE_EXEC)
		return 0;
	if ((u32)READ(task, tgid) == own_process)
		return 0;
	struct task_struct *leader = READ(task, group_leader);
	u64 cgroup = counts_for(leader, cgroup_of(task));
	struct call_state *state = only_element(&call_states);
	if (!cgroup || !state)
		return 0;
	read_arguments(state, regs, compat);
	state->result = result;
	state->cgroup = cgroup;
	state->call = *call;
	state->number = number;
	state->ring = false;
	/* Constant numbers, so that the kernel makes plain jumps of them. */
	switch (call->handler) {
	case HANDLER_OPEN:
		bpf_tail_call_static(context, &handlers, HANDLER_OPEN);
		break;
	case HANDLER_PATHS:
		bpf_tail_call_static(context, &handlers, HANDLER_PATHS);
		break;
	case HANDLER_DESCRIPTOR:
		bpf_tail_call_static(context, &handlers, HANDLER_DESCRIPTOR);
		break;
	case HANDLER_SOCKET:
		bpf_tail_call_static(context, &handlers, HANDLER_SOCKET);
		break;
	case HANDLER_SYSTEM:
		bpf_tail_call_static(context, &handlers, HANDLER_SYSTEM);
		break;
	}
	return 0;
}

#endif
