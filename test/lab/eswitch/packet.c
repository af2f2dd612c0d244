// SPDX-License-Identifier: GPL-2.0
/* What happens to a packet. From its entry to its end its data begins at the Ethernet header, and an outer tag is out of line. */
#include <linux/etherdevice.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tc_act/tc_csum.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/checksum.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ipv6.h>
#include <net/pkt_cls.h>
#include "eswitch.h"

static struct flow_dissector dissector;

void esw_packet_init(void)
{
	struct flow_dissector_key keys[FLOW_DISSECTOR_KEY_MAX];
	unsigned int i, count = 0;

	for (i = 0; i < esw_n_key_rows; i++) {
		if (!esw_key_rows[i].size)
			continue;
		keys[count].key_id = esw_key_rows[i].id;
		keys[count].offset = esw_key_rows[i].offset;
		count++;
	}
	skb_flow_dissector_init(&dissector, keys, count);
	/* For set_chain(). */
	tc_skb_ext_tc_enable();
}

void esw_packet_exit(void)
{
	tc_skb_ext_tc_disable();
}

/* As flower does it, so that both see the same. */
static void dissect(struct sk_buff *skb, struct esw_key *key)
{
	memset(key, 0, sizeof(*key));
	key->protocol = skb_protocol(skb, false);
	key->basic.n_proto = key->protocol;
	skb_flow_dissect(skb, &dissector, key, FLOW_DISSECTOR_F_STOP_BEFORE_ENCAP);
}

static void deliver(struct net_device *dev, struct sk_buff *skb)
{
	unsigned int len = skb->len;

	if (!dev)
		kfree_skb(skb);
	else if (dev_forward_skb(dev, skb) == NET_RX_SUCCESS)
		dev_sw_netstats_rx_add(dev, len);
}

/* Software goes on in the chain the packet missed in. Kernels without the extension begin again in the first. */
static int set_chain(struct sk_buff *skb, u32 chain)
{
#if IS_ENABLED(CONFIG_NET_TC_SKB_EXT)
	struct tc_skb_ext *ext = chain ? tc_skb_ext_alloc(skb) : NULL;

	if (!chain)
		return 0;
	if (!ext)
		return -ENOMEM;
	ext->chain = chain;
#endif
	return 0;
}

static void to_software(struct esw_port *port, struct sk_buff *skb, u32 chain)
{
	struct net_device *rep = rcu_dereference(port->rep);
	unsigned int len = skb->len;

	if (!rep) {
		kfree_skb(skb);
		return;
	}
	if (__dev_forward_skb(rep, skb))
		return;
	if (set_chain(skb, chain)) {
		kfree_skb(skb);
		return;
	}
	if (netif_rx(skb) == NET_RX_SUCCESS)
		dev_sw_netstats_rx_add(rep, len);
}

/* The headers behind Ethernet's and what tags are in line; -1 where there is none, or it is not whole. */
struct headers {
	__be16 proto;
	int l3;
	u8 l4_proto;
	int l4;
	unsigned int l4_len;
};

static void find_headers(const struct sk_buff *skb, struct headers *to)
{
	const struct ipv6hdr *ip6;
	const struct iphdr *ip4;
	__be16 proto = skb->protocol, fragment = 0;
	int l3 = ETH_HLEN, l4, end;

	to->l3 = -1;
	to->l4 = -1;
	while (eth_type_vlan(proto) && skb->len >= l3 + VLAN_HLEN) {
		proto = ((struct vlan_hdr *)(skb->data + l3))->h_vlan_encapsulated_proto;
		l3 += VLAN_HLEN;
	}
	to->proto = proto;
	if (proto == htons(ETH_P_IP) && skb->len >= l3 + sizeof(*ip4)) {
		ip4 = (struct iphdr *)(skb->data + l3);
		if (ip4->ihl < 5 || skb->len < l3 + ip4->ihl * 4)
			return;
		to->l3 = l3;
		to->l4_proto = ip4->protocol;
		l4 = l3 + ip4->ihl * 4;
		end = l3 + ntohs(ip4->tot_len);
		if (ip_is_fragment(ip4))
			return;
	} else if (proto == htons(ETH_P_IPV6) && skb->len >= l3 + sizeof(*ip6)) {
		ip6 = (struct ipv6hdr *)(skb->data + l3);
		to->l3 = l3;
		to->l4_proto = ip6->nexthdr;
		l4 = ipv6_skip_exthdr(skb, l3 + sizeof(*ip6), &to->l4_proto, &fragment);
		end = l3 + sizeof(*ip6) + ntohs(ip6->payload_len);
		if (l4 < 0 || fragment)
			return;
	} else {
		return;
	}
	if (end > skb->len || l4 > end)
		return;
	to->l4 = l4;
	to->l4_len = end - l4;
}

static int mangle_base(const struct headers *headers, enum flow_action_mangle_base base)
{
	switch (base) {
	case FLOW_ACT_MANGLE_HDR_TYPE_ETH:
		return 0;
	case FLOW_ACT_MANGLE_HDR_TYPE_IP4:
		return headers->proto == htons(ETH_P_IP) ? headers->l3 : -1;
	case FLOW_ACT_MANGLE_HDR_TYPE_IP6:
		return headers->proto == htons(ETH_P_IPV6) ? headers->l3 : -1;
	case FLOW_ACT_MANGLE_HDR_TYPE_TCP:
		return headers->l4 >= 0 && headers->l4_proto == IPPROTO_TCP ? headers->l4 : -1;
	case FLOW_ACT_MANGLE_HDR_TYPE_UDP:
		return headers->l4 >= 0 && headers->l4_proto == IPPROTO_UDP ? headers->l4 : -1;
	default:
		return -1;
	}
}

static void mangle(struct sk_buff *skb, const struct esw_act *act)
{
	struct headers headers;
	int base;
	u32 *word;

	find_headers(skb, &headers);
	base = mangle_base(&headers, act->mangle.base);
	if (base < 0 || base + act->mangle.offset + sizeof(*word) > skb->len)
		return;
	word = (u32 *)(skb->data + base + act->mangle.offset);
	put_unaligned((get_unaligned(word) & act->mangle.keep) ^ act->mangle.value, word);
}

static __sum16 pseudo(const struct sk_buff *skb, const struct headers *headers, __wsum sum)
{
	const struct ipv6hdr *ip6 = (struct ipv6hdr *)(skb->data + headers->l3);
	const struct iphdr *ip4 = (struct iphdr *)(skb->data + headers->l3);

	if (headers->proto == htons(ETH_P_IP))
		return csum_tcpudp_magic(ip4->saddr, ip4->daddr, headers->l4_len, headers->l4_proto, sum);
	return csum_ipv6_magic(&ip6->saddr, &ip6->daddr, headers->l4_len, headers->l4_proto, sum);
}

/* Computed anew where TC's csum action asks for it, and nowhere else: what software leaves wrong stays wrong here. */
static void checksum(struct sk_buff *skb, u32 flags)
{
	struct headers headers;
	struct icmp6hdr *icmp6;
	struct icmphdr *icmp;
	struct tcphdr *tcp;
	struct udphdr *udp;
	void *l4;

	find_headers(skb, &headers);
	if (headers.l3 < 0)
		return;
	if (headers.proto == htons(ETH_P_IP) && (flags & TCA_CSUM_UPDATE_FLAG_IPV4HDR))
		ip_send_check((struct iphdr *)(skb->data + headers.l3));
	if (headers.l4 < 0)
		return;
	l4 = skb->data + headers.l4;
	switch (headers.l4_proto) {
	case IPPROTO_TCP:
		tcp = l4;
		if (!(flags & TCA_CSUM_UPDATE_FLAG_TCP) || headers.l4_len < sizeof(*tcp))
			return;
		tcp->check = 0;
		tcp->check = pseudo(skb, &headers, csum_partial(l4, headers.l4_len, 0));
		return;
	case IPPROTO_UDP:
		udp = l4;
		if (!(flags & TCA_CSUM_UPDATE_FLAG_UDP) || headers.l4_len < sizeof(*udp))
			return;
		if (!udp->check && headers.proto == htons(ETH_P_IP))
			return;
		udp->check = 0;
		udp->check = pseudo(skb, &headers, csum_partial(l4, headers.l4_len, 0)) ?: CSUM_MANGLED_0;
		return;
	case IPPROTO_ICMP:
		icmp = l4;
		if (!(flags & TCA_CSUM_UPDATE_FLAG_ICMP) || headers.l4_len < sizeof(*icmp))
			return;
		icmp->checksum = 0;
		icmp->checksum = ip_compute_csum(l4, headers.l4_len);
		return;
	case IPPROTO_ICMPV6:
		icmp6 = l4;
		if (!(flags & TCA_CSUM_UPDATE_FLAG_ICMP) || headers.l4_len < sizeof(*icmp6))
			return;
		icmp6->icmp6_cksum = 0;
		icmp6->icmp6_cksum = pseudo(skb, &headers, csum_partial(l4, headers.l4_len, 0));
		return;
	}
}

static int push_vlan(struct sk_buff *skb, const struct esw_act *act)
{
	int err = skb_vlan_push(skb, act->vlan.proto, act->vlan.tci);

	/* A tag that was out of line is now behind the addresses, and part of what the dissector walks through. */
	if (!err) {
		skb_set_network_header(skb, ETH_HLEN);
		skb_reset_mac_len(skb);
	}
	return err;
}

static int modify_vlan(struct sk_buff *skb, const struct esw_act *act)
{
	if (skb_vlan_tag_present(skb))
		__vlan_hwaccel_put_tag(skb, act->vlan.proto, act->vlan.tci);
	return 0;
}

static void mirror(struct sk_buff *skb, const struct esw_act *act)
{
	struct sk_buff *copy = skb_clone(skb, GFP_ATOMIC);

	if (copy)
		deliver(rcu_dereference(act->port->far), copy);
}

/* Returns whether the packet goes on, in the chain then in *chain. Otherwise it is gone. */
static bool execute(const struct esw_rule *rule, struct sk_buff *skb, u32 *chain)
{
	const struct esw_act *act;
	int err = 0;

	for (act = rule->acts; act < rule->acts + rule->n_acts && !err; act++) {
		switch (act->id) {
		case FLOW_ACTION_REDIRECT:
			deliver(rcu_dereference(act->port->far), skb);
			return false;
		case FLOW_ACTION_TRAP:
			to_software(rule->id.port, skb, 0);
			return false;
		case FLOW_ACTION_GOTO:
			*chain = act->chain;
			return true;
		case FLOW_ACTION_MIRRED:
			mirror(skb, act);
			break;
		case FLOW_ACTION_VLAN_PUSH:
			err = push_vlan(skb, act);
			break;
		case FLOW_ACTION_VLAN_POP:
			err = skb_vlan_pop(skb);
			break;
		case FLOW_ACTION_VLAN_MANGLE:
			err = modify_vlan(skb, act);
			break;
		case FLOW_ACTION_MANGLE:
			err = skb_ensure_writable(skb, skb->len);
			if (!err)
				mangle(skb, act);
			break;
		case FLOW_ACTION_CSUM:
			err = skb_ensure_writable(skb, skb->len);
			if (!err)
				checksum(skb, act->csum);
			break;
		default:
			err = -EINVAL;
		}
	}
	/* Told to drop, or could not do as told. */
	kfree_skb(skb);
	return false;
}

static void count(struct esw_rule *rule, const struct sk_buff *skb)
{
	atomic64_inc(&rule->packets);
	atomic64_add(skb->len + (skb_vlan_tag_present(skb) ? VLAN_HLEN : 0), &rule->bytes);
	WRITE_ONCE(rule->used, jiffies);
}

/* Into the form above, which is nearly the one a NIC hands packets over in. */
static struct sk_buff *enter(struct sk_buff *skb)
{
	if (skb_linearize(skb)) {
		kfree_skb(skb);
		return NULL;
	}
	skb->ip_summed = CHECKSUM_NONE;
	skb->protocol = eth_type_trans(skb, skb->dev);
	skb_reset_network_header(skb);
	skb_reset_mac_len(skb);
	if (eth_type_vlan(skb->protocol)) {
		skb = skb_vlan_untag(skb);
		if (!skb)
			return NULL;
	}
	__skb_push(skb, skb->data - skb_mac_header(skb));
	return skb;
}

/* Called by a transmit function, with bottom halves off. */
void esw_packet_from_far(struct esw_port *port, struct sk_buff *skb)
{
	struct esw_rule *rule;
	struct esw_key key;
	unsigned int hops;
	u32 chain = 0;

	skb = enter(skb);
	if (!skb)
		return;
	rcu_read_lock();
	for (hops = 0; hops < ESW_MAX_HOPS; hops++) {
		dissect(skb, &key);
		rule = esw_table_lookup(port, &key, chain);
		if (!rule) {
			to_software(port, skb, chain);
			goto out;
		}
		count(rule, skb);
		if (!execute(rule, skb, &chain))
			goto out;
	}
	kfree_skb(skb);
out:
	rcu_read_unlock();
}

void esw_packet_from_rep(struct esw_port *port, struct sk_buff *skb)
{
	rcu_read_lock();
	deliver(rcu_dereference(port->far), skb);
	rcu_read_unlock();
}
