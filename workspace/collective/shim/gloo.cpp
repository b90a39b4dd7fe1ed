// A C interface to libtorch's Gloo process group. See README.md.
#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <gloo/transport/tcp/pair.h>

#include <ATen/core/Tensor.h>
#include <c10/util/Logging.h>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using Milliseconds = std::chrono::milliseconds;

struct Server {
  c10::intrusive_ptr<c10d::TCPStore> store;
};

// A process group whose connections another thread may break.
class Breakable : public c10d::ProcessGroupGloo {
 public:
  using c10d::ProcessGroupGloo::ProcessGroupGloo;

  // What Gloo itself does when an operation times out, to every connection and now: waits end with `why`, and the
  // other ranks learn that this one has gone.
  void break_off(const std::string& why) {
    for (const auto& context : contexts_) {
      for (int peer = 0; peer < getSize(); ++peer) {
        // createDeviceForHostname makes devices of TCP, so all pairs are; there is none to oneself.
        if (auto* pair = static_cast<gloo::transport::tcp::Pair*>(context->getPair(peer).get())) {
          pair->signalExceptionExternal(why);
        }
      }
    }
  }
};

// What the thread in an operation and the one that breaks it off share. One operation at a time.
struct Wait {
  std::mutex mutex;
  std::condition_variable changed;
  bool finished = false;
  bool broken = false;
};

struct Group {
  c10::intrusive_ptr<Breakable> gloo;
  Milliseconds timeout;
  std::shared_ptr<Wait> wait = std::make_shared<Wait>();
};

// Does not keep the group open.
struct Breaker {
  c10::weak_intrusive_ptr<Breakable> gloo;
  std::shared_ptr<Wait> wait;
};

// Runs `body`; what it throws becomes a message for the caller to free.
template <typename Body>
char* guarded(Body body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const c10::Error& error) {
    return strdup(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return strdup(error.what());
  } catch (...) {
    return strdup("an exception of an unknown type");
  }
}

// While one lives, libtorch does not log (unless TORCH_CPP_LOG_LEVEL says what to log). A meeting that is retried or
// fails would print warnings and back-traces, and its error is returned anyway. The level is the process's, and
// several groups may meet at a time, so the last to go restores it.
class Quiet {
 public:
  Quiet() {
    const std::lock_guard<std::mutex> lock(mutex);
    if (living++ == 0 && std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) {
      level = std::exchange(FLAGS_caffe2_log_level, c10::GLOG_FATAL);
    }
  }
  ~Quiet() {
    const std::lock_guard<std::mutex> lock(mutex);
    if (--living == 0 && std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) {
      FLAGS_caffe2_log_level = level;
    }
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  static inline std::mutex mutex;
  static inline int living = 0;
  static inline int level = 0;
};

// libtorch keeps a record of the last collectives of all groups of the process, which several groups at a time, one of
// them broken off perhaps, write to without a lock that holds: it crashes. Nobody reads it here.
void keep_no_record() {
  static std::once_flag once;
  std::call_once(once, [] { setenv("TORCH_FR_BUFFER_SIZE", "0", 0); });
}

constexpr Milliseconds kLocalWork(250);

constexpr const char* kBrokenOff = "Connection broken off: this rank leaves the group";

// Waits until the work has ended, which Gloo's own time-out sees to, or until it is broken off. Then Gloo's thread may
// still sit in the operation until that time-out; its connections are closed, so nothing is written to its tensors any
// more, and it keeps them alive.
void finish(Group* group, const c10::intrusive_ptr<c10d::Work>& work) {
  const auto wait = group->wait;
  work->getFuture()->addCallback([wait](c10::ivalue::Future&) {
    const std::lock_guard<std::mutex> lock(wait->mutex);
    wait->finished = true;
    wait->changed.notify_all();
  });
  {
    std::unique_lock<std::mutex> lock(wait->mutex);
    wait->changed.wait(lock, [&] { return wait->finished || wait->broken; });
    if (wait->broken) {
      // Gloo's thread may be adding up what has come; it is done with that in no time, and most often it wakes and ends.
      wait->changed.wait_for(lock, kLocalWork, [&] { return wait->finished; });
      throw std::runtime_error(kBrokenOff);
    }
    wait->finished = false;
  }
  work->wait();
}

} // namespace

extern "C" {

void twinspire_error_free(char* message) {
  free(message);
}

// Serves rendezvous on `listen_fd`, a socket bound and listening on `port`, which is taken over even on failure.
char* twinspire_server_start(int listen_fd, const char* host, uint16_t port, int64_t timeout_ms, Server** server) {
  return guarded([&] {
    c10d::TCPStoreOptions options;
    options.isServer = true;
    options.masterListenFd = listen_fd;
    options.port = port;
    options.waitWorkers = false;
    options.timeout = Milliseconds(timeout_ms);
    *server = new Server{c10::make_intrusive<c10d::TCPStore>(host, options)};
  });
}

void twinspire_server_stop(Server* server) {
  delete server;
}

// Meets the other ranks at host:port under `prefix` and opens a connection to each. `bind` is the local address
// on which the other ranks reach this one.
char* twinspire_group_connect(
    const char* host,
    uint16_t port,
    const char* bind,
    const char* prefix,
    int rank,
    int size,
    int64_t timeout_ms,
    Group** group) {
  const Quiet quiet;
  keep_no_record();
  return guarded([&] {
    const Milliseconds timeout(timeout_ms);
    c10d::TCPStoreOptions store_options;
    store_options.port = port;
    store_options.waitWorkers = false;
    store_options.timeout = timeout;
    auto store = c10::make_intrusive<c10d::TCPStore>(host, store_options);
    auto prefixed = c10::make_intrusive<c10d::PrefixStore>(prefix, store);
    prefixed->setTimeout(timeout);

    auto options = c10d::ProcessGroupGloo::Options::create(timeout);
    options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(bind));
    // Collectives are called one at a time, so a second thread would only wait.
    options->threads = 1;
    *group = new Group{c10::make_intrusive<Breakable>(prefixed, rank, size, options), timeout};
  });
}

// How long an operation waits for another rank from now on.
void twinspire_group_set_timeout(Group* group, int64_t timeout_ms) {
  group->timeout = Milliseconds(timeout_ms);
}

// Closes the connections: whoever still waits for this rank learns at once that it has gone.
void twinspire_group_close(Group* group) {
  bool broken = false;
  {
    const std::lock_guard<std::mutex> lock(group->wait->mutex);
    broken = group->wait->broken;
  }
  if (broken) {
    // Its destructor waits for Gloo's thread; nobody else does, unless there can be no more threads.
    try {
      std::thread([group] { delete group; }).detach();
    } catch (const std::system_error&) {
      delete group;
    }
  } else {
    delete group;
  }
}

// What can break the group off while another thread is in an operation.
Breaker* twinspire_group_breaker(Group* group) {
  return new Breaker{c10::weak_intrusive_ptr<Breakable>(group->gloo), group->wait};
}

// A group that is closed already is left alone.
char* twinspire_breaker_break_off(Breaker* breaker) {
  return guarded([&] {
    if (auto gloo = breaker->gloo.lock()) {
      {
        const std::lock_guard<std::mutex> lock(breaker->wait->mutex);
        breaker->wait->broken = true;
        breaker->wait->changed.notify_all();
      }
      gloo->break_off(kBrokenOff);
    }
  });
}

void twinspire_breaker_free(Breaker* breaker) {
  delete breaker;
}

char* twinspire_all_reduce_sum(Group* group, at::Tensor* tensor) {
  return guarded([&] {
    c10d::AllreduceOptions options;
    options.reduceOp = c10d::ReduceOp::SUM;
    options.timeout = group->timeout;
    std::vector<at::Tensor> tensors{*tensor};
    finish(group, group->gloo->allreduce(tensors, options));
  });
}

// output: [size * rows, ..] from input: [rows, ..], the same shape on every rank.
char* twinspire_all_gather(Group* group, at::Tensor* output, at::Tensor* input) {
  return guarded([&] {
    c10d::AllgatherOptions options;
    options.timeout = group->timeout;
    finish(group, group->gloo->_allgather_base(*output, *input, options));
  });
}

// The first send_rows[0] rows of input go to rank 0, the next send_rows[1] to rank 1 and so on; output takes
// receive_rows[r] rows from each rank r in turn. Both arrays are of the group's size.
char* twinspire_all_to_all(
    Group* group,
    at::Tensor* output,
    at::Tensor* input,
    const int64_t* receive_rows,
    const int64_t* send_rows) {
  return guarded([&] {
    const auto size = group->gloo->getSize();
    std::vector<int64_t> receive(receive_rows, receive_rows + size);
    std::vector<int64_t> send(send_rows, send_rows + size);
    c10d::AllToAllOptions options;
    options.timeout = group->timeout;
    finish(group, group->gloo->alltoall_base(*output, *input, receive, send, options));
  });
}

char* twinspire_broadcast(Group* group, at::Tensor* tensor, int root) {
  return guarded([&] {
    c10d::BroadcastOptions options;
    options.rootRank = root;
    options.timeout = group->timeout;
    std::vector<at::Tensor> tensors{*tensor};
    finish(group, group->gloo->broadcast(tensors, options));
  });
}

char* twinspire_barrier(Group* group) {
  return guarded([&] {
    c10d::BarrierOptions options;
    options.timeout = group->timeout;
    finish(group, group->gloo->barrier(options));
  });
}

} // extern "C"
