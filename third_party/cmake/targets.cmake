# attelier_library, attelier_program and attelier_test: one macro per kind of target.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
add_compile_options(-Wall -Wextra)

find_program(CCACHE ccache)
if(CCACHE)
  # The two sloppiness settings let ccache work with a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_compile_options(-fpch-preprocess)
  endif()
endif()
find_program(MOLD mold)
if(MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # mold 1.10 begins the read-only relocations at a thread-local variable's address just behind the code: where that lies at the end of a page, the loader
  # refuses the program ("cannot apply additional memory protection after relocation"). Segments of whole pages have no such end.
  add_link_options(-fuse-ld=mold -Wl,-z,separate-loadable-segments)
endif()

if(ATTELIER_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
endif()
if(ATTELIER_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
endif()

# One precompiled header for everything: a unit that includes ATen costs seconds without it. The wheel's {fmt} headers come before the system's; their
# functions are compiled in this library alone, which saves every other unit a fifth of its time.
add_library(attelier_precompiled STATIC ${CMAKE_CURRENT_LIST_DIR}/precompiled.cpp)
target_link_libraries(attelier_precompiled PUBLIC libtorch nlohmann_json::nlohmann_json)
target_include_directories(attelier_precompiled PUBLIC ${CMAKE_SOURCE_DIR})
target_precompile_headers(attelier_precompiled PRIVATE
  <ATen/ATen.h> <fmt/format.h> <fmt/ranges.h> <nlohmann/json.hpp>
  <algorithm> <cstdint> <deque> <filesystem> <functional> <map> <memory> <optional> <span> <stop_token> <string> <string_view> <vector>)

# attelier_library(NAME SOURCES a.cpp ... [LINK target ...])
function(attelier_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC attelier_precompiled ${arg_LINK})
  target_precompile_headers(${name} REUSE_FROM attelier_precompiled)
endfunction()

# attelier_program(NAME SOURCES a.cpp ... [LINK target ...])
function(attelier_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE attelier_precompiled ${arg_LINK} Threads::Threads)
  target_precompile_headers(${name} REUSE_FROM attelier_precompiled)
endfunction()

# attelier_test(NAME SOURCES a_test.cpp ... [LINK target ...] [SERIAL]): a GoogleTest program whose cases ctest sees one by one.
# ATTELIER_TEST_DATA names the folder of the committed fixtures.
function(attelier_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  attelier_program(${name} SOURCES ${arg_SOURCES} LINK ${arg_LINK} GTest::gtest GTest::gtest_main)
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)  # what is measured lies in the libraries
  set_source_files_properties(${arg_SOURCES} PROPERTIES COMPILE_DEFINITIONS "ATTELIER_SOURCE_DIR=\"${CMAKE_SOURCE_DIR}\"")
  add_test(NAME ${name} COMMAND ${name})
  # One thread a program: ctest runs several side by side, and small tensors gain nothing from more.
  set_tests_properties(${name} PROPERTIES TIMEOUT 900 ENVIRONMENT OMP_NUM_THREADS=1)
endfunction()

# attelier_fuzzer(NAME SOURCES a_fuzz.cpp ... [LINK target ...]): a libFuzzer program, only with the fuzz preset.
function(attelier_fuzzer name)
  if(NOT ATTELIER_FUZZ)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  attelier_program(${name} SOURCES ${arg_SOURCES} LINK ${arg_LINK})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  target_compile_definitions(${name} PRIVATE ATTELIER_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
endfunction()
