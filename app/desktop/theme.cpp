#include "app/desktop/theme.h"

#include <imgui_freetype.h>
#include <imgui_impl_opengl3.h>

#include <cmath>
#include <filesystem>
#include <initializer_list>

namespace attelier::desktop {
namespace {

constexpr double kBody = 15, kSmall = 13, kTitle = 20;  // pixels of the design

const char* first_file(std::initializer_list<const char*> files) {
  for (const char* file : files)
    if (std::filesystem::exists(file)) return file;
  return nullptr;
}

ImVec4 rgb(unsigned colour, float alpha = 1) {
  return {static_cast<float>(colour >> 16 & 255) / 255.0f, static_cast<float>(colour >> 8 & 255) / 255.0f, static_cast<float>(colour & 255) / 255.0f, alpha};
}
ImU32 packed(unsigned colour, float alpha = 1) { return ImGui::ColorConvertFloat4ToU32(rgb(colour, alpha)); }

/// A look is a ramp of greys and one accent.
struct Ramp {
  unsigned canvas, window, panel, control, hovered, pressed, line, text, faint, accent, accent_pressed, on_accent, good, bad, warn;
};
constexpr Ramp kDarkRamp = {0x131417, 0x1A1B1F, 0x212329, 0x2C2F37, 0x373B45, 0x434854, 0x34373F, 0xE7E8EB, 0x9DA1AC, 0x5B8DEF, 0x4676D8, 0xFFFFFF, 0x57B98A, 0xEF6A6A, 0xE0A94A};
constexpr Ramp kLightRamp = {0xD5D7DC, 0xECEDF0, 0xF8F8FA, 0xE1E3E8, 0xD5D8DF, 0xC7CBD4, 0xCFD2D9, 0x1B1D22, 0x5A5F6B, 0x2F66D0, 0x2556B6, 0xFFFFFF, 0x1F7D4F, 0xB93434, 0x8A5A00};

constexpr Ramp kContrastRamp = {0x000000, 0x000000, 0x0A0A0A, 0x1C1C1C, 0x3A3A3A, 0x505050, 0xB0B0B0, 0xFFFFFF, 0xD8D8D8, 0xFFD23F, 0xE0B000, 0x000000, 0x6FE3A5, 0xFF8A8A, 0xFFC45C};

const Ramp& ramp_of(Look look) { return look == Look::kDark ? kDarkRamp : look == Look::kLight ? kLightRamp : kContrastRamp; }

void set_colours(const Ramp& r, ImVec4* c) {
  c[ImGuiCol_Text] = rgb(r.text);
  c[ImGuiCol_TextDisabled] = rgb(r.faint);
  c[ImGuiCol_WindowBg] = rgb(r.window);
  c[ImGuiCol_ChildBg] = rgb(r.window, 0);
  c[ImGuiCol_PopupBg] = rgb(r.panel);
  c[ImGuiCol_Border] = rgb(r.line);
  c[ImGuiCol_BorderShadow] = rgb(0, 0);
  c[ImGuiCol_FrameBg] = rgb(r.control);
  c[ImGuiCol_FrameBgHovered] = rgb(r.hovered);
  c[ImGuiCol_FrameBgActive] = rgb(r.pressed);
  c[ImGuiCol_TitleBg] = c[ImGuiCol_TitleBgActive] = c[ImGuiCol_TitleBgCollapsed] = rgb(r.panel);
  c[ImGuiCol_MenuBarBg] = rgb(r.window);
  c[ImGuiCol_ScrollbarBg] = rgb(r.window, 0);
  c[ImGuiCol_ScrollbarGrab] = rgb(r.control);
  c[ImGuiCol_ScrollbarGrabHovered] = rgb(r.hovered);
  c[ImGuiCol_ScrollbarGrabActive] = rgb(r.pressed);
  c[ImGuiCol_CheckMark] = rgb(r.accent);
  c[ImGuiCol_SliderGrab] = rgb(r.accent);
  c[ImGuiCol_SliderGrabActive] = rgb(r.accent_pressed);
  c[ImGuiCol_Button] = rgb(r.control);
  c[ImGuiCol_ButtonHovered] = rgb(r.hovered);
  c[ImGuiCol_ButtonActive] = rgb(r.pressed);
  c[ImGuiCol_Header] = rgb(r.control);
  c[ImGuiCol_HeaderHovered] = rgb(r.hovered);
  c[ImGuiCol_HeaderActive] = rgb(r.pressed);
  c[ImGuiCol_Separator] = rgb(r.line);
  c[ImGuiCol_SeparatorHovered] = rgb(r.accent, 0.6f);
  c[ImGuiCol_SeparatorActive] = rgb(r.accent);
  c[ImGuiCol_ResizeGrip] = rgb(r.control);
  c[ImGuiCol_Tab] = rgb(r.window);
  c[ImGuiCol_TabHovered] = rgb(r.hovered);
  c[ImGuiCol_TabActive] = rgb(r.control);
  c[ImGuiCol_PlotHistogram] = rgb(r.accent);
  c[ImGuiCol_TableBorderLight] = c[ImGuiCol_TableBorderStrong] = rgb(r.line);
  c[ImGuiCol_TableHeaderBg] = rgb(r.panel);
  c[ImGuiCol_TextSelectedBg] = rgb(r.accent, 0.4f);
  c[ImGuiCol_DragDropTarget] = rgb(r.accent);
  c[ImGuiCol_NavHighlight] = rgb(r.accent);
  c[ImGuiCol_ModalWindowDimBg] = rgb(0x000000, 0.5f);
}

}  // namespace

const char* name_of(Look look) { return look == Look::kLight ? "light" : look == Look::kContrast ? "contrast" : "dark"; }
Look look_of(const std::string& name) { return name == "light" ? Look::kLight : name == "contrast" ? Look::kContrast : Look::kDark; }

bool Theme::lacks(const std::string& text) const {
  if (wants_east_asian_) return false;
  for (size_t i = 0; i + 2 < text.size(); ++i) {  // characters of three bytes
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0xE2 || lead > 0xEF) continue;
    const unsigned code = (lead & 15u) << 12 | (static_cast<unsigned char>(text[i + 1]) & 63u) << 6 | (static_cast<unsigned char>(text[i + 2]) & 63u);
    if ((code >= 0x2E80 && code <= 0xD7A3) || (code >= 0xF900 && code <= 0xFAFF) || (code >= 0xFF00 && code <= 0xFFEF)) return true;
  }
  return false;
}

void Theme::load_fonts() {
  ImFontAtlas& atlas = *ImGui::GetIO().Fonts;
  atlas.Clear();
  atlas.FontBuilderIO = ImGuiFreeType::GetBuilderForFreeType();
  const char* const text = first_file({"/usr/share/fonts/opentype/inter/Inter-Regular.otf", "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
                                       "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"});
  const char* const strong = first_file({"/usr/share/fonts/opentype/inter/Inter-SemiBold.otf", "/usr/share/fonts/truetype/noto/NotoSans-SemiBold.ttf",
                                         "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"});
  const char* const mono = first_file({"/usr/share/fonts/truetype/jetbrains-mono/JetBrainsMono-Regular.ttf", "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf"});
  static const ImWchar kRanges[] = {0x20, 0x24F, 0x370, 0x3FF, 0x400, 0x52F, 0x2000, 0x206F, 0x2190, 0x21FF, 0x2200, 0x22FF, 0x25A0, 0x25FF, 0};
  static const ImWchar kEastAsian[] = {0x3000, 0x30FF, 0x31F0, 0x31FF, 0x4E00, 0x9FFF, 0xAC00, 0xD7A3, 0xFF00, 0xFFEF, 0};
  const char* const east_asian = !wants_east_asian_ ? nullptr
                                                    : first_file({"/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
                                                                  "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc"});
  const auto add = [&](const char* file, double size, bool is_text = true) {
    const auto pixels = static_cast<float>(std::round(size * scale_));
    ImFont* const font = file == nullptr ? atlas.AddFontDefault() : atlas.AddFontFromFileTTF(file, pixels, nullptr, kRanges);
    if (!is_text || east_asian == nullptr) return font;
    ImFontConfig merged;
    merged.MergeMode = true;
    return atlas.AddFontFromFileTTF(east_asian, pixels, &merged, kEastAsian);
  };
  fonts_ = {add(text, kBody), add(text, kSmall), add(strong != nullptr ? strong : text, kTitle, false), add(mono != nullptr ? mono : text, kSmall, false)};
  warning_ = text == nullptr ? "No text font was found; install fonts-inter or fonts-dejavu-core for a better look." : "";
  if (wants_east_asian_ && east_asian == nullptr) warning_ = "No font for Chinese, Japanese and Korean was found; install fonts-noto-cjk to read such texts.";
  has_east_asian_ = wants_east_asian_;
  atlas.Build();
}

void Theme::apply(Look look, double scale) {
  const bool rescaled = scale != scale_ || wants_east_asian_ != has_east_asian_;
  look_ = look;
  scale_ = scale;
  const Ramp& r = ramp_of(look);
  ImGuiStyle style;  // a pristine one: scaling twice would round twice
  style.WindowPadding = {12, 12};
  style.FramePadding = {8, 5};
  style.ItemSpacing = {8, 8};
  style.ItemInnerSpacing = {8, 4};
  style.CellPadding = {8, 4};
  style.IndentSpacing = 16;
  style.ScrollbarSize = 12;
  style.GrabMinSize = 12;
  style.WindowRounding = 0;
  style.ChildRounding = 0;
  style.FrameRounding = 4;
  style.PopupRounding = 6;
  style.GrabRounding = 4;
  style.TabRounding = 4;
  style.ScrollbarRounding = 6;
  style.WindowBorderSize = 0;
  style.ChildBorderSize = 0;
  style.PopupBorderSize = 1;
  style.FrameBorderSize = look == Look::kContrast ? 1 : 0;  // edges of what is pressed and typed in, without telling greys apart
  style.WindowTitleAlign = {0, 0.5f};
  style.ScaleAllSizes(static_cast<float>(scale));
  set_colours(r, style.Colors);
  ImGui::GetStyle() = style;
  palette_ = {packed(r.text), packed(r.faint), packed(r.accent), packed(r.good), packed(r.bad), packed(r.warn), packed(r.canvas), packed(r.control), packed(r.panel), packed(r.line),
              packed(r.on_accent)};
  if (!rescaled) return;
  load_fonts();
  ImGui_ImplOpenGL3_DestroyFontsTexture();
  ImGui_ImplOpenGL3_CreateFontsTexture();
}

}  // namespace attelier::desktop
