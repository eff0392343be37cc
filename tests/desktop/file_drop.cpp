#include "tests/desktop/file_drop.h"

#include <X11/Xatom.h>
#include <X11/Xlib.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>

namespace attelier {
namespace {

constexpr long kVersion = 5;
constexpr double kPatience = 10;  // seconds

class FileDrop {
 public:
  FileDrop(Display* display, const std::vector<std::filesystem::path>& files) : display_(display), root_(DefaultRootWindow(display)) {
    for (const std::filesystem::path& file : files) uris_ += "file://" + std::filesystem::absolute(file).string() + "\r\n";
    source_ = XCreateSimpleWindow(display_, root_, 0, 0, 1, 1, 0, 0, 0);
  }
  ~FileDrop() { XDestroyWindow(display_, source_); }

  bool run(int x, int y) {
    target_ = aware_window(root_);
    if (target_ == None) return false;
    XSetSelectionOwner(display_, atom("XdndSelection"), source_, CurrentTime);
    tell("XdndEnter", kVersion << 24, static_cast<long>(atom("text/uri-list")), 0, 0);
    tell("XdndPosition", 0, (static_cast<long>(x) << 16) | y, CurrentTime, static_cast<long>(atom("XdndActionCopy")));
    bool accepts = false;
    if (!answer("XdndStatus", [&](const XClientMessageEvent& message) { accepts = (message.data.l[1] & 1) != 0; }) || !accepts) return false;
    tell("XdndDrop", 0, CurrentTime, 0, 0);
    return answer("XdndFinished", [](const XClientMessageEvent&) {});
  }

 private:
  Atom atom(const char* name) const { return XInternAtom(display_, name, False); }

  /// The window at or below `window` that takes drops.
  Window aware_window(Window window) const {
    Atom type = None;
    int format = 0;
    unsigned long count = 0, rest = 0;
    unsigned char* data = nullptr;
    XGetWindowProperty(display_, window, atom("XdndAware"), 0, 1, False, AnyPropertyType, &type, &format, &count, &rest, &data);
    if (data != nullptr) XFree(data);
    if (type != None) return window;
    Window root = None, parent = None, *children = nullptr;
    unsigned children_count = 0;
    Window found = None;
    if (XQueryTree(display_, window, &root, &parent, &children, &children_count) == 0) return None;
    for (unsigned i = 0; i < children_count && found == None; ++i) found = aware_window(children[i]);
    if (children != nullptr) XFree(children);
    return found;
  }

  void tell(const char* what, long one, long two, long three, long four) const {
    XEvent event{};
    event.xclient.type = ClientMessage;
    event.xclient.window = target_;
    event.xclient.message_type = atom(what);
    event.xclient.format = 32;
    event.xclient.data.l[0] = static_cast<long>(source_);
    event.xclient.data.l[1] = one, event.xclient.data.l[2] = two, event.xclient.data.l[3] = three, event.xclient.data.l[4] = four;
    XSendEvent(display_, target_, False, NoEventMask, &event);
    XFlush(display_);
  }

  /// Hands the files out until the window says `what`.
  bool answer(const char* what, const std::function<void(const XClientMessageEvent&)>& take) const {
    const auto start = std::chrono::steady_clock::now();
    while (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < kPatience) {
      if (XPending(display_) == 0) {
        usleep(10'000);
        continue;
      }
      XEvent event;
      XNextEvent(display_, &event);
      if (event.type == SelectionRequest) hand_out(event.xselectionrequest);
      if (event.type != ClientMessage || event.xclient.message_type != atom(what)) continue;
      take(event.xclient);
      return true;
    }
    return false;
  }

  void hand_out(const XSelectionRequestEvent& request) const {
    XChangeProperty(display_, request.requestor, request.property, request.target, 8, PropModeReplace, reinterpret_cast<const unsigned char*>(uris_.data()), static_cast<int>(uris_.size()));
    XEvent event{};
    event.xselection = {.type = SelectionNotify, .serial = 0, .send_event = True, .display = display_, .requestor = request.requestor, .selection = request.selection, .target = request.target,
                        .property = request.property, .time = request.time};
    XSendEvent(display_, request.requestor, False, NoEventMask, &event);
    XFlush(display_);
  }

  Display* display_;
  Window root_, source_ = None, target_ = None;
  std::string uris_;
};

}  // namespace

bool drop_files(const std::string& display, const std::vector<std::filesystem::path>& files, int x, int y) {
  const std::unique_ptr<Display, int (*)(Display*)> open(XOpenDisplay(display.c_str()), XCloseDisplay);
  return open && FileDrop(open.get(), files).run(x, y);
}

}  // namespace attelier
