// Stand-in for Gloo's header: only what the shim names. See shim/README.md.
#pragma once

namespace gloo::transport {
class Pair {
 public:
  virtual ~Pair() = 0;
};
} // namespace gloo::transport
