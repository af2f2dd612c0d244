// SPDX-License-Identifier: GPL-2.0
/* The device: devlink, its modes, and the module. */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/nsproxy.h>
#include <linux/platform_device.h>
#include <linux/sched.h>
#include <linux/version.h>
#include "eswitch.h"

#define MAX_DEVICES 4

static unsigned int devices = 1;
module_param(devices, uint, 0444);
MODULE_PARM_DESC(devices, "how many e-switches there are (1)");
static unsigned int vfs = 4;
module_param(vfs, uint, 0444);
MODULE_PARM_DESC(vfs, "virtual functions of each (4)");
static unsigned int capacity = 65536;
module_param(capacity, uint, 0444);
MODULE_PARM_DESC(capacity, "rules a table holds (65536)");
static bool switchdev;
module_param(switchdev, bool, 0444);
MODULE_PARM_DESC(switchdev, "begin in mode switchdev (no)");
bool esw_hw_tc_offload = true;
module_param_named(hw_tc_offload, esw_hw_tc_offload, bool, 0444);
MODULE_PARM_DESC(hw_tc_offload, "begin with ethtool's feature hw-tc-offload on (yes)");
bool esw_unlocked = true;
module_param_named(unlocked, esw_unlocked, bool, 0444);
MODULE_PARM_DESC(unlocked, "TC may call without rtnl, so that insertions run in parallel (yes)");

static struct platform_device *pdevs[MAX_DEVICES];

static void reps_destroy(struct esw *esw)
{
	unsigned int i;

	for (i = esw->n_ports; i-- > 0;)
		esw_rep_destroy(&esw->ports[i]);
}

static int reps_create(struct esw *esw)
{
	unsigned int i;
	int err;

	for (i = 0; i < esw->n_ports; i++) {
		err = esw_rep_create(&esw->ports[i]);
		if (err) {
			reps_destroy(esw);
			return err;
		}
	}
	return 0;
}

static void ports_destroy(struct esw *esw)
{
	unsigned int i;

	reps_destroy(esw);
	for (i = esw->n_ports; i-- > 0;)
		esw_far_destroy(&esw->ports[i]);
}

static int ports_create(struct esw *esw)
{
	unsigned int i;
	int err;

	for (i = 0; i < esw->n_ports; i++) {
		err = esw_far_create(&esw->ports[i]);
		if (err)
			goto err_destroy;
	}
	if (esw->mode == DEVLINK_ESWITCH_MODE_SWITCHDEV) {
		err = reps_create(esw);
		if (err)
			goto err_destroy;
	}
	return 0;

err_destroy:
	ports_destroy(esw);
	return err;
}

int esw_remove_port(struct esw *esw, unsigned int index)
{
	struct devlink *devlink = priv_to_devlink(esw);
	struct esw_port *port;

	if (index >= esw->n_ports)
		return -ENOENT;
	port = &esw->ports[index];
	devl_lock(devlink);
	esw_rep_destroy(port);
	esw_far_destroy(port);
	devl_unlock(devlink);
	return 0;
}

static int mode_get(struct devlink *devlink, u16 *mode)
{
	struct esw *esw = devlink_priv(devlink);

	*mode = esw->mode;
	return 0;
}

static int mode_set(struct devlink *devlink, u16 mode, struct netlink_ext_ack *extack)
{
	struct esw *esw = devlink_priv(devlink);
	int err;

	if (mode == esw->mode)
		return 0;
	switch (mode) {
	case DEVLINK_ESWITCH_MODE_LEGACY:
		reps_destroy(esw);
		break;
	case DEVLINK_ESWITCH_MODE_SWITCHDEV:
		err = reps_create(esw);
		if (err) {
			NL_SET_ERR_MSG_MOD(extack, "cannot make the representors");
			return err;
		}
		break;
	default:
		NL_SET_ERR_MSG_MOD(extack, "there is no such mode; try legacy or switchdev");
		return -EOPNOTSUPP;
	}
	esw->mode = mode;
	return 0;
}

static int info_get(struct devlink *devlink, struct devlink_info_req *req, struct netlink_ext_ack *extack)
{
	int err;

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
	err = devlink_info_driver_name_put(req, KBUILD_MODNAME);
	if (err)
		return err;
#endif
	err = devlink_info_version_fixed_put(req, "board.id", "lab");
	if (err)
		return err;
	return devlink_info_version_running_put(req, DEVLINK_INFO_VERSION_GENERIC_FW, "1.0.0");
}

static int reload_down(struct devlink *devlink, bool netns_change, enum devlink_reload_action action,
		       enum devlink_reload_limit limit, struct netlink_ext_ack *extack)
{
	ports_destroy(devlink_priv(devlink));
	return 0;
}

static int reload_up(struct devlink *devlink, enum devlink_reload_action action, enum devlink_reload_limit limit,
		     u32 *actions_performed, struct netlink_ext_ack *extack)
{
	*actions_performed = BIT(DEVLINK_RELOAD_ACTION_DRIVER_REINIT);
	return ports_create(devlink_priv(devlink));
}

static const struct devlink_ops devlink_ops = {
	.eswitch_mode_get = mode_get,
	.eswitch_mode_set = mode_set,
	.info_get = info_get,
	/* A namespace that ends hands its devices back by a reload into the first one. */
	.reload_actions = BIT(DEVLINK_RELOAD_ACTION_DRIVER_REINIT),
	.reload_down = reload_down,
	.reload_up = reload_up,
};

static int probe(struct platform_device *pdev)
{
	/* The devices belong where the module was loaded, so that a test has them in a namespace of its own. */
	struct net *net = current->nsproxy ? current->nsproxy->net_ns : &init_net;
	unsigned int n_ports = 1 + vfs, i;
	struct devlink *devlink;
	struct esw *esw;
	int err;

	devlink = devlink_alloc_ns(&devlink_ops, struct_size(esw, ports, n_ports), net, &pdev->dev);
	if (!devlink)
		return -ENOMEM;
	esw = devlink_priv(devlink);
	esw->dev = &pdev->dev;
	esw->id = pdev->id;
	esw->mode = switchdev ? DEVLINK_ESWITCH_MODE_SWITCHDEV : DEVLINK_ESWITCH_MODE_LEGACY;
	esw->faults.capacity = capacity;
	esw->n_ports = n_ports;
	for (i = 0; i < n_ports; i++) {
		esw->ports[i].esw = esw;
		esw->ports[i].index = i;
		INIT_LIST_HEAD(&esw->ports[i].masks);
	}
	platform_set_drvdata(pdev, esw);
	err = esw_table_init(esw);
	if (err)
		goto err_free;
	devl_lock(devlink);
	err = ports_create(esw);
	devl_unlock(devlink);
	if (err)
		goto err_table;
	devlink_set_features(devlink, DEVLINK_F_RELOAD);
	esw_faults_init(esw);
	devlink_register(devlink);
	return 0;

err_table:
	esw_table_destroy(esw);
err_free:
	devlink_free(devlink);
	return err;
}

static void remove(struct platform_device *pdev)
{
	struct esw *esw = platform_get_drvdata(pdev);
	struct devlink *devlink = priv_to_devlink(esw);

	/* Its writers take the devlink lock: it goes before we do. */
	debugfs_remove_recursive(esw->dir);
	devlink_unregister(devlink);
	devl_lock(devlink);
	ports_destroy(esw);
	devl_unlock(devlink);
	esw_table_destroy(esw);
	devlink_free(devlink);
}

static struct platform_driver driver = {
	.driver.name = KBUILD_MODNAME,
	.probe = probe,
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
	.remove_new = remove,
#else
	.remove = remove,
#endif
};

static void unregister_all(void)
{
	unsigned int i;

	for (i = 0; i < MAX_DEVICES; i++)
		platform_device_unregister(pdevs[i]);
	platform_driver_unregister(&driver);
	esw_faults_root_destroy();
	esw_packet_exit();
}

static int __init eswitch_init(void)
{
	struct platform_device *pdev;
	unsigned int i;
	int err;

	if (devices < 1 || devices > MAX_DEVICES || vfs > ESW_MAX_VFS)
		return -EINVAL;
	esw_packet_init();
	esw_faults_root_init();
	err = platform_driver_register(&driver);
	if (err) {
		esw_faults_root_destroy();
		esw_packet_exit();
		return err;
	}
	for (i = 0; i < devices; i++) {
		pdev = platform_device_register_simple(KBUILD_MODNAME, i, NULL, 0);
		if (IS_ERR(pdev)) {
			unregister_all();
			return PTR_ERR(pdev);
		}
		pdevs[i] = pdev;
	}
	return 0;
}
module_init(eswitch_init);

static void __exit eswitch_exit(void)
{
	unregister_all();
}
module_exit(eswitch_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("An e-switch that TC flower can be offloaded to, for tests");
MODULE_VERSION("1.0.0");
