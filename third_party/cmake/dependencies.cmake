# Finds every dependency; third_party/bootstrap installs what is missing.

# libtorch from the PyPI wheel. find_package(Torch) demands a full CUDA Toolkit even for a CPU build, so the target is written by hand.
set(ATTELIER_TORCH_VERSION 2.11.0)
if(DEFINED ENV{XDG_CACHE_HOME} AND NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
  set(_cache "$ENV{XDG_CACHE_HOME}")
else()
  set(_cache "$ENV{HOME}/.cache")
endif()
set(ATTELIER_TORCH_DIR "${_cache}/attelier/deps/torch-${ATTELIER_TORCH_VERSION}/torch" CACHE PATH "The torch folder of the PyPI wheel torch==${ATTELIER_TORCH_VERSION}")
if(NOT EXISTS "${ATTELIER_TORCH_DIR}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "libtorch ${ATTELIER_TORCH_VERSION} is not in ${ATTELIER_TORCH_DIR}; run third_party/bootstrap or set -DATTELIER_TORCH_DIR=.../site-packages/torch")
endif()
add_library(libtorch INTERFACE IMPORTED GLOBAL)
target_include_directories(libtorch SYSTEM INTERFACE
  "${ATTELIER_TORCH_DIR}/include" "${ATTELIER_TORCH_DIR}/include/torch/csrc/api/include")
# libtorch_cpu.so needs libcudart and libcupti at load time; the wheels beside torch/ carry them.
target_link_libraries(libtorch INTERFACE
  "${ATTELIER_TORCH_DIR}/lib/libtorch_cpu.so" "${ATTELIER_TORCH_DIR}/lib/libc10.so"
  "-Wl,-rpath-link,${ATTELIER_TORCH_DIR}/../nvidia/cu13/lib")

find_package(Threads REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(OpenSSL REQUIRED)  # SHA-256 of models and jobs
find_package(PNG)
find_package(ICU COMPONENTS uc data)  # Unicode categories, normal forms and lower case of the tokenizer
find_package(OpenCV COMPONENTS core imgproc imgcodecs OPTIONAL_COMPONENTS videoio)
find_path(STB_INCLUDE_DIR stb_image.h PATH_SUFFIXES stb)
find_package(CLI11)
find_package(SQLite3)  # queue and history

# The window: GLFW, Dear ImGui (a static library whose own package file names neither GL nor FreeType), OpenGL through epoxy.
find_package(PkgConfig)
if(PkgConfig_FOUND)
  pkg_check_modules(IMGUI IMPORTED_TARGET imgui)
  pkg_check_modules(EPOXY IMPORTED_TARGET epoxy)
endif()
find_package(glfw3 3.3 QUIET)
find_package(OpenGL)
find_package(Freetype)
if(IMGUI_FOUND AND EPOXY_FOUND AND glfw3_FOUND AND OpenGL_FOUND AND Freetype_FOUND)
  add_library(attelier_gui_toolkit INTERFACE)
  target_include_directories(attelier_gui_toolkit SYSTEM INTERFACE ${IMGUI_INCLUDE_DIRS} ${IMGUI_INCLUDEDIR}/backends)
  target_link_libraries(attelier_gui_toolkit INTERFACE PkgConfig::IMGUI glfw PkgConfig::EPOXY OpenGL::GL Freetype::Freetype)
endif()

if(BUILD_TESTING)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
