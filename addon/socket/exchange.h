#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "socket/message.h"
#include "socket/netlink_socket.h"
#include "socket/result.h"

namespace ovs_dpif {

/** What became of one batch. */
struct ExchangeResult {
  /** Set when the batch as a whole failed; the rest then means nothing. */
  SocketError error;
  std::uint32_t count = 0;
  /** Ascending by index. A message that is not listed has succeeded. */
  std::vector<Failure> failures;
  /** Whole messages; `nlmsg_seq` is the index, in the batch, of the message that is answered. */
  std::vector<std::uint8_t> replies;
};

/**
 * Request and answer over one socket.
 *
 * The kernel carries a netlink request out inside send, in the order of the messages, so when send returns all
 * answers are in the receive queue and nothing has to be waited for. Only the last message of a send asks for an ACK:
 * once it is answered, every earlier message without a refusal has succeeded. That holds only as long as no answer was
 * dropped for want of memory; then what is not proven is reported as ENOBUFS, and nothing is ever sent again, because
 * a create is not the same when it is done twice.
 */
class Exchanger {
 public:
  explicit Exchanger(NetlinkSocket& socket);

  /** Stamps, sends and settles every message of `batch`. Framing is checked before anything is sent. */
  ExchangeResult exchange(WritableBytes batch);

 private:
  static constexpr std::uint32_t kMaxMessages = 1024;

  enum class Outcome : std::uint8_t { unknown, answered, refused, lost };

  /** What goes into one send. */
  struct Burst {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    std::size_t size = 0;
    /** How many failures there were before this burst. */
    std::size_t failures_before = 0;
    /** The last message is answered. */
    bool complete = false;
    bool answers_lost = false;
    std::array<Outcome, kMaxMessages> outcomes{};
  };

  void cut_and_stamp(WritableBytes rest, Burst& burst);
  SocketError collect(Burst& burst);
  void read_datagram(Bytes datagram, Burst& burst);
  void read_message(const nlmsghdr& header, Bytes message, Burst& burst);
  void read_cut_message(const nlmsghdr& header, Bytes rest, Burst& burst);
  void answer(std::uint32_t position, Refusal refusal, Burst& burst);
  void add_reply(std::uint32_t index, Bytes message);
  void settle(Burst& burst);

  NetlinkSocket& socket_;
  std::uint32_t next_sequence_ = 1;
  std::uint32_t base_ = 0;
  std::vector<std::uint8_t> buffer_;
  ExchangeResult result_;
};

}  // namespace ovs_dpif
