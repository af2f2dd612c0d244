// SPDX-License-Identifier: GPL-2.0
/*
 * Where rules are kept: one hash table of what they match, one of TC's cookies, and per port a list of masks in the
 * order packets try them. Whoever changes anything holds table_lock; packets look under RCU.
 */
#include <linux/slab.h>
#include "eswitch.h"

static const struct rhashtable_params by_match = {
	.key_offset = offsetof(struct esw_rule, match),
	.key_len = sizeof_field(struct esw_rule, match),
	.head_offset = offsetof(struct esw_rule, by_match),
	.automatic_shrinking = true,
};

static const struct rhashtable_params by_id = {
	.key_offset = offsetof(struct esw_rule, id),
	.key_len = sizeof_field(struct esw_rule, id),
	.head_offset = offsetof(struct esw_rule, by_id),
	.automatic_shrinking = true,
};

static void and_keys(struct esw_key *to, const struct esw_key *key, const struct esw_key *bits)
{
	unsigned long *out = (unsigned long *)to;
	const unsigned long *a = (const unsigned long *)key, *b = (const unsigned long *)bits;
	unsigned int i;

	for (i = 0; i < sizeof(*to) / sizeof(*out); i++)
		out[i] = a[i] & b[i];
}

/* The rule a packet hits in a chain: the one of the lowest priority number. */
struct esw_rule *esw_table_lookup(struct esw_port *port, const struct esw_key *key, u32 chain)
{
	struct esw_match match;
	struct esw_mask *mask;
	struct esw_rule *rule;

	list_for_each_entry_rcu(mask, &port->masks, list) {
		if (mask->chain != chain)
			continue;
		match.mask = mask;
		and_keys(&match.key, key, &mask->bits);
		rule = rhashtable_lookup(&port->esw->matches, &match, by_match);
		if (rule)
			return rule;
	}
	return NULL;
}

static struct esw_rule *find(struct esw_port *port, unsigned long cookie)
{
	typeof(((struct esw_rule *)0)->id) id = { .port = port, .cookie = cookie };

	return rhashtable_lookup_fast(&port->esw->ids, &id, by_id);
}

static struct esw_mask *mask_get(struct esw_port *port, const struct esw_key *bits, u32 chain, u32 prio)
{
	struct esw_mask *mask, *made;
	struct list_head *next = &port->masks;

	list_for_each_entry(mask, &port->masks, list) {
		if (mask->chain == chain && mask->prio == prio && !memcmp(&mask->bits, bits, sizeof(*bits))) {
			mask->rules++;
			return mask;
		}
		if (mask->chain > chain || (mask->chain == chain && mask->prio > prio)) {
			next = &mask->list;
			break;
		}
	}
	made = kzalloc(sizeof(*made), GFP_KERNEL);
	if (!made)
		return NULL;
	made->chain = chain;
	made->prio = prio;
	made->bits = *bits;
	made->rules = 1;
	list_add_tail_rcu(&made->list, next);
	return made;
}

static void mask_put(struct esw_mask *mask)
{
	if (--mask->rules)
		return;
	list_del_rcu(&mask->list);
	kfree_rcu(mask, rcu);
}

static void out_of_hardware(struct esw *esw, struct esw_rule *rule)
{
	rhashtable_remove_fast(&esw->matches, &rule->by_match, by_match);
	mask_put(rule->match.mask);
	esw->used--;
}

int esw_table_insert(struct esw *esw, struct esw_rule *rule, const struct esw_key *bits, u32 chain, u32 prio,
		     struct netlink_ext_ack *extack)
{
	struct esw_port *port = rule->id.port;
	int err;

	mutex_lock(&esw->table_lock);
	if (esw->used >= READ_ONCE(esw->faults.capacity)) {
		NL_SET_ERR_MSG_MOD(extack, "the table is full");
		err = -ENOSPC;
		goto unlock;
	}
	rule->match.mask = mask_get(port, bits, chain, prio);
	if (!rule->match.mask) {
		err = -ENOMEM;
		goto unlock;
	}
	and_keys(&rule->match.key, &rule->match.key, bits);
	err = rhashtable_lookup_insert_fast(&esw->ids, &rule->by_id, by_id);
	if (err)
		goto put_mask;
	/* Not 'lookup_insert': a rule and the one that replaces it match the same for a moment. */
	err = rhashtable_insert_fast(&esw->matches, &rule->by_match, by_match);
	if (err)
		goto remove_id;
	list_add_tail(&rule->list, &esw->rules);
	esw->used++;
	mutex_unlock(&esw->table_lock);
	return 0;

remove_id:
	rhashtable_remove_fast(&esw->ids, &rule->by_id, by_id);
put_mask:
	mask_put(rule->match.mask);
unlock:
	mutex_unlock(&esw->table_lock);
	return err;
}

/* TC also takes back what was refused: a cookie nobody knows is no error. */
void esw_table_remove(struct esw_port *port, unsigned long cookie)
{
	struct esw *esw = port->esw;
	struct esw_rule *rule;

	mutex_lock(&esw->table_lock);
	rule = find(port, cookie);
	if (rule) {
		if (!rule->evicted)
			out_of_hardware(esw, rule);
		rhashtable_remove_fast(&esw->ids, &rule->by_id, by_id);
		list_del(&rule->list);
		kfree_rcu(rule, rcu);
	}
	mutex_unlock(&esw->table_lock);
}

/* The oldest rules go, and nobody is told: TC goes on saying in_hw. */
void esw_table_evict(struct esw *esw, unsigned int count)
{
	struct esw_rule *rule;

	mutex_lock(&esw->table_lock);
	list_for_each_entry(rule, &esw->rules, list) {
		if (!count)
			break;
		if (rule->evicted)
			continue;
		rule->evicted = true;
		out_of_hardware(esw, rule);
		count--;
	}
	mutex_unlock(&esw->table_lock);
}

bool esw_table_has_rules(struct esw_port *port)
{
	struct esw_rule *rule;
	bool has = false;

	mutex_lock(&port->esw->table_lock);
	list_for_each_entry(rule, &port->esw->rules, list) {
		has = rule->id.port == port;
		if (has)
			break;
	}
	mutex_unlock(&port->esw->table_lock);
	return has;
}

static void sample(struct esw_rule *rule)
{
	rule->sampled.packets = atomic64_read(&rule->packets);
	rule->sampled.bytes = atomic64_read(&rule->bytes);
	rule->sampled.used = READ_ONCE(rule->used);
}

static void sample_all(struct work_struct *work)
{
	struct esw *esw = container_of(to_delayed_work(work), struct esw, sampling);
	u32 delay_ms = READ_ONCE(esw->faults.stats_delay_ms);
	struct esw_rule *rule;

	mutex_lock(&esw->table_lock);
	list_for_each_entry(rule, &esw->rules, list)
		sample(rule);
	mutex_unlock(&esw->table_lock);
	if (delay_ms)
		schedule_delayed_work(&esw->sampling, msecs_to_jiffies(delay_ms));
}

/* TC wants what was added since it asked last. */
int esw_table_stats(struct esw_port *port, struct flow_cls_offload *cls)
{
	struct esw *esw = port->esw;
	bool delayed = READ_ONCE(esw->faults.stats_delay_ms);
	struct esw_rule *rule;
	int err = -ENOENT;

	mutex_lock(&esw->table_lock);
	rule = find(port, cls->cookie);
	if (rule) {
		if (!delayed)
			sample(rule);
		flow_stats_update(&cls->stats, rule->sampled.bytes - rule->told.bytes,
				  rule->sampled.packets - rule->told.packets, 0,
				  READ_ONCE(esw->faults.no_last_used) ? 0 : rule->sampled.used,
				  delayed ? FLOW_ACTION_HW_STATS_DELAYED : FLOW_ACTION_HW_STATS_IMMEDIATE);
		rule->told = rule->sampled;
		err = 0;
	}
	mutex_unlock(&esw->table_lock);
	return err;
}

int esw_table_init(struct esw *esw)
{
	int err;

	mutex_init(&esw->table_lock);
	mutex_init(&esw->serial_lock);
	INIT_LIST_HEAD(&esw->rules);
	INIT_DELAYED_WORK(&esw->sampling, sample_all);
	err = rhashtable_init(&esw->matches, &by_match);
	if (err)
		return err;
	err = rhashtable_init(&esw->ids, &by_id);
	if (err)
		rhashtable_destroy(&esw->matches);
	return err;
}

/* Representors that go take their rules with them, so there are none left. */
void esw_table_destroy(struct esw *esw)
{
	WARN_ON(!list_empty(&esw->rules));
	cancel_delayed_work_sync(&esw->sampling);
	rhashtable_destroy(&esw->matches);
	rhashtable_destroy(&esw->ids);
	mutex_destroy(&esw->serial_lock);
	mutex_destroy(&esw->table_lock);
}
