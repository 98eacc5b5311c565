# Processor-specific kernels: GGL_SIMD is x86, arm or empty.  Without them GGL_PLAIN_C keeps them off every list.
include(CheckCCompilerFlag)
set(GGL_SIMD)
if(GGML_LITE_SIMD AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    # The youngest level: a compiler that knows it knows the others.
    check_c_compiler_flag("-mavx512f -mavx512bf16" GGL_COMPILER_AVX512)
    if(GGL_COMPILER_AVX512)
        set(GGL_SIMD x86)
    endif()
elseif(GGML_LITE_SIMD AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    check_c_compiler_flag("-march=armv8.2-a+dotprod+i8mm" GGL_COMPILER_I8MM)
    if(GGL_COMPILER_I8MM)
        set(GGL_SIMD arm)
    endif()
endif()
if(NOT GGL_SIMD)
    target_compile_definitions(ggl_deps INTERFACE GGL_PLAIN_C=1)
endif()

# A file for one level of one processor is x86_<level>.c or arm_<level>.c, with the flags of its level and no other's.
set(flags_x86_avx2 -mavx2 -mfma -mf16c)
set(flags_x86_avx512 ${flags_x86_avx2} -mavx512f -mavx512bw -mavx512vl -mavx512dq)
set(flags_x86_avx512vnni ${flags_x86_avx512} -mavx512vnni)
set(flags_x86_avx512bf16 ${flags_x86_avx512} -mavx512bf16)
set(flags_x86_avx512vbmi ${flags_x86_avx512} -mavx512vbmi)
set(flags_x86_avx512vnni_vbmi ${flags_x86_avx512vnni} -mavx512vbmi)
set(flags_x86_avx512bf16_vbmi ${flags_x86_avx512bf16} -mavx512vbmi)
set(flags_arm_neon)
set(flags_arm_dotprod -march=armv8.2-a+dotprod)
set(flags_arm_i8mm -march=armv8.2-a+dotprod+i8mm)

# ggl_kernel(level file): no link-time optimisation, which would mix the levels again; and what is scalar there is
# meant so: gcc packs single bytes into vectors at a loss.
function(ggl_kernel level file)
    if(NOT level MATCHES "^(x86_avx2|x86_avx512|x86_avx512vnni|x86_avx512bf16|x86_avx512vbmi|x86_avx512vnni_vbmi|x86_avx512bf16_vbmi|arm_neon|arm_dotprod|arm_i8mm)$")
        message(FATAL_ERROR "${file}: no such level")
    endif()
    set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS "${flags_${level}};-fno-lto;-fno-tree-slp-vectorize")
endfunction()
