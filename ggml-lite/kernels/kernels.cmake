# Kernels for one level of one processor: <folder>/x86_<level>.c and <folder>/arm_<level>.c, each with the flags of
# its level and no other file's.  Sets `kernels` to those that this build has.
set(flags_x86_avx2 -mavx2 -mfma -mf16c)
set(flags_x86_avx512 ${flags_x86_avx2} -mavx512f -mavx512bw -mavx512vl -mavx512dq)
set(flags_x86_avx512vnni ${flags_x86_avx512} -mavx512vnni)
set(flags_x86_avx512bf16 ${flags_x86_avx512} -mavx512bf16)
set(flags_x86_avx512vbmi ${flags_x86_avx512} -mavx512vbmi)
set(flags_x86_amx ${flags_x86_avx512vnni} -mavx512vbmi -mamx-tile -mamx-int8 -mamx-bf16)
set(flags_x86_avx512vnni_vbmi ${flags_x86_avx512vnni} -mavx512vbmi)
set(flags_x86_avx512bf16_vbmi ${flags_x86_avx512bf16} -mavx512vbmi)
set(flags_arm_neon)
set(flags_arm_dotprod -march=armv8.2-a+dotprod)
set(flags_arm_i8mm -march=armv8.2-a+dotprod+i8mm)

# ggl_kernel(level file): no link-time optimisation, which would mix the levels again; and what is scalar there is
# meant so: gcc packs single bytes into vectors at a loss.
function(ggl_kernel level file)
    if(NOT level MATCHES "^(x86_avx2|x86_amx|x86_avx512|x86_avx512vnni|x86_avx512bf16|x86_avx512vbmi|x86_avx512vnni_vbmi|x86_avx512bf16_vbmi|arm_neon|arm_dotprod|arm_i8mm)$")
        message(FATAL_ERROR "${file}: no such level")
    endif()
    set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS "${flags_${level}};-fno-lto;-fno-tree-slp-vectorize")
endfunction()

set(kernels)
if(GGL_SIMD)
    file(GLOB kernels CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*/${GGL_SIMD}_*.c)
    foreach(file ${kernels})
        cmake_path(GET file STEM level)
        ggl_kernel(${level} ${file})
    endforeach()
endif()
