#include "app/desktop/window.h"

#include <epoxy/gl.h>
#include <GLFW/glfw3.h>
#include <imgui.h>
#include <imgui_impl_glfw.h>
#include <imgui_impl_opengl3.h>
#include <imgui_internal.h>

#include <cstdlib>

#include "core/base/error.h"

namespace attelier::desktop {
namespace {

using Kind = InputEvent::Kind;
using Action = InputEvent::Action;

std::string g_glfw_error;

[[noreturn]] void no_window(const std::string& reason) {
  const char* display = std::getenv("DISPLAY");
  fail(ExitCode::kUnexpected, "no window could be opened ({}); DISPLAY is {}. Start the app on a desktop, set DISPLAY, or use the command line: attelier --help", reason,
       display == nullptr ? "not set" : fmt::format("\"{}\"", display));
}

void ignore(void*, const char*, ...) {}

/// The modifiers after the event: X11 says of a modifier's own key what was held before it.
int held_modifiers(const InputEvent& event) {
  int held = event.modifiers;
  for (const auto& [bit, name] : {std::pair{kShift, "Shift"}, {kControl, "Ctrl"}, {kAlt, "Alt"}})
    if (event.kind == Kind::kKey && event.key == name) held = event.action == Action::kRelease ? held & ~bit : held | bit;
  return held;
}

/// Dear ImGui 1.86 reads its own shortcuts (Ctrl+C ...) by US key codes.
int imgui_key(const InputEvent& event) {
  if (event.key.size() == 1 && event.key[0] >= 'a' && event.key[0] <= 'z') return GLFW_KEY_A + (event.key[0] - 'a');
  return event.code;
}

}  // namespace

struct Window::Callbacks {
  static Window& of(GLFWwindow* window) { return *static_cast<Window*>(glfwGetWindowUserPointer(window)); }

  static void push(GLFWwindow* window, InputEvent event) {
    Window& self = of(window);
    // Where the pointer was then: glfwGetCursorPos() says where it is now.
    if (event.kind != Kind::kScroll) event.x = self.heard_x_, event.y = self.heard_y_;
    self.changed_ = true;
    self.input_.push(std::move(event));
  }
  static void key(GLFWwindow* window, int code, int scancode, int action, int modifiers) {
    if (code == GLFW_KEY_UNKNOWN) return;
    push(window, {.kind = Kind::kKey, .action = static_cast<Action>(action), .code = code, .key = key_name(code, glfwGetKeyName(code, scancode)), .modifiers = modifiers & 15, .files = {}});
  }
  static void button(GLFWwindow* window, int code, int action, int modifiers) {
    push(window, {.kind = Kind::kButton, .action = static_cast<Action>(action), .code = code, .key = {}, .modifiers = modifiers & 15, .files = {}});
  }
  static void motion(GLFWwindow* window, double x, double y) {
    of(window).heard_x_ = x;
    of(window).heard_y_ = y;
    push(window, {.kind = Kind::kMotion, .key = {}, .files = {}});
  }
  static void scroll(GLFWwindow* window, double x, double y) { push(window, {.kind = Kind::kScroll, .key = {}, .x = x, .y = y, .files = {}}); }
  static void character(GLFWwindow* window, unsigned int c) { push(window, {.kind = Kind::kCharacter, .key = {}, .character = c, .files = {}}); }
  static void drop(GLFWwindow* window, int count, const char** paths) {
    glfwGetCursorPos(window, &of(window).heard_x_, &of(window).heard_y_);  // no motion is heard while another program drags
    InputEvent event{.kind = Kind::kDrop, .key = {}, .files = {}};
    for (int i = 0; i < count; ++i) event.files.emplace_back(paths[i]);
    push(window, std::move(event));
  }
  static void changed(GLFWwindow* window) { of(window).changed_ = true; }
};

Window::Window(const WindowOptions& options) {
  glfwSetErrorCallback([](int, const char* text) { g_glfw_error = text; });
  if (!glfwInit()) no_window(g_glfw_error.empty() ? "GLFW did not start" : g_glfw_error);
  glfwWindowHint(GLFW_CONTEXT_VERSION_MAJOR, 3);
  glfwWindowHint(GLFW_CONTEXT_VERSION_MINOR, 3);
  glfwWindowHint(GLFW_OPENGL_PROFILE, GLFW_OPENGL_CORE_PROFILE);
  glfwWindowHint(GLFW_OPENGL_FORWARD_COMPAT, GLFW_TRUE);
  glfwWindowHint(GLFW_CONTEXT_ROBUSTNESS, GLFW_LOSE_CONTEXT_ON_RESET);  // where the driver can say so
  window_ = glfwCreateWindow(options.width, options.height, options.title.c_str(), nullptr, nullptr);
  if (window_ == nullptr) {
    glfwTerminate();
    no_window(g_glfw_error + "; OpenGL 3.3 is needed, Mesa's software renderer (libgl1-mesa-dri) has it");
  }
  glfwSetWindowSizeLimits(window_, 640, 400, GLFW_DONT_CARE, GLFW_DONT_CARE);
  glfwMakeContextCurrent(window_);
  glfwSwapInterval(1);
  tells_of_resets_ = glfwGetWindowAttrib(window_, GLFW_CONTEXT_ROBUSTNESS) == GLFW_LOSE_CONTEXT_ON_RESET;
  glfwSetWindowUserPointer(window_, this);
  glfwSetKeyCallback(window_, Callbacks::key);
  glfwSetMouseButtonCallback(window_, Callbacks::button);
  glfwSetCursorPosCallback(window_, Callbacks::motion);
  glfwSetScrollCallback(window_, Callbacks::scroll);
  glfwSetCharCallback(window_, Callbacks::character);
  glfwSetDropCallback(window_, Callbacks::drop);
  glfwSetWindowRefreshCallback(window_, Callbacks::changed);
  glfwSetFramebufferSizeCallback(window_, [](GLFWwindow* window, int, int) { Callbacks::changed(window); });
  glfwSetWindowFocusCallback(window_, [](GLFWwindow* window, int) { Callbacks::changed(window); });
  glfwSetWindowContentScaleCallback(window_, [](GLFWwindow* window, float, float) { Callbacks::changed(window); });
  ImGui::CreateContext();
  ImGui::GetIO().IniFilename = nullptr;
  ImGui::GetIO().ConfigFlags |= ImGuiConfigFlags_NavEnableKeyboard;
  ImGui_ImplGlfw_InitForOpenGL(window_, /*install_callbacks=*/false);
  ImGui_ImplOpenGL3_Init("#version 330 core");
}

Window::~Window() {
  ImGui_ImplOpenGL3_Shutdown();
  ImGui_ImplGlfw_Shutdown();
  ImGui::DestroyContext();
  glfwDestroyWindow(window_);
  glfwTerminate();
}

bool Window::wait(double seconds) {
  if (changed_ || has_input() || seconds <= 0) glfwPollEvents();
  else glfwWaitEventsTimeout(seconds);
  return changed_.exchange(false) || has_input();
}

void Window::wake() {
  changed_ = true;
  glfwPostEmptyEvent();
}

void Window::forward(const InputEvent& event) {
  ImGuiIO& io = ImGui::GetIO();
  switch (event.kind) {
    case Kind::kKey:
      io.KeysDown[imgui_key(event)] = event.action != Action::kRelease;
      break;
    case Kind::kButton:
      if (event.code < 5) buttons_[event.code] = event.action == Action::kPress;
      break;
    case Kind::kScroll:
      io.MouseWheelH += static_cast<float>(event.x);
      io.MouseWheel += static_cast<float>(event.y);
      break;
    case Kind::kCharacter:
      io.AddInputCharacter(event.character);
      break;
    case Kind::kMotion:
    case Kind::kDrop:
      break;
  }
}

void Window::frame(const std::function<bool(const InputEvent&)>& shortcut, const std::function<void()>& draw) {
  pointer_events_.clear();
  ImGuiIO& io = ImGui::GetIO();
  for (const InputEvent& event : input_.next_frame()) {
    if (event.kind != Kind::kScroll) {
      pointer_x_ = event.x;
      pointer_y_ = event.y;
    }
    if (event.kind == Kind::kKey || event.kind == Kind::kButton) {
      const int held = held_modifiers(event);
      io.KeyCtrl = held & kControl;
      io.KeyShift = held & kShift;
      io.KeyAlt = held & kAlt;
      io.KeySuper = held & kSuper;
    }
    if (event.kind == Kind::kMotion || event.kind == Kind::kButton) pointer_events_.push_back(event);
    // A release always reaches Dear ImGui, or a key would stay down.
    if (!shortcut(event) || event.action == Action::kRelease) forward(event);
  }
  ImGui_ImplOpenGL3_NewFrame();
  ImGui_ImplGlfw_NewFrame();
  // The backend polled the pointer as it is now; the frame wants it as it was.
  const bool focused = glfwGetWindowAttrib(window_, GLFW_FOCUSED) || glfwGetWindowAttrib(window_, GLFW_HOVERED);
  io.MousePos = focused || buttons_[0] ? ImVec2(static_cast<float>(pointer_x_), static_cast<float>(pointer_y_)) : ImVec2(-FLT_MAX, -FLT_MAX);
  for (int i = 0; i < 5; ++i) io.MouseDown[i] = buttons_[i];
  ImGui::NewFrame();
  std::exception_ptr thrown;
  try {
    draw();
  } catch (...) {
    thrown = std::current_exception();
    ImGui::ErrorCheckEndFrameRecover(ignore, nullptr);
  }
  ImGui::Render();
  int width = 0, height = 0;
  glfwGetFramebufferSize(window_, &width, &height);
  glViewport(0, 0, width, height);
  glClearColor(0.07f, 0.07f, 0.08f, 1);
  glClear(GL_COLOR_BUFFER_BIT);
  ImGui_ImplOpenGL3_RenderDrawData(ImGui::GetDrawData());
  if (std::exchange(wants_screenshot_, false)) screenshot_ = read_back_buffer();
  glfwSwapBuffers(window_);
  if (graphics_are_lost()) throw GraphicsLost();
  if (thrown) std::rethrow_exception(thrown);
}

bool Window::wants_to_close() const { return glfwWindowShouldClose(window_) != 0; }
void Window::keep_open() { glfwSetWindowShouldClose(window_, GLFW_FALSE); }
void Window::set_title(const std::string& title) { glfwSetWindowTitle(window_, title.c_str()); }
bool Window::is_focused() const { return glfwGetWindowAttrib(window_, GLFW_FOCUSED) == GLFW_TRUE; }
bool Window::is_full_screen() const { return glfwGetWindowMonitor(window_) != nullptr; }

void Window::set_full_screen(bool full_screen) {
  if (full_screen == is_full_screen()) return;
  if (!full_screen) return glfwSetWindowMonitor(window_, nullptr, windowed_[0], windowed_[1], windowed_[2], windowed_[3], GLFW_DONT_CARE);
  GLFWmonitor* const monitor = glfwGetPrimaryMonitor();
  if (monitor == nullptr) return;
  glfwGetWindowPos(window_, &windowed_[0], &windowed_[1]);
  glfwGetWindowSize(window_, &windowed_[2], &windowed_[3]);
  const GLFWvidmode* const mode = glfwGetVideoMode(monitor);
  glfwSetWindowMonitor(window_, monitor, 0, 0, mode->width, mode->height, mode->refreshRate);
}

double Window::content_scale() const {
  float x = 1, y = 1;
  glfwGetWindowContentScale(window_, &x, &y);
  return std::max(x, y);
}

std::string Window::clipboard() const {
  const char* text = glfwGetClipboardString(window_);
  return text == nullptr ? "" : text;
}
void Window::set_clipboard(const std::string& text) { glfwSetClipboardString(window_, text.c_str()); }

bool Window::graphics_are_lost() const {
  if (!tells_of_resets_) return false;
  if (epoxy_gl_version() >= 45 || epoxy_has_gl_extension("GL_KHR_robustness")) return glGetGraphicsResetStatus() != GL_NO_ERROR;
  return epoxy_has_gl_extension("GL_ARB_robustness") && glGetGraphicsResetStatusARB() != GL_NO_ERROR;
}

Image Window::read_back_buffer() const {
  int width = 0, height = 0;
  glfwGetFramebufferSize(window_, &width, &height);
  Image image{width, height, 3, std::vector<uint8_t>(static_cast<size_t>(width) * static_cast<size_t>(height) * 3)};
  glPixelStorei(GL_PACK_ALIGNMENT, 1);
  glReadBuffer(GL_BACK);
  glReadPixels(0, 0, width, height, GL_RGB, GL_UNSIGNED_BYTE, image.pixels.data());
  const size_t row = static_cast<size_t>(width) * 3;
  for (int y = 0; y < height / 2; ++y)
    std::swap_ranges(image.pixels.begin() + static_cast<std::ptrdiff_t>(row) * y, image.pixels.begin() + static_cast<std::ptrdiff_t>(row) * (y + 1),
                     image.pixels.begin() + static_cast<std::ptrdiff_t>(row) * (height - 1 - y));
  return image;
}

}  // namespace attelier::desktop
