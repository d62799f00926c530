/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The exec event: everything about the new program that the kernel knows at that moment. */
#ifndef PODWARDEN_EXEC_BPF_H
#define PODWARDEN_EXEC_BPF_H

#include "append.bpf.h"
#include "process.bpf.h"

/* What the file system says of where a file's content comes from. */
static __always_inline u32 file_flags(struct file *file, u32 root_device)
{
	struct inode *inode = READ(file, f_inode);
	struct super_block *super = READ(inode, i_sb);
	u32 flags = 0;
	if (READ(inode, i_nlink) == 0)
		flags |= FLAG_DELETED;
	if (READ(super, s_dev) == root_device)
		flags |= FLAG_ROOT_FS;
	if (READ(super, s_magic) == OVERLAYFS_SUPER_MAGIC) {
		flags |= FLAG_OVERLAY;
		/* struct ovl_inode has the upper dentry right behind its struct inode, from 4.8 to today; the
		 * type itself may be in a module, out of CO-RE's reach. */
		struct dentry *upper = NULL;
		bpf_probe_read_kernel(&upper, sizeof(upper), (char *)inode + bpf_core_type_size(struct inode));
		if (upper)
			flags |= FLAG_OVERLAY_UPPER;
	}
	return flags;
}

/* The device at the root of the process's container: what the first program in it found there, or now finds. */
static __always_inline u32 root_device_of(struct task_struct *task, u64 owner, bool setup)
{
	u32 own = READ(task, fs, root.mnt, mnt_sb, s_dev);
	if (setup)
		return own;
	u32 *known = bpf_map_lookup_elem(&root_devices, &owner);
	if (known)
		return *known;
	bpf_map_update_elem(&root_devices, &owner, &own, BPF_NOEXIST);
	return own;
}

/* Goes on with a hash over bytes of the record. A global function: see walk_path. */
__noinline u64 hash_bytes(u64 hash, u32 from, u32 length)
{
	union scratch *scratch = only_element(&scratches);
	if (!scratch)
		return hash;
	for (u32 at = 0; at < HASHED_ARGS; at += 8) {
		if (at >= length)
			break;
		u64 word = *(u64 *)&scratch->record[(from + at) & (sizeof(scratch->record) / 2 - 1)];
		/* What stands behind the last byte is of no matter. */
		u32 left = length - at;
		hash = mix(hash, left < 8 ? word << (8 * (8 - left)) : word);
	}
	return hash;
}

/* The hash of what is executed here: whether it is worth a wake-up. */
static __always_inline u64 hash_of(struct exec_event *event, u64 owner)
{
	u64 hash = mix(mix(owner, event->inode), (u64)event->device << 32 | event->euid);
	hash = mix(hash, event->args_length << 32 | event->flags);
	return hash_bytes(hash, event->args.offset, event->args.length);
}

static __always_inline bool is_memfd(struct file *file, u32 flags)
{
	char name[8] = {};
	if (!(flags & FLAG_DELETED) || !(flags & FLAG_DETACHED))
		return false;
	bpf_probe_read_kernel(name, 6, READ(file, f_path.dentry, d_name.name));
	return name[0] == 'm' && name[1] == 'e' && name[2] == 'm' && name[3] == 'f' && name[4] == 'd' &&
	       name[5] == ':';
}

static __always_inline void append_args(union scratch *scratch, struct exec_event *event, u32 *position,
					struct task_struct *task)
{
	u64 start = READ(task, mm, arg_start);
	u64 end = READ(task, mm, arg_end);
	u32 at = *position;
	event->args.offset = at;
	event->args.length = 0;
	event->args_length = end > start ? end - start : 0;
	if (at >= RECORD_LIMIT || !event->args_length)
		return;
	u32 length = MAX_ARGS;
	if (event->args_length < MAX_ARGS)
		length = event->args_length & (MAX_ARGS - 1);
	else if (event->args_length > MAX_ARGS)
		event->flags |= FLAG_ARGS_TRUNCATED;
	if (bpf_probe_read_user(&scratch->record[at], length, (void *)start)) {
		event->flags |= FLAG_ARGS_UNREADABLE;
		count_trouble(TROUBLE_ARGS_UNREADABLE);
		return;
	}
	event->args.length = length;
	*position = at + length;
}

static __always_inline int handle_exec(struct task_struct *task, struct linux_binprm *bprm)
{
	struct task_struct *leader = READ(task, group_leader);
	u64 own = cgroup_of(task);
	u64 cgroup = counts_for(leader, own);
	if (!cgroup)
		return 0;
	union scratch *scratch = only_element(&scratches);
	struct path_buffer *buffer = only_element(&path_buffers);
	struct process *process = process_of(leader, cgroup);
	/* No room in the table: what was just put together of the process is still there. */
	if (!process)
		process = only_element(&process_buffers);
	if (!scratch || !buffer || !process)
		return 0;
	struct exec_event *event = (struct exec_event *)scratch->record;
	u32 position = sizeof(*event);

	begin_record(&event->header, EVENT_EXEC, cgroup);
	struct file *file = READ(bprm, file);
	event->mount_namespace = mount_namespace_of(task);
	bool setup = false;
	if (process->flags & PROCESS_RUNTIME) {
		if (process->outer_mount_namespace == event->mount_namespace)
			setup = true;
		else
			process->flags &= ~PROCESS_RUNTIME;
	}
	u64 owner = owner_of(cgroup);
	event->flags = file_flags(file, root_device_of(task, owner, setup));
	if (cgroup != own)
		event->flags |= FLAG_ESCAPED;
	if (setup)
		event->flags |= FLAG_SETUP;
	walk_file(buffer, file, task);
	if (buffer->detached)
		event->flags |= FLAG_DETACHED;
	if (is_memfd(file, event->flags)) {
		event->flags |= FLAG_MEMFD;
		/* It is nowhere, and its name says so already. */
		buffer->detached = 0;
	}
	if (append_path(scratch, &event->exe, &position, buffer))
		event->flags |= FLAG_EXE_TRUNCATED;

	store_exe(process, buffer);
	if (process->flags & PROCESS_PARENT_RUNTIME)
		event->flags |= FLAG_PARENT_RUNTIME;
	if (process->flags & PROCESS_PARENT_INFERRED)
		event->flags |= FLAG_PARENT_INFERRED;
	if (process->flags & PROCESS_PARENT_TRUNCATED)
		event->flags |= FLAG_PARENT_TRUNCATED;
	if (process->flags & PROCESS_PARENT_DETACHED)
		event->flags |= FLAG_PARENT_DETACHED;
	event->start = process->start;
	event->parent_pid = process->parent_pid;
	event->parent_start = process->parent_start;
	if (!append_stored(scratch, &event->parent_exe, &position, process->parent_exe, process->parent_length,
			   process->parent_exe_id))
		event->flags |= FLAG_PARENT_TRUNCATED;

	const char *filename = READ(bprm, filename);
	const char *interp = READ(bprm, interp);
	if (append_string(scratch, &event->filename, &position, filename))
		event->flags |= FLAG_NAME_TRUNCATED;
	event->interp.offset = position;
	event->interp.length = 0;
	if (interp != filename) {
		event->flags |= FLAG_SCRIPT;
		if (append_string(scratch, &event->interp, &position, interp))
			event->flags |= FLAG_NAME_TRUNCATED;
	}
	append_args(scratch, event, &position, task);
	event->args_count = READ(bprm, argc);

	walk_cwd(buffer, task);
	if (append_path(scratch, &event->cwd, &position, buffer))
		event->flags |= FLAG_CWD_TRUNCATED;

	struct inode *inode = READ(file, f_inode);
	event->inode = READ(inode, i_ino);
	event->size = READ(inode, i_size);
	event->device = READ(inode, i_sb, s_dev);
	const struct cred *cred = READ(task, cred);
	event->uid = READ(cred, uid.val);
	event->gid = READ(cred, gid.val);
	event->euid = READ(cred, euid.val);
	/* By the member alone: what is in a kernel_cap_t changed with 6.3, its eight bytes did not. */
	bpf_core_read(&event->effective_caps, sizeof(u64), &cred->cap_effective);
	bpf_core_read(&event->permitted_caps, sizeof(u64), &cred->cap_permitted);
	event->pid = READ(leader, tgid);
	event->container_pid = innermost_pid(leader, &event->pid_namespace);
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	event->padding = 0;
	bool urgent = is_new(hash_of(event, owner));
	submit_record(event, position & (sizeof(scratch->record) - 1), urgent);
	return 0;
}

#endif
