// Stand-in for Gloo's header: only what ProcessGroupGloo.hpp names. See shim/README.md.
#pragma once
#include <chrono>

namespace gloo {
class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};
} // namespace gloo
