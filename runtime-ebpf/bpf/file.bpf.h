/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What is done to files. */
#ifndef PODWARDEN_FILE_BPF_H
#define PODWARDEN_FILE_BPF_H

#include "activity.bpf.h"
#include "filter.bpf.h"

/* Flags of open, which are the same on x86-64 and arm64 as far as they are used here; `O_PATH` too. */
#define O_ACCMODE 03
#define O_CREAT 0100
#define O_TRUNC 01000
#define O_PATH 010000000
/* Of file.f_mode: since 4.19. */
#define FMODE_CREATED 0x100000

struct open_how {
	u64 flags;
	u64 mode;
};

static __always_inline void describe_inode(struct file_event *event, struct file *file)
{
	struct inode *inode = PROBE(file, f_inode);
	event->inode = PROBE(inode, i_ino);
	event->device = PROBE(inode, i_sb, s_dev);
	if (PROBE(inode, i_nlink) == 0)
		event->actor.flags |= FLAG_DELETED;
}

static __always_inline void clear_file(struct file_event *event)
{
	__builtin_memset(&event->inode, 0, sizeof(*event) - __builtin_offsetof(struct file_event, inode));
}

/* Appends the path of a file that is open. */
static __always_inline void append_file(union scratch *scratch, struct file_event *event, u32 *position,
					struct path_buffer *buffer, struct file *file, struct task_struct *task,
					bool walked)
{
	event->actor.flags |= FLAG_SUBJECT_KERNEL;
	describe_inode(event, file);
	if (!walked || buffer->detached) {
		buffer->vfsmount = (u64)PROBE(file, f_path.mnt);
		buffer->dentry = (u64)PROBE(file, f_path.dentry);
		buffer->namespace = (u64)READ(task, nsproxy, mnt_ns);
		walk_path();
		name_unplaced(buffer);
	}
	if (buffer->detached)
		event->actor.flags |= FLAG_DETACHED;
	if (append_path(scratch, &event->path, position, buffer))
		event->actor.flags |= FLAG_SUBJECT_TRUNCATED;
}

/* The sets that a path of the caller is in, by its text: all that it may be in where the text does not tell. A global
 * function, so that the verifier goes through it once. */
__noinline u32 sets_of_argument(u64 address, u64 descriptor)
{
	struct filter *filter = only_element(&filters);
	struct key_buffer *keys = only_element(&path_keys);
	struct path_buffer *buffer = only_element(&path_buffers);
	if (!filter || !keys || !buffer)
		return 0;
	if (!address || filter->all == filter->any)
		return filter->any;
	char first = 0;
	bpf_probe_read_user(&first, 1, (void *)address);
	walk_base(buffer, CURRENT_TASK(), first == '/', descriptor);
	u32 base = path_length(buffer);
	/* The root's own path is a slash that the argument brings along. */
	if (base == 1)
		base = 0;
	if (buffer->truncated || base >= FILTER_PATH - 1)
		return filter->any;
	base = BOUNDED(base, FILTER_PATH - 1);
	u8 *text = keys->key.text;
	bpf_probe_read_kernel(text, base, &buffer->text[buffer->offset & (MAX_PATH - 1)]);
	text[base] = '/';
	u32 at = first == '/' ? base : base + 1;
	long length = bpf_probe_read_user_str(&text[at & (FILTER_PATH - 1)], FILTER_PATH, (void *)address);
	if (length <= 0)
		return filter->any;
	/* Without the NUL. As a long: an unsigned -1 would be many. */
	length += (long)at - 1;
	/* A text that is not the plain path: symbolic links apart, which only the kernel follows. */
	u8 before = 0;
	for (u32 i = 0; i < FILTER_PATH; i++) {
		if (i >= length)
			break;
		u8 c = text[i];
		if (before == '/' && (c == '/' || c == '.'))
			return filter->any;
		before = c;
	}
	/* Its end is not looked up: it may be any of those that there are. */
	return filter->all | filter->suffixes | look_up_sets(&prefixes, &keys->key, length);
}

static __always_inline int handle_open(void)
{
	struct call_state *state = only_element(&call_states);
	struct filter *filter = only_element(&filters);
	struct path_buffer *buffer = only_element(&path_buffers);
	if (!state || !filter || !buffer)
		return 0;
	struct task_struct *task = CURRENT_TASK();
	u64 flags = argument(state, state->call.first);
	u64 mode = argument(state, state->call.second);
	if (state->call.flags & CALL_POINTER) {
		struct open_how how = {};
		bpf_probe_read_user(&how, sizeof(how), (void *)flags);
		flags = how.flags;
		mode = how.mode;
	} else if (!state->call.first) {
		flags = O_CREAT | O_TRUNC | 1; /* creat */
	}
	struct file *file = state->result >= 0 ? file_of(task, state->result) : NULL;
	if (file && state->call.flags & CALL_POINTER)
		flags = PROBE(file, f_flags) | (flags & (O_CREAT | O_TRUNC));
	u32 sets = (flags & O_ACCMODE) == 0 || flags & O_PATH ? SET_READS : SET_WRITES;
	if (flags & (O_CREAT | O_TRUNC))
		sets = SET_READS | SET_WRITES;
	if (!(filter->any & sets))
		return 0;
	bool walked = false;
	u64 path = argument(state, state->call.path);
	u64 dir = state->call.dir ? argument(state, state->call.dir) : (u64)AT_FDCWD;
	u32 watched = file ? sets_of_file(filter, buffer, file, task, &walked) : sets_of_argument(path, dir);
	if (!(watched & sets))
		return 0;

	u32 position;
	union scratch *scratch = begin_activity(task, state, EVENT_FILE, sizeof(struct file_event), &position);
	if (!scratch)
		return 0;
	struct file_event *event = &scratch->file;
	clear_file(event);
	event->open_flags = flags;
	event->mode = mode;
	if (file) {
		if (PROBE(file, f_mode) & FMODE_CREATED)
			event->actor.flags |= FLAG_CREATED;
		append_file(scratch, event, &position, buffer, file, task, false);
		/* As it was written: for whoever asks how the file was come by. */
		append_user_string(scratch, &event->new_path, &position, path);
	} else {
		event->actor.flags |=
			append_argument(scratch, task, &event->dir, &event->path, &position, path, dir);
	}
	submit_activity(scratch, position, mix(event->inode, (u64)event->device << 32 | (u32)flags));
	return 0;
}

/* Calls that name one path or two. Nothing of the kernel's is left of them when they are over. */
static __always_inline int handle_paths(void)
{
	struct call_state *state = only_element(&call_states);
	struct filter *filter = only_element(&filters);
	if (!state || !filter || !(filter->any & SET_CHANGES))
		return 0;
	struct task_struct *task = CURRENT_TASK();
	struct call *call = &state->call;
	u64 path = argument(state, call->path), new_path = argument(state, call->new_path);
	u64 dir = call->dir ? argument(state, call->dir) : (u64)AT_FDCWD;
	u64 new_dir = call->new_dir ? argument(state, call->new_dir) : (u64)AT_FDCWD;
	u32 watched = sets_of_argument(path, dir);
	if (!(watched & SET_CHANGES) && call->new_path)
		watched = sets_of_argument(new_path, new_dir);
	if (!(watched & SET_CHANGES))
		return 0;

	u32 position;
	union scratch *scratch = begin_activity(task, state, EVENT_FILE, sizeof(struct file_event), &position);
	if (!scratch)
		return 0;
	struct file_event *event = &scratch->file;
	clear_file(event);
	event->mode = argument(state, call->first);
	event->uid = argument(state, call->first);
	event->gid = argument(state, call->second);
	event->actor.flags |=
		append_argument(scratch, task, &event->dir, &event->path, &position, path, dir);
	if (call->new_path)
		event->actor.flags |= append_argument(scratch, task, &event->new_dir, &event->new_path, &position,
						      new_path, new_dir);
	submit_activity(scratch, position, mix(event->path.length, event->mode));
	return 0;
}

static __always_inline int handle_descriptor(void)
{
	struct call_state *state = only_element(&call_states);
	struct filter *filter = only_element(&filters);
	struct path_buffer *buffer = only_element(&path_buffers);
	if (!state || !filter || !buffer || !(filter->any & SET_CHANGES))
		return 0;
	struct task_struct *task = CURRENT_TASK();
	struct file *file = file_of(task, argument(state, state->call.dir));
	if (!file)
		return 0;
	bool walked;
	if (!(sets_of_file(filter, buffer, file, task, &walked) & SET_CHANGES))
		return 0;
	u32 position;
	union scratch *scratch = begin_activity(task, state, EVENT_FILE, sizeof(struct file_event), &position);
	if (!scratch)
		return 0;
	struct file_event *event = &scratch->file;
	clear_file(event);
	event->mode = argument(state, state->call.first);
	event->uid = argument(state, state->call.first);
	event->gid = argument(state, state->call.second);
	append_file(scratch, event, &position, buffer, file, task, false);
	submit_activity(scratch, position, mix(event->inode, (u64)event->device << 32 | event->mode));
	return 0;
}

#endif
