// SPDX-License-Identifier: GPL-2.0
/* /sys/kernel/debug/eswitch/esN: limits and faults. README.md says what each does. */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include "eswitch.h"

static struct dentry *root;

static const char *key_name(unsigned int bit)
{
	return bit < esw_n_key_rows ? esw_key_rows[bit].name : NULL;
}

static const char *action_name(unsigned int bit)
{
	return bit < NUM_FLOW_ACTIONS ? esw_action_rows[bit].name : NULL;
}

static int show_names(struct seq_file *file, u64 set, const char *(*name)(unsigned int bit))
{
	unsigned int bit;

	for (bit = 0; bit < 64; bit++)
		if (set & BIT_ULL(bit))
			seq_printf(file, "%s\n", name(bit));
	return 0;
}

/* Words in, a set out; no word is the empty set. */
static int parse_names(char *text, u64 *set, const char *(*name)(unsigned int bit))
{
	unsigned int bit;
	char *word;

	*set = 0;
	while ((word = strsep(&text, " \n"))) {
		if (!*word)
			continue;
		for (bit = 0; bit < 64; bit++)
			if (name(bit) && !strcmp(name(bit), word))
				break;
		if (bit == 64)
			return -EINVAL;
		*set |= BIT_ULL(bit);
	}
	return 0;
}

static int write_names(const char __user *from, size_t size, u64 *set, const char *(*name)(unsigned int bit))
{
	u64 parsed;
	char *text;
	int err;

	if (size > 1024)
		return -E2BIG;
	text = memdup_user_nul(from, size);
	if (IS_ERR(text))
		return PTR_ERR(text);
	err = parse_names(text, &parsed, name);
	kfree(text);
	if (!err)
		WRITE_ONCE(*set, parsed);
	return err;
}

static struct esw *esw_of(struct file *file)
{
	return ((struct seq_file *)file->private_data)->private;
}

static int refuse_keys_show(struct seq_file *file, void *unused)
{
	return show_names(file, ((struct esw *)file->private)->faults.refuse_keys, key_name);
}

static ssize_t refuse_keys_write(struct file *file, const char __user *from, size_t size, loff_t *at)
{
	return write_names(from, size, &esw_of(file)->faults.refuse_keys, key_name) ?: size;
}

static int refuse_keys_open(struct inode *inode, struct file *file)
{
	return single_open(file, refuse_keys_show, inode->i_private);
}

static const struct file_operations refuse_keys_fops = {
	.owner = THIS_MODULE,
	.open = refuse_keys_open,
	.read = seq_read,
	.write = refuse_keys_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static int refuse_actions_show(struct seq_file *file, void *unused)
{
	return show_names(file, ((struct esw *)file->private)->faults.refuse_actions, action_name);
}

static ssize_t refuse_actions_write(struct file *file, const char __user *from, size_t size, loff_t *at)
{
	return write_names(from, size, &esw_of(file)->faults.refuse_actions, action_name) ?: size;
}

static int refuse_actions_open(struct inode *inode, struct file *file)
{
	return single_open(file, refuse_actions_show, inode->i_private);
}

static const struct file_operations refuse_actions_fops = {
	.owner = THIS_MODULE,
	.open = refuse_actions_open,
	.read = seq_read,
	.write = refuse_actions_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static int stats_delay_get(void *data, u64 *value)
{
	*value = ((struct esw *)data)->faults.stats_delay_ms;
	return 0;
}

static int stats_delay_set(void *data, u64 value)
{
	struct esw *esw = data;

	if (value > 3600 * MSEC_PER_SEC)
		return -ERANGE;
	WRITE_ONCE(esw->faults.stats_delay_ms, value);
	mod_delayed_work(system_wq, &esw->sampling, msecs_to_jiffies(value));
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(stats_delay_fops, stats_delay_get, stats_delay_set, "%llu\n");

static int evict_set(void *data, u64 value)
{
	esw_table_evict(data, min_t(u64, value, UINT_MAX));
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(evict_fops, NULL, evict_set, "%llu\n");

static ssize_t remove_port_write(struct file *file, const char __user *from, size_t size, loff_t *at)
{
	struct esw *esw = file->private_data;
	unsigned int vf;
	char name[16] = "";
	int err;

	if (size >= sizeof(name))
		return -EINVAL;
	if (copy_from_user(name, from, size))
		return -EFAULT;
	if (!strcmp(strim(name), "p0"))
		err = esw_remove_port(esw, 0);
	else if (sscanf(name, "pf0vf%u", &vf) == 1 && vf < ESW_MAX_VFS)
		err = esw_remove_port(esw, 1 + vf);
	else
		err = -EINVAL;
	return err ?: size;
}

static const struct file_operations remove_port_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = remove_port_write,
};

void esw_faults_init(struct esw *esw)
{
	struct esw_faults *faults = &esw->faults;
	char name[16];

	snprintf(name, sizeof(name), "es%u", esw->id);
	esw->dir = debugfs_create_dir(name, root);
	debugfs_create_u32("capacity", 0600, esw->dir, &faults->capacity);
	debugfs_create_u32("used", 0400, esw->dir, &esw->used);
	debugfs_create_u32("latency_us", 0600, esw->dir, &faults->latency_us);
	debugfs_create_bool("serial", 0600, esw->dir, &faults->serial);
	debugfs_create_bool("no_last_used", 0600, esw->dir, &faults->no_last_used);
	debugfs_create_file_unsafe("stats_delay_ms", 0600, esw->dir, esw, &stats_delay_fops);
	debugfs_create_file_unsafe("evict", 0200, esw->dir, esw, &evict_fops);
	debugfs_create_file("refuse_keys", 0600, esw->dir, esw, &refuse_keys_fops);
	debugfs_create_file("refuse_actions", 0600, esw->dir, esw, &refuse_actions_fops);
	debugfs_create_file("remove_port", 0200, esw->dir, esw, &remove_port_fops);
}

void esw_faults_root_init(void)
{
	root = debugfs_create_dir(KBUILD_MODNAME, NULL);
}

void esw_faults_root_destroy(void)
{
	debugfs_remove(root);
}
