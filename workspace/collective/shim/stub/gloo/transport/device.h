// Stand-in for Gloo's header: only what ProcessGroupGloo.hpp names. See shim/README.md.
#pragma once

namespace gloo::transport {
class Device;
class UnboundBuffer;
} // namespace gloo::transport
