/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Which files somebody wants to hear of. */
#ifndef PODWARDEN_FILTER_BPF_H
#define PODWARDEN_FILTER_BPF_H

#include "path.bpf.h"

/* The sets that the key's text is in. `length` is that of the whole text. */
static __always_inline u32 look_up_sets(void *trie, struct path_key *key, u32 length)
{
	key->bits = 8 * (length < FILTER_PATH ? length : FILTER_PATH);
	struct path_sets *sets = bpf_map_lookup_elem(trie, key);
	if (!sets)
		return 0;
	return sets->prefix | (sets->length == length ? sets->exact : 0);
}

#define SUFFIX_LENGTH 64

/* The sets that the path in the buffer is in. One whose head is missing may be in any. */
static __always_inline u32 sets_of_path(struct filter *filter, struct path_buffer *buffer)
{
	struct key_buffer *keys = only_element(&path_keys);
	u32 length = path_length(buffer);
	if (!keys || buffer->truncated)
		return filter->any;
	struct path_key *key = &keys->key;
	u32 known = length < FILTER_PATH ? length : FILTER_PATH;
	/* The buffer goes on behind the key. */
	bpf_probe_read_kernel(key->text, BOUNDED(known, 2 * FILTER_PATH - 1),
			      &buffer->text[buffer->offset & (MAX_PATH - 1)]);
	u32 sets = filter->all | look_up_sets(&prefixes, key, length);
	if (filter->suffixes) {
		for (u32 i = 0; i < SUFFIX_LENGTH; i++)
			key->text[i] = buffer->text[MAX_PATH - 1 - i];
		sets |= look_up_sets(&suffixes, key, length < SUFFIX_LENGTH ? length : SUFFIX_LENGTH);
	}
	return sets;
}

static __always_inline u32 sets_of_inode(u64 inode)
{
	struct inode *of = (struct inode *)inode;
	struct file_key key = { .inode = PROBE(of, i_ino), .device = PROBE(of, i_sb, s_dev) };
	u32 *sets = bpf_map_lookup_elem(&watched_files, &key);
	return sets ? *sets : 0;
}

/* What tells whether a dentry is still the same, in one read: parent, hash and length, name, inode stand side by side
 * in every kernel so far. */
struct dentry_part {
	u64 parent;
	u64 hash_length;
	u64 name;
	u64 inode;
};

static __always_inline void read_dentry(struct dentry_part *part, struct dentry *dentry)
{
	u32 first = bpf_core_field_offset(struct dentry, d_parent);
	if (bpf_core_field_offset(struct dentry, d_name.len) == first + 12 &&
	    bpf_core_field_offset(struct dentry, d_inode) == first + 24) {
		bpf_probe_read_kernel(part, sizeof(*part), (char *)dentry + first);
	} else {
		part->parent = (u64)PROBE(dentry, d_parent);
		part->hash_length = (u64)PROBE(dentry, d_name.len) << 32 | PROBE(dentry, d_name.hash);
		part->inode = (u64)PROBE(dentry, d_inode);
	}
}

/* The sets that a file is in: by its path, which is only walked when the answer is not known, and by what it is.
 * True in `walked` when the buffer holds its path. */
static __always_inline u32 sets_of_file(struct filter *filter, struct path_buffer *buffer, struct file *file,
					struct task_struct *task, bool *walked)
{
	*walked = false;
	struct path path = {};
	bpf_core_read(&path, sizeof(path), &file->f_path);
	struct dentry_part part = {};
	read_dentry(&part, path.dentry);
	u64 namespace = (u64)READ(task, nsproxy, mnt_ns);
	u32 slot = ((u64)path.dentry >> 6 ^ (u64)path.mnt >> 5 ^ (u64)path.dentry >> 17) & (KNOWN_PATHS - 1);
	struct known_path *known = bpf_map_lookup_elem(&known_paths, &slot);
	if (!known)
		return filter->any;
	u32 generation = *(volatile u32 *)&filter->generation;
	if (known->dentry == (u64)path.dentry && known->vfsmount == (u64)path.mnt && known->parent == part.parent &&
	    known->hash_length == part.hash_length && known->inode == part.inode &&
	    known->generation == generation && !filter->unseen_moves)
		return known->sets;
	buffer->vfsmount = (u64)path.mnt;
	buffer->dentry = (u64)path.dentry;
	buffer->namespace = namespace;
	walk_path();
	*walked = true;
	u32 sets = sets_of_path(filter, buffer) | sets_of_inode(part.inode);
	known->dentry = (u64)path.dentry;
	known->vfsmount = (u64)path.mnt;
	known->parent = part.parent;
	known->hash_length = part.hash_length;
	known->inode = part.inode;
	known->generation = generation;
	known->sets = sets;
	return sets;
}

#endif
