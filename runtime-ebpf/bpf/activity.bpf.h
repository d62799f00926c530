/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What the events of system calls have in common: who made the call. */
#ifndef PODWARDEN_ACTIVITY_BPF_H
#define PODWARDEN_ACTIVITY_BPF_H

#include "append.bpf.h"
#include "syscall.bpf.h"

struct activity {
	struct event_header header;
	struct actor actor;
};

/* Begins the record of an event in this CPU's scratch; its tails go after `fixed` bytes. NULL when nobody is to hear
 * of it: a container's set-up by its runtime is none of the container's doing. */
static __always_inline union scratch *begin_activity(struct task_struct *task, struct call_state *state, u16 kind,
						     u32 fixed, u32 *position)
{
	union scratch *scratch = only_element(&scratches);
	struct task_struct *leader = READ(task, group_leader);
	struct process *process = process_of(leader, state->cgroup);
	/* No room in the table: what was just put together of the process is still there. */
	if (!process)
		process = only_element(&process_buffers);
	if (!scratch || !process || process->flags & PROCESS_RUNTIME)
		return NULL;
	struct activity *activity = (struct activity *)scratch->record;
	struct actor *actor = &activity->actor;
	begin_record(&activity->header, kind, state->cgroup);
	actor->start = process->start;
	actor->result = state->result;
	actor->pid = READ(task, tgid);
	const struct cred *cred = READ(task, cred);
	actor->uid = READ(cred, uid.val);
	actor->gid = READ(cred, gid.val);
	actor->euid = READ(cred, euid.val);
	u32 flags = process->flags;
	actor->flags = (flags & PROCESS_EXE_TRUNCATED ? FLAG_EXE_TRUNCATED : 0) |
		       (flags & PROCESS_EXE_DETACHED ? FLAG_EXE_DETACHED : 0) |
		       (flags & PROCESS_PARENT_TRUNCATED ? FLAG_PARENT_TRUNCATED : 0) |
		       (flags & PROCESS_PARENT_DETACHED ? FLAG_PARENT_DETACHED : 0) |
		       (flags & PROCESS_PARENT_RUNTIME ? FLAG_PARENT_RUNTIME : 0) |
		       (flags & PROCESS_PARENT_INFERRED ? FLAG_PARENT_INFERRED : 0) |
		       (flags & PROCESS_ESCAPED ? FLAG_ESCAPED : 0) |
		       (state->ring ? FLAG_IO_URING : 0);
	actor->call = state->number;
	*position = fixed;
	if (!append_stored(scratch, &actor->exe, position, process->exe, process->exe_length, process->exe_id))
		actor->flags |= FLAG_EXE_TRUNCATED;
	if (!append_stored(scratch, &actor->parent_exe, position, process->parent_exe, process->parent_length,
			   process->parent_exe_id))
		actor->flags |= FLAG_PARENT_TRUNCATED;
	return scratch;
}

/* `subject` is a hash of what was done: what is new is worth a wake-up. */
static __always_inline void submit_activity(union scratch *scratch, u32 position, u64 subject)
{
	struct activity *activity = (struct activity *)scratch->record;
	bool urgent = false;
	if (is_waiting()) {
		u64 hash = mix(mix(subject, activity->header.cgroup), (u64)activity->header.kind << 32 | activity->actor.call);
		urgent = is_new(mix(hash, activity->actor.exe.length));
	}
	submit_to(&activities, activity, BOUNDED(position, sizeof(scratch->record) - 1), urgent);
}

/* Appends a string from user memory without its NUL. */
static __always_inline u32 append_user_string(union scratch *scratch, struct tail *tail, u32 *position, u64 address)
{
	u32 at = *position;
	tail->offset = at;
	tail->length = 0;
	if (at >= RECORD_LIMIT)
		return FLAG_SUBJECT_TRUNCATED;
	if (!address)
		return 0;
	long length = bpf_probe_read_user_str(&scratch->record[at], MAX_PATH, (void *)address);
	if (length < 0)
		return FLAG_SUBJECT_UNREADABLE;
	if (length <= 1)
		return 0;
	length -= 1;
	tail->length = length;
	*position = at + (length & (MAX_PATH - 1));
	return length == MAX_PATH - 1 ? FLAG_SUBJECT_TRUNCATED : 0;
}

#define AT_FDCWD -100

/* Leaves the directory that a path of the caller counts from in the path buffer: its root, its working directory, or
 * the one behind a descriptor. */
static __always_inline void walk_base(struct path_buffer *buffer, struct task_struct *task, bool absolute,
				      u64 descriptor)
{
	buffer->namespace = (u64)READ(task, nsproxy, mnt_ns);
	if (absolute) {
		buffer->vfsmount = (u64)READ(task, fs, root.mnt);
		buffer->dentry = (u64)READ(task, fs, root.dentry);
	} else if ((s32)descriptor == AT_FDCWD) {
		buffer->vfsmount = (u64)READ(task, fs, pwd.mnt);
		buffer->dentry = (u64)READ(task, fs, pwd.dentry);
	} else {
		struct file *file = file_of(task, descriptor);
		buffer->vfsmount = (u64)PROBE(file, f_path.mnt);
		buffer->dentry = (u64)PROBE(file, f_path.dentry);
	}
	walk_path();
}

/* Appends a path of the caller and the directory that it counts from. Gives flags. */
static __always_inline u32 append_argument(union scratch *scratch, struct task_struct *task, struct tail *dir,
					   struct tail *path, u32 *position, u64 address, u64 descriptor)
{
	struct path_buffer *buffer = only_element(&path_buffers);
	if (!buffer)
		return FLAG_SUBJECT_UNREADABLE;
	u32 at = *position;
	u32 flags = append_user_string(scratch, path, position, address);
	if (at >= RECORD_LIMIT)
		return flags;
	bool absolute = path->length && scratch->record[at] == '/';
	walk_base(buffer, task, absolute, descriptor);
	if (append_path(scratch, dir, position, buffer))
		flags |= FLAG_SUBJECT_TRUNCATED;
	return flags;
}

#endif
