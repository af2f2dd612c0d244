// SPDX-License-Identifier: GPL-2.0
/* What TC's callbacks say, put into the e-switch's terms, or refused with a reason. */
#include <linux/delay.h>
#include <linux/slab.h>
#include <net/pkt_cls.h>
#include "eswitch.h"

#define KEY(key, member, text) { \
	.name = text, .id = FLOW_DISSECTOR_KEY_##key, .offset = offsetof(struct esw_key, member), \
	.size = sizeof_field(struct esw_key, member), .refusal = KBUILD_MODNAME ": cannot match on " text }
#define NO_KEY(key, text) { \
	.name = text, .id = FLOW_DISSECTOR_KEY_##key, .refusal = KBUILD_MODNAME ": cannot match on " text }

const struct esw_key_row esw_key_rows[] = {
	KEY(CONTROL, control, "control"),
	KEY(BASIC, basic, "basic"),
	KEY(ETH_ADDRS, eth, "eth"),
	KEY(VLAN, vlan, "vlan"),
	KEY(CVLAN, cvlan, "cvlan"),
	KEY(IPV4_ADDRS, ipv4, "ipv4"),
	KEY(IPV6_ADDRS, ipv6, "ipv6"),
	KEY(IP, ip, "ip"),
	KEY(PORTS, ports, "ports"),
	KEY(TCP, tcp, "tcp"),
	KEY(ICMP, icmp, "icmp"),
	KEY(ARP, arp, "arp"),
	KEY(MPLS, mpls, "mpls"),
	NO_KEY(META, "meta"),
	NO_KEY(CT, "ct"),
	NO_KEY(PORTS_RANGE, "ports_range"),
	NO_KEY(ENC_CONTROL, "enc"),
	NO_KEY(ENC_KEYID, "enc_key_id"),
	NO_KEY(ENC_IPV4_ADDRS, "enc_ipv4"),
	NO_KEY(ENC_IPV6_ADDRS, "enc_ipv6"),
	NO_KEY(ENC_PORTS, "enc_ports"),
	NO_KEY(ENC_IP, "enc_ip"),
	NO_KEY(ENC_OPTS, "enc_opts"),
};
const unsigned int esw_n_key_rows = ARRAY_SIZE(esw_key_rows);

#define ACTION(action, text) \
	[FLOW_ACTION_##action] = { .name = text, .refusal = KBUILD_MODNAME ": cannot carry out " text }

const struct esw_action_row esw_action_rows[NUM_FLOW_ACTIONS] = {
	ACTION(ACCEPT, "accept"),
	ACTION(DROP, "drop"),
	ACTION(TRAP, "trap"),
	ACTION(GOTO, "goto"),
	ACTION(REDIRECT, "redirect"),
	ACTION(MIRRED, "mirror"),
	ACTION(REDIRECT_INGRESS, "redirect_ingress"),
	ACTION(MIRRED_INGRESS, "mirror_ingress"),
	ACTION(VLAN_PUSH, "vlan_push"),
	ACTION(VLAN_POP, "vlan_pop"),
	ACTION(VLAN_MANGLE, "vlan_modify"),
	ACTION(TUNNEL_ENCAP, "tunnel_encap"),
	ACTION(TUNNEL_DECAP, "tunnel_decap"),
	ACTION(MANGLE, "mangle"),
	ACTION(ADD, "add"),
	ACTION(CSUM, "csum"),
	ACTION(MARK, "mark"),
	ACTION(PRIORITY, "priority"),
	ACTION(SAMPLE, "sample"),
	ACTION(POLICE, "police"),
	ACTION(CT, "ct"),
	ACTION(MPLS_PUSH, "mpls_push"),
	ACTION(MPLS_POP, "mpls_pop"),
	ACTION(MPLS_MANGLE, "mpls_modify"),
};

/* TC asks for no text where software will do: then there is nobody to tell. */
static int refuse(struct netlink_ext_ack *extack, const char *text)
{
	if (extack)
		extack->_msg = text;
	return -EOPNOTSUPP;
}

static const struct esw_key_row *key_row(enum flow_dissector_key_id id)
{
	unsigned int i;

	for (i = 0; i < esw_n_key_rows; i++)
		if (esw_key_rows[i].id == id)
			return &esw_key_rows[i];
	return NULL;
}

/* Flower keeps addresses of both families in one place, and then names both keys: the control key, parsed first, says which it is. */
static bool is_other_family(enum flow_dissector_key_id id, const struct esw_key *key)
{
	return (id == FLOW_DISSECTOR_KEY_IPV4_ADDRS || id == FLOW_DISSECTOR_KEY_IPV6_ADDRS) && id != key->control.addr_type;
}

static int parse_key(struct esw *esw, const struct flow_match *match, struct esw_key *key, struct esw_key *bits,
		     struct netlink_ext_ack *extack)
{
	u64 refused = READ_ONCE(esw->faults.refuse_keys);
	const struct esw_key_row *row;
	unsigned int id;

	for (id = 0; id < FLOW_DISSECTOR_KEY_MAX; id++) {
		if (!dissector_uses_key(match->dissector, id))
			continue;
		if (is_other_family(id, key))
			continue;
		row = key_row(id);
		if (!row)
			return refuse(extack, KBUILD_MODNAME ": cannot match on a key of this kind");
		if (!row->size || (refused & BIT_ULL(row - esw_key_rows)))
			return refuse(extack, row->refusal);
		memcpy((void *)key + row->offset, skb_flow_dissector_target(match->dissector, id, match->key), row->size);
		memcpy((void *)bits + row->offset, skb_flow_dissector_target(match->dissector, id, match->mask), row->size);
	}
	if (bits->control.flags & ~(FLOW_DIS_IS_FRAGMENT | FLOW_DIS_FIRST_FRAG))
		return refuse(extack, KBUILD_MODNAME ": cannot match on flags other than those of fragments");
	return 0;
}

static int parse_mangle(const struct flow_action_entry *entry, struct esw_act *act, struct netlink_ext_ack *extack)
{
	static const u32 sizes[] = {
		[FLOW_ACT_MANGLE_HDR_TYPE_ETH] = 12,
		[FLOW_ACT_MANGLE_HDR_TYPE_IP4] = 20,
		[FLOW_ACT_MANGLE_HDR_TYPE_IP6] = 40,
		[FLOW_ACT_MANGLE_HDR_TYPE_TCP] = 20,
		[FLOW_ACT_MANGLE_HDR_TYPE_UDP] = 8,
	};
	u32 base = entry->mangle.htype;

	if (base >= ARRAY_SIZE(sizes) || !sizes[base])
		return refuse(extack, KBUILD_MODNAME ": cannot rewrite a header of this kind");
	if (entry->mangle.offset % 4 || entry->mangle.offset >= sizes[base])
		return refuse(extack, KBUILD_MODNAME ": cannot rewrite what lies outside the header");
	act->mangle.base = base;
	act->mangle.offset = entry->mangle.offset;
	act->mangle.keep = entry->mangle.mask;
	act->mangle.value = entry->mangle.val;
	return 0;
}

static int parse_action(struct esw *esw, const struct flow_action_entry *entry, struct esw_act *act,
			struct netlink_ext_ack *extack)
{
	act->id = entry->id;
	if (entry->id >= NUM_FLOW_ACTIONS || !esw_action_rows[entry->id].name)
		return refuse(extack, KBUILD_MODNAME ": cannot carry out an action of this kind");
	if (READ_ONCE(esw->faults.refuse_actions) & BIT_ULL(entry->id))
		return refuse(extack, esw_action_rows[entry->id].refusal);
	switch (entry->id) {
	case FLOW_ACTION_DROP:
	case FLOW_ACTION_TRAP:
	case FLOW_ACTION_VLAN_POP:
		return 0;
	case FLOW_ACTION_GOTO:
		act->chain = entry->chain_index;
		return 0;
	case FLOW_ACTION_CSUM:
		act->csum = entry->csum_flags;
		return 0;
	case FLOW_ACTION_REDIRECT:
	case FLOW_ACTION_MIRRED:
		act->port = entry->dev ? esw_port_of_rep(entry->dev) : NULL;
		if (!act->port || act->port->esw != esw)
			return refuse(extack, KBUILD_MODNAME ": cannot send to a port that is not of this e-switch");
		return 0;
	case FLOW_ACTION_VLAN_PUSH:
	case FLOW_ACTION_VLAN_MANGLE:
		act->vlan.proto = entry->vlan.proto;
		act->vlan.tci = entry->vlan.vid | entry->vlan.prio << VLAN_PRIO_SHIFT;
		return 0;
	case FLOW_ACTION_MANGLE:
		return parse_mangle(entry, act, extack);
	default:
		return refuse(extack, esw_action_rows[entry->id].refusal);
	}
}

static bool is_last(enum flow_action_id id)
{
	return id == FLOW_ACTION_DROP || id == FLOW_ACTION_TRAP || id == FLOW_ACTION_GOTO || id == FLOW_ACTION_REDIRECT;
}

static int parse_actions(struct esw *esw, const struct flow_action *action, struct esw_rule *rule,
			 struct netlink_ext_ack *extack)
{
	unsigned int i;
	int err;

	if (!flow_action_basic_hw_stats_check(action, extack))
		return -EOPNOTSUPP;
	for (i = 0; i < action->num_entries; i++) {
		err = parse_action(esw, &action->entries[i], &rule->acts[i], extack);
		if (err)
			return err;
		if (is_last(rule->acts[i].id) != (i == action->num_entries - 1))
			return refuse(extack, KBUILD_MODNAME ": one action has to say where the packet goes, the last");
	}
	rule->n_acts = i;
	return i ? 0 : refuse(extack, KBUILD_MODNAME ": a rule without actions is for software");
}

/* Hardware has its pace; where insertions serialise, each waits for those before it. */
static void take_time(struct esw *esw)
{
	u32 latency_us = READ_ONCE(esw->faults.latency_us);
	bool serial = READ_ONCE(esw->faults.serial);

	if (serial)
		mutex_lock(&esw->serial_lock);
	if (latency_us)
		fsleep(latency_us);
	if (serial)
		mutex_unlock(&esw->serial_lock);
}

static int replace(struct esw_port *port, struct flow_cls_offload *cls)
{
	struct flow_rule *flow_rule = flow_cls_offload_flow_rule(cls);
	struct netlink_ext_ack *extack = cls->common.extack;
	struct esw_key bits = {};
	struct esw_rule *rule;
	int err;

	/* It is there: TC calls while the block is bound, and unregistering the representor unbinds it. */
	if (!tc_can_offload_extack(rcu_dereference_protected(port->rep, true), extack))
		return -EOPNOTSUPP;
	rule = kzalloc(struct_size(rule, acts, flow_rule->action.num_entries), GFP_KERNEL);
	if (!rule)
		return -ENOMEM;
	rule->id.port = port;
	rule->id.cookie = cls->cookie;
	rule->used = jiffies;
	rule->sampled.used = jiffies;
	rule->match.key.protocol = cls->common.protocol;
	bits.protocol = cls->common.protocol == htons(ETH_P_ALL) ? 0 : ~0;
	err = parse_key(port->esw, &flow_rule->match, &rule->match.key, &bits, extack);
	if (!err)
		err = parse_actions(port->esw, &flow_rule->action, rule, extack);
	if (!err) {
		take_time(port->esw);
		err = esw_table_insert(port->esw, rule, &bits, cls->common.chain_index, cls->common.prio, extack);
	}
	if (err)
		kfree(rule);
	return err;
}

int esw_setup_block_cb(enum tc_setup_type type, void *type_data, void *cb_priv)
{
	struct flow_cls_offload *cls = type_data;
	struct esw_port *port = cb_priv;

	if (type != TC_SETUP_CLSFLOWER)
		return -EOPNOTSUPP;
	switch (cls->command) {
	case FLOW_CLS_REPLACE:
		return replace(port, cls);
	case FLOW_CLS_DESTROY:
		esw_table_remove(port, cls->cookie);
		return 0;
	case FLOW_CLS_STATS:
		return esw_table_stats(port, cls);
	default:
		return -EOPNOTSUPP;
	}
}
