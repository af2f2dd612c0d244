#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "socket/message.h"
#include "socket/netlink_socket.h"
#include "socket/result.h"

namespace ovs_dpif {

/** One page of a dump. A page can hold messages and be the last one, whatever ended the dump. */
struct DumpPage {
  /** Bytes of whole messages at the start of the caller's page. */
  std::size_t size = 0;
  /** Nothing comes after this page; the socket is closed. */
  bool last = false;
  /** How it ended, when `last` is set: the socket failed, … */
  SocketError error;
  /** … the kernel reported an error, … */
  Refusal refusal;
  /** … or the table changed under the dump (NLM_F_DUMP_INTR). None of them: it is complete. */
  bool interrupted = false;
};

/**
 * A dump on a socket of its own, so that abandoning it is no more than closing the socket. The kernel writes the next
 * part when the previous one is read, so nothing is produced that nobody asks for.
 */
class Dump {
 public:
  /** The least `next` may be called with: a part of a dump may be as large as that. */
  static constexpr std::size_t kLeastPage = 64 << 10;

  Dump(Kernel& kernel, int protocol, std::vector<std::uint8_t> request);

  /** Fills `page`; sends the request at the first call. */
  DumpPage next(WritableBytes page);

  /** Abandons the dump. */
  void close();

 private:
  SocketError start();
  bool receive(WritableBytes page, DumpPage& result);
  void read_datagram(WritableBytes page, std::size_t size, DumpPage& result);
  void end(DumpPage& result, SocketError error);

  NetlinkSocket socket_;
  int protocol_;
  std::vector<std::uint8_t> request_;
  bool ended_ = false;
  bool interrupted_ = false;
};

}  // namespace ovs_dpif
