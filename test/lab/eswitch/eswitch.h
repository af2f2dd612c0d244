/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A NIC with an embedded switch, without the NIC: for tests of those who offload TC flower.
 *
 *	VM side (esN_vfM) ──► e-switch's table ──hit──► another port's far side
 *	                            │ miss
 *	                            ▼
 *	            representor (esN_pf0vfM): what software sees
 *
 * A port has two ends. The far one is a netdev that stands for what hangs on the port: a VM's function, or the cable
 * (esN_wire). The near one is the representor, there in mode switchdev only. What the far end sends goes through the
 * table first; what the representor sends goes to the far end.
 *
 * main.c is the device, port.c its netdevs, table.c where rules are kept, rule.c what TC's callbacks say put into our
 * terms, packet.c what happens to a packet, faults.c what can be made to go wrong.
 *
 * Locks, outermost first: the devlink instance's (ports come and go under it), rtnl, esw->table_lock (what is in the
 * table). The packet's path takes none: it is under RCU.
 */
#ifndef ESWITCH_H
#define ESWITCH_H

#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/rhashtable.h>
#include <linux/u64_stats_sync.h>
#include <linux/workqueue.h>
#include <net/devlink.h>
#include <net/flow_dissector.h>
#include <net/flow_offload.h>

#define ESW_MAX_VFS 64
/* A packet that goes from chain to chain more often than this is dropped. */
#define ESW_MAX_HOPS 32

struct dentry;
struct esw_rule;

/* What a packet is told apart by: one of the dissector's own structures after the other. */
struct esw_key {
	/* The outermost: TC compares it with a filter's protocol before it asks flower. */
	__be16 protocol;
	struct flow_dissector_key_control control;
	struct flow_dissector_key_basic basic;
	struct flow_dissector_key_eth_addrs eth;
	struct flow_dissector_key_vlan vlan;
	struct flow_dissector_key_vlan cvlan;
	struct flow_dissector_key_ipv4_addrs ipv4;
	struct flow_dissector_key_ipv6_addrs ipv6;
	struct flow_dissector_key_ip ip;
	struct flow_dissector_key_ports ports;
	struct flow_dissector_key_tcp tcp;
	struct flow_dissector_key_icmp icmp;
	struct flow_dissector_key_arp arp;
	struct flow_dissector_key_mpls mpls;
} __aligned(sizeof(long));

/* One mask of one port, chain and priority. */
struct esw_mask {
	struct list_head list;
	u32 chain;
	u32 prio;
	struct esw_key bits;
	unsigned int rules;
	struct rcu_head rcu;
};

struct esw_match {
	struct esw_mask *mask;
	struct esw_key key;
};

struct esw_act {
	enum flow_action_id id;
	union {
		u32 chain;
		u32 csum;
		struct esw_port *port;
		struct {
			__be16 proto;
			u16 tci;
		} vlan;
		struct {
			enum flow_action_mangle_base base;
			u32 offset;
			u32 keep;
			u32 value;
		} mangle;
	};
};

struct esw_counters {
	u64 packets;
	u64 bytes;
	unsigned long used;
};

struct esw_rule {
	struct rhash_head by_match;
	struct esw_match match;
	struct rhash_head by_id;
	struct {
		struct esw_port *port;
		unsigned long cookie;
	} id;
	/* Oldest first. */
	struct list_head list;
	/* Out of the hardware without anybody having asked for it. */
	bool evicted;
	atomic64_t packets;
	atomic64_t bytes;
	unsigned long used;
	/* What was read from the hardware last, and what TC has been told. Under table_lock. */
	struct esw_counters sampled;
	struct esw_counters told;
	struct rcu_head rcu;
	unsigned int n_acts;
	struct esw_act acts[];
};

/* See README.md: the files of debugfs have these names. */
struct esw_faults {
	u32 capacity;
	u32 latency_us;
	bool serial;
	u32 stats_delay_ms;
	bool no_last_used;
	/* Bits are places in esw_key_rows and numbers of enum flow_action_id. */
	u64 refuse_keys;
	u64 refuse_actions;
};

struct esw_port {
	struct esw *esw;
	/* 0 is the uplink, 1 + n is VF n. */
	unsigned int index;
	struct net_device __rcu *rep;
	/* None: the port was taken out by force, and does not come back before the device does. */
	struct net_device __rcu *far;
	struct devlink_port dl_port;
	/* Sorted by chain and priority; under table_lock, read under RCU. */
	struct list_head masks;
};

struct esw {
	struct device *dev;
	unsigned int id;
	enum devlink_eswitch_mode mode;
	struct esw_faults faults;
	struct dentry *dir;

	struct mutex table_lock;
	/* Held while one insertion takes its time, where insertions serialise. */
	struct mutex serial_lock;
	struct rhashtable matches;
	struct rhashtable ids;
	struct list_head rules;
	unsigned int used;
	struct delayed_work sampling;

	unsigned int n_ports;
	struct esw_port ports[];
};

/* A key of flower: where it lies in ours, and what is said when it is refused. */
struct esw_key_row {
	const char *name;
	enum flow_dissector_key_id id;
	size_t offset;
	size_t size;
	const char *refusal;
};

struct esw_action_row {
	const char *name;
	const char *refusal;
};

/* main.c */
extern bool esw_hw_tc_offload;
extern bool esw_unlocked;

/* port.c */
int esw_far_create(struct esw_port *port);
int esw_rep_create(struct esw_port *port);
void esw_far_destroy(struct esw_port *port);
void esw_rep_destroy(struct esw_port *port);
struct esw_port *esw_port_of_rep(const struct net_device *dev);

/* table.c */
int esw_table_init(struct esw *esw);
void esw_table_destroy(struct esw *esw);
int esw_table_insert(struct esw *esw, struct esw_rule *rule, const struct esw_key *bits, u32 chain, u32 prio,
		     struct netlink_ext_ack *extack);
void esw_table_remove(struct esw_port *port, unsigned long cookie);
int esw_table_stats(struct esw_port *port, struct flow_cls_offload *cls);
void esw_table_evict(struct esw *esw, unsigned int count);
bool esw_table_has_rules(struct esw_port *port);
struct esw_rule *esw_table_lookup(struct esw_port *port, const struct esw_key *key, u32 chain);

/* rule.c */
extern const struct esw_key_row esw_key_rows[];
extern const unsigned int esw_n_key_rows;
extern const struct esw_action_row esw_action_rows[NUM_FLOW_ACTIONS];
int esw_setup_block_cb(enum tc_setup_type type, void *type_data, void *cb_priv);

/* packet.c */
void esw_packet_init(void);
void esw_packet_exit(void);
void esw_packet_from_far(struct esw_port *port, struct sk_buff *skb);
void esw_packet_from_rep(struct esw_port *port, struct sk_buff *skb);

/* faults.c */
void esw_faults_init(struct esw *esw);
void esw_faults_root_init(void);
void esw_faults_root_destroy(void);

/* main.c, for faults.c */
int esw_remove_port(struct esw *esw, unsigned int index);

#endif
