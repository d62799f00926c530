/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The path of a kernel object, walked from dentry to dentry and across mounts up to the root of the mount
 * namespace. A chroot inside the container therefore changes nothing, and user memory has no say. */
#ifndef PODWARDEN_PATH_BPF_H
#define PODWARDEN_PATH_BPF_H

#include "maps.bpf.h"
#include "read.bpf.h"

/* Names and mount crossings that are followed; the verifier of 5.10 has to go through all of them. */
#define MAX_STEPS 128

static __always_inline struct mount *mount_of(struct vfsmount *mnt)
{
	return (struct mount *)((char *)mnt - bpf_core_field_offset(struct mount, mnt));
}

/* What a step needs of a dentry. */
struct entry {
	struct dentry *parent;
	const unsigned char *name;
	u32 length;
};

static __always_inline void read_entry(struct entry *entry, struct dentry *dentry)
{
	/* They stand side by side in every kernel so far: parent, hash and length in one word, name. */
	u32 first = bpf_core_field_offset(struct dentry, d_parent);
	if (bpf_core_field_offset(struct dentry, d_name.len) == first + 12 &&
	    bpf_core_field_offset(struct dentry, d_name.name) == first + 16) {
		struct {
			struct dentry *parent;
			u32 hash, length;
			const unsigned char *name;
		} part = {};
		bpf_probe_read_kernel(&part, sizeof(part), (char *)dentry + first);
		entry->parent = part.parent;
		entry->name = part.name;
		entry->length = part.length;
	} else {
		entry->parent = PROBE(dentry, d_parent);
		entry->name = PROBE(dentry, d_name.name);
		entry->length = PROBE(dentry, d_name.len);
	}
}

/* Leaves the path of the dentry that a caller has put there in this CPU's path buffer.
 *
 * A global function, so that the verifier goes through it once and not once for each caller; it finds the
 * addresses to start from in the buffer, because a global function takes only plain numbers. The offset lives
 * in memory, not in a register: so the verifier sees that both ways through the loop lead to the same state,
 * and stays far below its limit. */
__noinline int walk_path(void)
{
	struct path_buffer *buffer = only_element(&path_buffers);
	if (!buffer)
		return 0;
	struct dentry *dentry = (struct dentry *)buffer->dentry;
	struct mount *mount = mount_of((struct vfsmount *)buffer->vfsmount);
	struct entry entry;
	struct dentry *top = PROBE(mount, mnt.mnt_root);
	buffer->offset = MAX_PATH;
	buffer->truncated = 1;

	for (int step = 0; step < MAX_STEPS; step++) {
		read_entry(&entry, dentry);
		if (dentry == top || dentry == entry.parent) {
			struct mount *outer = PROBE(mount, mnt_parent);
			if (dentry != top || outer == mount) {
				buffer->truncated = 0;
				break;
			}
			dentry = PROBE(mount, mnt_mountpoint);
			mount = outer;
			top = PROBE(mount, mnt.mnt_root);
			continue;
		}
		u32 length = entry.length;
		u32 offset = buffer->offset;
		if (length >= MAX_NAME || offset > MAX_PATH || length + 1 > offset)
			break;
		/* Within bounds already; the mask shows it to the verifier. */
		offset = (offset - length - 1) & (MAX_PATH - 1);
		buffer->text[offset] = '/';
		bpf_probe_read_kernel(&buffer->text[offset + 1], length & (MAX_NAME - 1), entry.name);
		buffer->offset = offset;
		dentry = entry.parent;
	}
	/* Mounts that were never attached, the kernel's own (on which memfds lie), and those of other mount
	 * namespaces, anonymous ones among them: none of these paths is one of the process's. */
	buffer->detached = (u64)PROBE(mount, mnt_ns) != buffer->namespace;
	if (buffer->offset == MAX_PATH && !buffer->truncated) {
		buffer->offset = MAX_PATH - 1;
		buffer->text[MAX_PATH - 1] = '/';
	}
	return 0;
}

/* The path of a task's working directory. */
static __always_inline void walk_cwd(struct path_buffer *buffer, struct task_struct *task)
{
	buffer->vfsmount = (u64)READ(task, fs, pwd.mnt);
	buffer->dentry = (u64)READ(task, fs, pwd.dentry);
	buffer->namespace = (u64)READ(task, nsproxy, mnt_ns);
	walk_path();
}

/* What has no place in any directory tree, as a memfd has none, goes by its own name. */
static __always_inline void name_unplaced(struct path_buffer *buffer)
{
	if (buffer->offset != MAX_PATH - 1 || !buffer->detached)
		return;
	struct entry entry;
	read_entry(&entry, (struct dentry *)buffer->dentry);
	u32 length = entry.length;
	if (length == 0 || length >= MAX_NAME)
		return;
	u32 at = (MAX_PATH - 1 - length) & (MAX_PATH - 1);
	bpf_probe_read_kernel(&buffer->text[at + 1], length & (MAX_NAME - 1), entry.name);
	buffer->text[at] = '/';
	buffer->offset = at;
}

/* The path of a file. */
static __always_inline void walk_file(struct path_buffer *buffer, struct file *file, struct task_struct *task)
{
	buffer->vfsmount = (u64)READ(file, f_path.mnt);
	buffer->dentry = (u64)READ(file, f_path.dentry);
	buffer->namespace = (u64)READ(task, nsproxy, mnt_ns);
	walk_path();
	name_unplaced(buffer);
}

/* How long the path in the buffer is, at most MAX_PATH. */
static __always_inline u32 path_length(struct path_buffer *buffer)
{
	u32 offset = buffer->offset;
	return offset <= MAX_PATH ? MAX_PATH - offset : 0;
}

#endif
