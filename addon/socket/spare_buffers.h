#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace ovs_dpif {

/**
 * Buffers of batches that are done, for the next ones: fresh memory for every batch would cost a page fault for every
 * 4 KiB. Two suffice, as many as a caller has under way; a huge one is given back.
 */
class SpareBuffers {
 public:
  std::vector<std::uint8_t> take() {
    if (spare_.empty()) return {};
    std::vector<std::uint8_t> buffer = std::move(spare_.back());
    spare_.pop_back();
    return buffer;
  }

  void put(std::vector<std::uint8_t> buffer) {
    if (spare_.size() < kMost && buffer.capacity() <= kLargest) spare_.push_back(std::move(buffer));
  }

 private:
  static constexpr std::size_t kMost = 2;
  static constexpr std::size_t kLargest = 4 << 20;

  std::vector<std::vector<std::uint8_t>> spare_;
};

}  // namespace ovs_dpif
