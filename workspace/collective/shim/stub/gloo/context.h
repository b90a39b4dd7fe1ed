// Stand-in for Gloo's header: only what ProcessGroupGloo.hpp names and the shim calls. See shim/README.md.
#pragma once
#include <chrono>
#include <memory>

#include <gloo/transport/pair.h>

namespace gloo {
class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
  std::unique_ptr<transport::Pair>& getPair(int peer);
};
} // namespace gloo
