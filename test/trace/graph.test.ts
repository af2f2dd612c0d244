import t from 'tap'
import { readGraph } from '../../lib/trace/graph.js'

// What function_graph prints, as Linux 6.1 does: with tasks, without, with irqs in between and after a switch to another task.

const withTasks = `# tracer: function_graph
#
# CPU  TASK/PID         DURATION                  FUNCTION CALLS
# |     |    |           |   |                     |   |   |   |
 0)  ovs_dpi-412   |   0.500 us    |  mutex_unlock();
 0)  ovs_dpi-412   |               |  rtnetlink_rcv_msg() {
 0)  ovs_dpi-412   |               |    tc_new_tfilter() {
 0)  ovs_dpi-412   |   1.250 us    |      __tcf_qdisc_find();
 0)  ovs_dpi-412   |               |      fl_change [cls_flower]() {
 ------------------------------------------
 0)  ovs_dpi-412   =>   node-400
 ------------------------------------------

 0)   node-400     |               |  tc_new_tfilter() {
 0)   node-400     | ! 120.000 us  |  }
 1)  ovs_dpi-412   |               |        tc_setup_cb_add() {
 1)  ovs_dpi-412   |   ==========> |
 1)  ovs_dpi-412   |   3.000 us    |          irq_enter_rcu();
 1)  ovs_dpi-412   |   <========== |
 1)  ovs_dpi-412   | + 10.512 us   |          esw_setup_block_cb [eswitch]();
 1)  ovs_dpi-412   | # 1234.5 us   |        } /* tc_setup_cb_add */
 1)  ovs_dpi-412   |               |      } /* fl_change [cls_flower] */
 1)  ovs_dpi-412   | @ 200000.1 us |    }
 1)  ovs_dpi-412   |   9.000 us    |  }
`

t.test('calls become trees, each task its own', async (t) => {
  t.same(readGraph(withTasks, ['tc_new_tfilter']), [
    {
      name: 'tc_new_tfilter',
      microseconds: 200000.1,
      calls: [
        { name: '__tcf_qdisc_find', microseconds: 1.25, calls: [] },
        {
          name: 'fl_change',
          module: 'cls_flower',
          calls: [
            {
              name: 'tc_setup_cb_add',
              microseconds: 1234.5,
              calls: [
                { name: 'irq_enter_rcu', microseconds: 3, calls: [] },
                { name: 'esw_setup_block_cb', module: 'eswitch', microseconds: 10.512, calls: [] },
              ],
            },
          ],
        },
      ],
    },
    { name: 'tc_new_tfilter', microseconds: 120, calls: [] },
  ])
})

t.test('the column of tasks may be missing, and the beginning too', async (t) => {
  const text = ` 1)   0.5 us    |      }
 1)               |  ovs_flow_cmd_new.constprop.0 [openvswitch]() {
 0)               |  ovs_flow_cmd_new [openvswitch]() {
 1)   0.125 us    |    ovs_flow_alloc [openvswitch]();
 0)   2.000 us    |  }
 1) + 12.000 us   |  }
 CPU:1 [LOST 12 EVENTS]
`
  t.match(readGraph(text, ['ovs_flow_cmd_new']), [
    {
      name: 'ovs_flow_cmd_new.constprop.0',
      microseconds: 12,
      calls: [{ name: 'ovs_flow_alloc', microseconds: 0.125 }],
    },
    { name: 'ovs_flow_cmd_new', microseconds: 2, calls: [] },
  ])
  t.same(readGraph('', ['a']), [])
  t.same(readGraph(text, []), [])
})
