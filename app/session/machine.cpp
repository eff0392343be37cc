#include "app/session/machine.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <dlfcn.h>
#include <sys/resource.h>
#include <torch/version.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace attelier {

std::string version() { return ATTELIER_VERSION " (" ATTELIER_COMMIT ")"; }

std::string load_cuda() {
  if (at::hasCUDA()) return {};
  if (dlopen("libcuda.so.1", RTLD_LAZY | RTLD_GLOBAL) == nullptr) return "no NVIDIA driver (libcuda.so.1) on this machine";
  if (dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_GLOBAL) == nullptr) return fmt::format("libtorch's CUDA half cannot be loaded: {}; run third_party/bootstrap --cuda", dlerror());
  return at::hasCUDA() ? "" : "libtorch finds no usable GPU";
}

std::string machine_report() {
  const std::string cuda = load_cuda();
  return fmt::format("attelier {}\nlibtorch {}\nCPU {}, {} threads\nCUDA {}\n", version(), TORCH_VERSION, at::get_cpu_capability(), at::get_num_threads(),
                     cuda.empty() ? fmt::format("{} device(s)", at::getNumGPUs()) : "not used: " + cuda);
}

int64_t peak_memory() {
  // Linux's record of this program alone; rusage also knows the peak of whatever started it.
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

int64_t resident_memory() {
  int64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

}  // namespace attelier
