/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The path of a kernel object, walked from dentry to dentry and across mounts up to the root of the mount
 * namespace. A chroot inside the container therefore changes nothing, and user memory has no say. */
#ifndef PODWARDEN_PATH_BPF_H
#define PODWARDEN_PATH_BPF_H

#include "maps.bpf.h"
#include <bpf/bpf_core_read.h>

/* Names and mount crossings that are followed; the verifier of 5.10 has to go through all of them. */
#define MAX_STEPS 128

static __always_inline struct mount *mount_of(struct vfsmount *mnt)
{
	return (struct mount *)((char *)mnt - bpf_core_field_offset(struct mount, mnt));
}

/* Leaves the path of a dentry in this CPU's path buffer.
 *
 * A global function, so that the verifier goes through it once and not once for each caller; its arguments are
 * kernel addresses. The offset lives in memory, not in a register: so the verifier sees that both ways
 * through the loop lead to the same state, and stays far below its limit. */
__noinline int walk_path(u64 vfsmount_address, u64 dentry_address)
{
	struct path_buffer *buffer = only_element(&path_buffers);
	if (!buffer)
		return 0;
	struct dentry *dentry = (struct dentry *)dentry_address;
	struct mount *mount = mount_of((struct vfsmount *)vfsmount_address);
	struct dentry *top = BPF_CORE_READ(mount, mnt.mnt_root);
	buffer->offset = MAX_PATH;
	buffer->truncated = 1;

	for (int step = 0; step < MAX_STEPS; step++) {
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
		if (dentry == top || dentry == parent) {
			struct mount *outer = BPF_CORE_READ(mount, mnt_parent);
			if (dentry != top || outer == mount) {
				buffer->truncated = 0;
				break;
			}
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = outer;
			top = BPF_CORE_READ(mount, mnt.mnt_root);
			continue;
		}
		u32 length = BPF_CORE_READ(dentry, d_name.len);
		u32 offset = buffer->offset;
		if (length >= MAX_NAME || offset > MAX_PATH || length + 1 > offset)
			break;
		/* Within bounds already; the mask shows it to the verifier. */
		offset = (offset - length - 1) & (MAX_PATH - 1);
		buffer->text[offset] = '/';
		bpf_probe_read_kernel(&buffer->text[offset + 1], length & (MAX_NAME - 1),
				      BPF_CORE_READ(dentry, d_name.name));
		buffer->offset = offset;
		dentry = parent;
	}
	/* None, or an error value for the kernel's own mounts, on which memfds lie. */
	u64 namespace = (u64)BPF_CORE_READ(mount, mnt_ns);
	buffer->detached = namespace == 0 || namespace >= (u64)-4095;
	if (buffer->offset == MAX_PATH && !buffer->truncated) {
		buffer->offset = MAX_PATH - 1;
		buffer->text[MAX_PATH - 1] = '/';
	}
	return 0;
}

/* The same of a file. One that has no place in any directory tree, as a memfd has, goes by its own name. */
static __always_inline void walk_file(struct path_buffer *buffer, struct file *file)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	walk_path((u64)BPF_CORE_READ(file, f_path.mnt), (u64)dentry);
	if (buffer->offset != MAX_PATH - 1 || !buffer->detached)
		return;
	u32 length = BPF_CORE_READ(dentry, d_name.len);
	if (length == 0 || length >= MAX_NAME)
		return;
	u32 at = (MAX_PATH - 1 - length) & (MAX_PATH - 1);
	bpf_probe_read_kernel(&buffer->text[at + 1], length & (MAX_NAME - 1),
			      BPF_CORE_READ(dentry, d_name.name));
	buffer->text[at] = '/';
	buffer->offset = at;
}

/* How long the path in the buffer is, at most MAX_PATH. */
static __always_inline u32 path_length(struct path_buffer *buffer)
{
	u32 offset = buffer->offset;
	return offset <= MAX_PATH ? MAX_PATH - offset : 0;
}

#endif
