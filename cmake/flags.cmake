# Flags of every target of ours, carried by the interface target ggl_flags; nothing global is changed.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(ggl_flags INTERFACE)
# No contraction: a multiply and an add are two roundings everywhere but in a kernel that says otherwise,
# so that Debug, Release, gcc and clang give the same bits.
target_compile_options(ggl_flags INTERFACE -Wall -Wextra -Wshadow -Wconversion -ffp-contract=off)
target_compile_definitions(ggl_flags INTERFACE GGL_VERSION="${PROJECT_VERSION}" _GNU_SOURCE $<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
if(GGML_LITE_WERROR)
    target_compile_options(ggl_flags INTERFACE -Werror)
endif()
if(GGML_LITE_SANITIZE)
    target_compile_options(ggl_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all
                                               -fno-omit-frame-pointer)
    target_link_options(ggl_flags INTERFACE -fsanitize=address,undefined)
endif()
if(GGML_LITE_FUZZ)
    target_compile_options(ggl_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
