// SPDX-License-Identifier: GPL-2.0
/* The netdevs of a port: the representor, and the far end. */
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/version.h>
#include <net/pkt_cls.h>
#include "eswitch.h"

struct esw_netdev {
	struct esw_port *port;
};

static LIST_HEAD(block_cbs);

static struct esw_port *port_of(const struct net_device *dev)
{
	return ((struct esw_netdev *)netdev_priv(dev))->port;
}

static netdev_tx_t far_xmit(struct sk_buff *skb, struct net_device *dev)
{
	dev_sw_netstats_tx_add(dev, 1, skb->len);
	esw_packet_from_far(port_of(dev), skb);
	return NETDEV_TX_OK;
}

static netdev_tx_t rep_xmit(struct sk_buff *skb, struct net_device *dev)
{
	dev_sw_netstats_tx_add(dev, 1, skb->len);
	esw_packet_from_rep(port_of(dev), skb);
	return NETDEV_TX_OK;
}

static int rep_setup_tc(struct net_device *dev, enum tc_setup_type type, void *type_data)
{
	struct flow_block_offload *block = type_data;

	if (type != TC_SETUP_BLOCK)
		return -EOPNOTSUPP;
	block->unlocked_driver_cb = esw_unlocked;
	return flow_block_cb_setup_simple(block, &block_cbs, esw_setup_block_cb, port_of(dev), port_of(dev), true);
}

static int rep_set_features(struct net_device *dev, netdev_features_t features)
{
	if (!(features & NETIF_F_HW_TC) && esw_table_has_rules(port_of(dev))) {
		netdev_info(dev, "hw-tc-offload stays on: there are rules in hardware\n");
		return -EBUSY;
	}
	return 0;
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
static struct devlink_port *rep_devlink_port(struct net_device *dev)
{
	return &port_of(dev)->dl_port;
}
#endif

static const struct net_device_ops far_ops = {
	.ndo_start_xmit = far_xmit,
	.ndo_get_stats64 = dev_get_tstats64,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
};

static const struct net_device_ops rep_ops = {
	.ndo_start_xmit = rep_xmit,
	.ndo_get_stats64 = dev_get_tstats64,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
	.ndo_setup_tc = rep_setup_tc,
	.ndo_set_features = rep_set_features,
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
	/* phys_switch_id and phys_port_name are made from the devlink port. */
	.ndo_get_devlink_port = rep_devlink_port,
#endif
};

static void get_drvinfo(struct net_device *dev, struct ethtool_drvinfo *info)
{
	strscpy(info->driver, KBUILD_MODNAME, sizeof(info->driver));
	strscpy(info->version, "1.0.0", sizeof(info->version));
	strscpy(info->fw_version, "1.0.0", sizeof(info->fw_version));
	strscpy(info->bus_info, dev_name(port_of(dev)->esw->dev), sizeof(info->bus_info));
}

static const struct ethtool_ops ethtool_ops = {
	.get_drvinfo = get_drvinfo,
	.get_link = ethtool_op_get_link,
};

struct esw_port *esw_port_of_rep(const struct net_device *dev)
{
	return dev->netdev_ops == &rep_ops ? port_of(dev) : NULL;
}

static void setup(struct net_device *dev)
{
	ether_setup(dev);
	dev->ethtool_ops = &ethtool_ops;
	dev->priv_flags &= ~IFF_TX_SKB_SHARING;
	dev->priv_flags |= IFF_NO_QUEUE | IFF_LIVE_ADDR_CHANGE;
	dev->max_mtu = ETH_MAX_MTU;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
	dev->features |= NETIF_F_LLTX;
#else
	dev->lltx = true;
#endif
	eth_hw_addr_random(dev);
}

static struct net_device *create(struct esw_port *port, const char *name, const struct net_device_ops *ops)
{
	struct esw_netdev *priv;
	struct net_device *dev;

	dev = alloc_netdev(sizeof(*priv), name, NET_NAME_PREDICTABLE, setup);
	if (!dev)
		return NULL;
	dev->tstats = netdev_alloc_pcpu_stats(struct pcpu_sw_netstats);
	if (!dev->tstats) {
		free_netdev(dev);
		return NULL;
	}
	priv = netdev_priv(dev);
	priv->port = port;
	dev->netdev_ops = ops;
	dev_net_set(dev, devlink_net(priv_to_devlink(port->esw)));
	return dev;
}

static void release(struct net_device *dev)
{
	free_percpu(dev->tstats);
	free_netdev(dev);
}

/* Unregistering closes the device, so no packet finds its way to it; then none may be on its way still. */
static void destroy(struct net_device __rcu **place)
{
	struct net_device *dev = rcu_dereference_protected(*place, true);

	unregister_netdev(dev);
	RCU_INIT_POINTER(*place, NULL);
	synchronize_net();
	release(dev);
}

static int publish(struct net_device __rcu **place, struct net_device *dev)
{
	int err;

	rcu_assign_pointer(*place, dev);
	err = register_netdev(dev);
	if (err) {
		RCU_INIT_POINTER(*place, NULL);
		synchronize_net();
		release(dev);
	}
	return err;
}

int esw_far_create(struct esw_port *port)
{
	struct esw *esw = port->esw;
	struct net_device *dev;
	char name[IFNAMSIZ];

	if (port->index == 0)
		snprintf(name, sizeof(name), "es%u_wire", esw->id);
	else
		snprintf(name, sizeof(name), "es%u_vf%u", esw->id, port->index - 1);
	dev = create(port, name, &far_ops);
	if (!dev)
		return -ENOMEM;
	SET_NETDEV_DEV(dev, esw->dev);
	netif_carrier_off(dev);
	return publish(&port->far, dev);
}

void esw_far_destroy(struct esw_port *port)
{
	if (rcu_access_pointer(port->far))
		destroy(&port->far);
}

static void set_attrs(struct esw_port *port)
{
	struct devlink_port_attrs attrs = {};

	if (port->index == 0) {
		attrs.flavour = DEVLINK_PORT_FLAVOUR_PHYSICAL;
	} else {
		attrs.flavour = DEVLINK_PORT_FLAVOUR_PCI_VF;
		attrs.pci_vf.vf = port->index - 1;
	}
	attrs.switch_id.id_len = 8;
	attrs.switch_id.id[0] = 0xe5;
	attrs.switch_id.id[7] = port->esw->id;
	devlink_port_attrs_set(&port->dl_port, &attrs);
}

int esw_rep_create(struct esw_port *port)
{
	struct esw *esw = port->esw;
	struct net_device *dev;
	char name[IFNAMSIZ];
	int err;

	if (!rcu_access_pointer(port->far))
		return 0;
	memset(&port->dl_port, 0, sizeof(port->dl_port));
	set_attrs(port);
	err = devl_port_register(priv_to_devlink(esw), &port->dl_port, port->index);
	if (err)
		return err;
	if (port->index == 0)
		snprintf(name, sizeof(name), "es%u_p0", esw->id);
	else
		snprintf(name, sizeof(name), "es%u_pf0vf%u", esw->id, port->index - 1);
	dev = create(port, name, &rep_ops);
	if (!dev) {
		err = -ENOMEM;
		goto err_port;
	}
	SET_NETDEV_DEV(dev, esw->dev);
	dev->hw_features |= NETIF_F_HW_TC;
	if (esw_hw_tc_offload)
		dev->features |= NETIF_F_HW_TC;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
	SET_NETDEV_DEVLINK_PORT(dev, &port->dl_port);
#endif
	err = publish(&port->rep, dev);
	if (err)
		goto err_port;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
	devlink_port_type_eth_set(&port->dl_port, dev);
#endif
	netif_carrier_on(rcu_dereference_protected(port->far, true));
	return 0;

err_port:
	devl_port_unregister(&port->dl_port);
	return err;
}

void esw_rep_destroy(struct esw_port *port)
{
	struct net_device *far = rcu_dereference_protected(port->far, true);

	if (!rcu_access_pointer(port->rep))
		return;
	if (far)
		netif_carrier_off(far);
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
	devlink_port_type_clear(&port->dl_port);
#endif
	destroy(&port->rep);
	devl_port_unregister(&port->dl_port);
}
