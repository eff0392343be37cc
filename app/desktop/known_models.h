// The models that are known by name, and of what family each is: looked through on another thread whenever a list of them is opened.
#pragma once

#include <functional>
#include <future>
#include <string>
#include <utility>
#include <vector>

namespace attelier::desktop {

class KnownModels {
 public:
  /// `wake` is called from another thread when the models were looked through.
  explicit KnownModels(std::function<void()> wake) : wake_(std::move(wake)) {}

  void look();
  /// Names whose family begins with one of these, as they were seen last.
  std::vector<std::string> of(const std::vector<std::string>& families);

 private:
  using Named = std::vector<std::pair<std::string, std::string>>;  // name, family

  std::function<void()> wake_;
  Named models_;
  std::future<Named> coming_;
};

}  // namespace attelier::desktop
