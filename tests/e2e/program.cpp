#include "tests/e2e/program.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "core/base/files.h"

namespace attelier {

namespace fs = std::filesystem;

Program::Program(const fs::path& home, const std::vector<std::string>& arguments, const std::string& input, const std::map<std::string, std::string>& environment,
                 uint64_t address_space) {
  static int number = 0;
  const std::string name = "run-" + std::to_string(number++);
  output_ = home / (name + ".out");
  errors_ = home / (name + ".err");
  input_ = home / (name + ".in");
  std::ofstream(input_, std::ios::binary) << input;
  std::vector<std::string> variables = {"HOME=" + home.string(), "PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"};
  for (const char* folder : {"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"}) variables.push_back(std::string(folder) + "=" + home.string());
  for (const auto& [key, value] : environment) variables.push_back(key + "=" + value);
  std::vector<std::string> words = {ATTELIER_PROGRAM};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv, envp;
  for (std::string& word : words) argv.push_back(word.data());
  for (std::string& variable : variables) envp.push_back(variable.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  process_ = fork();
  if (process_ != 0) return;
  // Only async-signal-safe calls between fork and exec.
  const int in = open(input_.c_str(), O_RDONLY), out = open(output_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), err = open(errors_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  if (address_space > 0) {
    const rlimit limit{address_space, address_space};
    setrlimit(RLIMIT_AS, &limit);
  }
  execve(argv[0], argv.data(), envp.data());
  _exit(127);
}

Program::~Program() {
  if (ended_ || process_ <= 0) return;
  kill(process_, SIGKILL);
  waitpid(process_, &status_, 0);
}

void Program::send(int signal) const { kill(process_, signal); }

bool Program::running() {
  if (!ended_) ended_ = waitpid(process_, &status_, WNOHANG) == process_;
  return !ended_;
}

ProgramResult Program::finish() {
  if (!ended_) waitpid(process_, &status_, 0);
  ended_ = true;
  const int code = WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_);
  return {code, read_file(output_), read_file(errors_)};
}

}  // namespace attelier
