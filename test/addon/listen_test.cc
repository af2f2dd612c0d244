#include "socket/listen.h"

#include <thread>

#include "check.h"
#include "listening_kernel.h"

using namespace ovs_dpif;

namespace {

constexpr std::uint16_t kType = 0x30;
constexpr int kOne = ListeningKernel::kFirst;
constexpr int kTwo = kOne + 1;

Blob upcall(std::size_t payload) { return message(kType, 0, 0, Blob(payload)); }

struct Room {
  ListeningKernel kernel;
  Listener listener;
  Blob page = Blob(2 * Listener::kLeastRoom);

  explicit Room(std::size_t sockets = 1) : listener(kernel, 16, sockets, 12345) { listener.open(); }
  ListenPage next() { return listener.next(page); }
  std::uint32_t count(const ListenPage& result) { return check_framing(Bytes(page).first(result.size)).count; }
};

}  // namespace

TEST("every socket of a listener has a port id and the buffer that was asked for") {
  Room room(3);
  const auto ids = room.listener.port_ids();
  EQUAL(ids.size(), 3u);
  EQUAL(ids.at(0), 4000u + kOne);
  EQUAL(ids.at(2), 4000u + kOne + 2);
  EQUAL(room.kernel.receive_buffers.at(kTwo), 12345);
}

TEST("the first socket of a listener joins the groups, and the others none") {
  ListeningKernel kernel;
  Listener listener(kernel, 16, 2, 4096, {7, 9});
  OK(!listener.open());
  EQUAL(kernel.groups[kOne].size(), 2u);
  EQUAL(kernel.groups[kOne].at(1), 9);
  EQUAL(kernel.groups.count(kTwo), 0u);
}

TEST("a group that cannot be joined is an error, and no socket stays open") {
  ListeningKernel kernel;
  kernel.failing = "join";
  kernel.successes = 1;
  Listener listener(kernel, 16, 2, 4096, {7, 9});
  const auto error = listener.open();
  EQUAL(std::string(error.stage), "join");
  EQUAL(error.error, EINVAL);
  EQUAL(kernel.open_descriptors, 1);
}

TEST("what waits is one page, whichever socket it waits in, one of each in turn") {
  Room room(2);
  for (int i = 0; i < 3; i++) room.kernel.say(kOne, upcall(4));
  room.kernel.say(kTwo, upcall(8));
  const auto page = room.next();
  EQUAL(page.size, 3u * 20 + 24);
  EQUAL(load<nlmsghdr>(room.page, 20).nlmsg_len, 24u);
  OK(page.drained);
  OK(!page.ended);
  EQUAL(page.overruns, 0u);
}

TEST("nothing is read that there is no room for, and the page says that more is there") {
  Room room;
  for (int i = 0; i < 6; i++) room.kernel.say(kOne, upcall(60000));
  const auto first = room.next();
  OK(!first.drained);
  EQUAL(room.count(first), 5u);
  EQUAL(room.kernel.queues[kOne].size(), 1u);
  const auto second = room.next();
  EQUAL(room.count(second), 1u);
  OK(second.drained);
}

TEST("a read waits until there is something") {
  Room room;
  int polls = 0;
  room.kernel.on_poll = [&] {
    if (++polls == 3) room.kernel.say(kOne, upcall(4));
  };
  EQUAL(room.next().size, 20u);
  EQUAL(polls, 3);
}

TEST("an overflow is told, alone or with what was read") {
  Room room(2);
  room.kernel.fail(kOne, ENOBUFS);
  const auto alone = room.next();
  EQUAL(alone.overruns, 1u);
  EQUAL(alone.size, 0u);
  OK(!alone.error);
  room.kernel.fail(kOne, ENOBUFS);
  room.kernel.fail(kTwo, ENOBUFS);
  room.kernel.say(kOne, upcall(4));
  const auto both = room.next();
  EQUAL(both.overruns, 2u);
  EQUAL(both.size, 20u);
}

TEST("an interruption ends a read that waits, and all later ones") {
  Room room;
  room.kernel.on_poll = [&] { room.listener.interrupt(); };
  OK(room.next().ended);
  room.kernel.on_poll = [] {};
  room.kernel.say(kOne, upcall(4));
  OK(room.next().ended);
}

TEST("an interruption from another thread ends a read in the real kernel") {
  SystemKernel kernel;
  Listener listener(kernel, 0, 2, 4096);
  OK(!listener.open());
  std::thread reader([&] {
    Blob page(2 * Listener::kLeastRoom);
    OK(listener.next(page).ended);
  });
  listener.interrupt();
  reader.join();
}

TEST("a closed listener has nothing more to say, and no descriptors but the one that wakes") {
  Room room(4);
  EQUAL(room.kernel.open_descriptors, 5);
  room.listener.close();
  EQUAL(room.kernel.open_descriptors, 1);
  OK(room.next().ended);
}

TEST("a listener that goes closes everything") {
  ListeningKernel kernel;
  { Listener(kernel, 16, 3, 4096).open(); }
  EQUAL(kernel.open_descriptors, 0);
}

TEST("all sockets are opened or none") {
  ListeningKernel kernel;
  kernel.failing = "socket";
  kernel.successes = 2;
  Listener listener(kernel, 16, 4, 4096);
  const auto error = listener.open();
  EQUAL(std::string(error.stage), "socket");
  EQUAL(error.error, EMFILE);
  EQUAL(kernel.open_descriptors, 1);
}

TEST("without a way to be woken nothing is opened") {
  ListeningKernel kernel;
  kernel.failing = "eventfd";
  Listener listener(kernel, 16, 1, 4096);
  EQUAL(std::string(listener.open().stage), "eventfd");
  listener.interrupt();
  EQUAL(kernel.open_descriptors, 0);
}

TEST("messages of others and control messages leave no gap") {
  Room room;
  room.kernel.queues[kOne].push_back({upcall(100), 0, 77});
  room.kernel.say(kOne, message(NLMSG_NOOP, 0, 0) + upcall(4) + ack(0) + upcall(8));
  const auto page = room.next();
  EQUAL(page.size, 20u + 24);
  EQUAL(room.count(page), 2u);
}

TEST("what is no whole message is an error, and what came before it is good") {
  Blob cut = upcall(100);
  cut.resize(60);
  Room room;
  room.kernel.say(kOne, upcall(4) + cut);
  const auto page = room.next();
  EQUAL(page.size, 20u);
  EQUAL(page.error.error, EBADMSG);
}

TEST("a message larger than any is an error and not a silent gap") {
  Room room;
  room.kernel.say(kOne, upcall(2 * Listener::kLeastRoom));
  EQUAL(room.next().error.error, EMSGSIZE);
}

TEST("a socket that fails is an error with its errno") {
  Room room;
  room.kernel.fail(kOne, EIO);
  const auto page = room.next();
  EQUAL(std::string(page.error.stage), "receive");
  EQUAL(page.error.error, EIO);
}

TEST("interrupted polls are made again") {
  Room room;
  room.kernel.interrupts = 3;
  room.kernel.say(kOne, upcall(4));
  EQUAL(room.next().size, 20u);
}
