// The real program, run as a user runs it.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace attelier {

struct ProgramResult {
  int code = 0;  // exit status; 128 + signal if a signal ended it
  std::string output, errors;
};

/// One process. Its environment has nothing but what `environment` and a few plain variables say; all XDG folders lie under `home`.
class Program {
 public:
  Program(const std::filesystem::path& home, const std::vector<std::string>& arguments, const std::string& input = "",
          const std::map<std::string, std::string>& environment = {}, uint64_t address_space = 0);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void send(int signal) const;
  pid_t process() const { return process_; }
  /// Whether the process still runs.
  bool running();
  /// Waits for the end.
  ProgramResult finish();

 private:
  pid_t process_ = -1;
  int status_ = 0;
  bool ended_ = false;
  std::filesystem::path output_, errors_, input_;
};

}  // namespace attelier
