# Debian's cross compiler for arm64, and QEMU to run what it makes: cmake --toolchain cmake/aarch64-linux-gnu.cmake ...
# Libraries and their .pc files are those of Debian's arm64 packages (libcmocka-dev:arm64), where multiarch has them.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig)

# Tests run under the emulator; its environment variable QEMU_CPU says which processor it plays.  The cross compiler
# brings a C library of its own, for systems without libc6:arm64; a program that gets halves of both hangs.
find_program(QEMU_AARCH64 NAMES qemu-aarch64 qemu-aarch64-static)
if(QEMU_AARCH64)
    set(CMAKE_CROSSCOMPILING_EMULATOR ${QEMU_AARCH64})
    if(NOT EXISTS /lib/ld-linux-aarch64.so.1)
        list(APPEND CMAKE_CROSSCOMPILING_EMULATOR -L /usr/aarch64-linux-gnu)
    endif()
endif()
