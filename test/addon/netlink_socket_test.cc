#include "socket/netlink_socket.h"

#include <linux/rtnetlink.h>

#include "check.h"
#include "scripted_kernel.h"
#include "socket/dump.h"
#include "socket/exchange.h"

using namespace ovs_dpif;

TEST("each step of opening can fail, and then nothing stays open") {
  for (const char* step : {"socket", "bind", "getsockname", "connect"}) {
    ScriptedKernel kernel;
    kernel.failing = step;
    kernel.failure = EMFILE;
    NetlinkSocket socket(kernel);
    const SocketError error = socket.open(0);
    EQUAL(std::string(error.stage), step);
    EQUAL(error.error, EMFILE);
    OK(!socket.is_open());
    EQUAL(kernel.open_sockets, 0);
    kernel.failing = "";
    OK(!socket.open(0));
  }
}

TEST("without CAP_NET_ADMIN the buffers are what the system allows") {
  ScriptedKernel kernel;
  kernel.failing = "force";
  kernel.receive_buffer = 425984;
  NetlinkSocket socket(kernel);
  OK(!socket.open(0));
  EQUAL(socket.receive_buffer(), 425984u);
}

TEST("opening twice and closing twice is the same as once") {
  ScriptedKernel kernel;
  {
    NetlinkSocket socket(kernel);
    socket.open(0);
    socket.open(0);
    EQUAL(kernel.open_sockets, 1);
    socket.close();
    socket.close();
    EQUAL(kernel.open_sockets, 0);
    socket.open(0);
  }
  EQUAL(kernel.open_sockets, 0);
}

TEST("a protocol the kernel lacks fails with its errno") {
  SystemKernel kernel;
  NetlinkSocket socket(kernel);
  EQUAL(socket.open(250).error, EPROTONOSUPPORT);
}

TEST("the real kernel answers a batch and dumps its links") {
  SystemKernel kernel;
  NetlinkSocket socket(kernel);
  OK(!socket.open(NETLINK_ROUTE));
  OK(socket.port_id() != 0);
  ifinfomsg link{};
  link.ifi_index = 1;
  const Blob get = message(RTM_GETLINK, NLM_F_REQUEST, 0, blob_of(link));
  link.ifi_index = 0x7ffffff0;
  const Blob get_none = message(RTM_GETLINK, NLM_F_REQUEST, 0, blob_of(link));
  Blob batch = get + get_none + get;
  const auto result = Exchanger(socket).exchange(batch);
  EQUAL(result.failures.size(), 1u);
  EQUAL(result.failures.at(0).refusal.error, ENODEV);
  EQUAL(check_framing(result.replies).count, 2u);

  Dump dump(kernel, NETLINK_ROUTE, get);
  Blob page(Dump::kLeastPage);
  const DumpPage found = dump.next(page);
  OK(!found.error);
  OK(found.size > 0);
}
