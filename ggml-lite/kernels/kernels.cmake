# Kernels for one level of one processor: <folder>/x86_<level>.c and <folder>/arm_<level>.c.  Sets `kernels` to those that
# this build has.
set(kernels)
if(GGL_SIMD)
    file(GLOB kernels CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*/${GGL_SIMD}_*.c)
    if(NOT GGL_COMPILER_AVX512FP16)
        list(FILTER kernels EXCLUDE REGEX "/x86_avx512fp16\\.c$")
    endif()
    foreach(file ${kernels})
        cmake_path(GET file STEM level)
        ggl_kernel(${level} ${file})
    endforeach()
endif()
