# For ${target}: every allocation of our own code goes through support/failing_alloc.h, where the linker can do that.
include(CheckLinkerFlag)
check_linker_flag(C "-Wl,--wrap=malloc" GGL_LINKER_WRAPS)
if(GGL_LINKER_WRAPS)
    target_link_options(${target} PRIVATE -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc
        -Wl,--wrap=aligned_alloc -Wl,--wrap=strdup -Wl,--wrap=free)
    target_compile_definitions(${target} PRIVATE GGL_TEST_WRAPS_ALLOC=1)
endif()
