// Stand-in for Gloo's header: only what the shim calls. See shim/README.md.
#pragma once
#include <exception>
#include <string>

#include <gloo/transport/pair.h>

namespace gloo::transport::tcp {
// Its first base, so both have one address.
class Pair : public ::gloo::transport::Pair {
 public:
  // What everybody who waits for the pair throws from then on.
  std::exception_ptr signalExceptionExternal(const std::string& message);
};
} // namespace gloo::transport::tcp
