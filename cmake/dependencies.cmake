# Every dependency is looked for and none is required.  Each found one becomes a
# GGL_HAVE_* definition and a link library of the interface target ggl_deps.
find_package(PkgConfig QUIET)
find_package(Threads REQUIRED)
add_library(ggl_deps INTERFACE)
target_link_libraries(ggl_deps INTERFACE Threads::Threads m)

if(GGML_LITE_OPENMP)
    find_package(OpenMP COMPONENTS C QUIET)
    if(OpenMP_C_FOUND)
        target_link_libraries(ggl_deps INTERFACE OpenMP::OpenMP_C)
        target_compile_definitions(ggl_deps INTERFACE GGL_HAVE_OPENMP=1)
    endif()
endif()

function(ggl_find option prefix module define)
    if(${option} AND PKG_CONFIG_FOUND)
        pkg_check_modules(${prefix} QUIET IMPORTED_TARGET ${module})
        if(${prefix}_FOUND AND define)
            target_link_libraries(ggl_deps INTERFACE PkgConfig::${prefix})
            target_compile_definitions(ggl_deps INTERFACE ${define}=1)
        endif()
    endif()
endfunction()

ggl_find(GGML_LITE_HWLOC HWLOC hwloc GGL_HAVE_HWLOC)
ggl_find(GGML_LITE_XXHASH XXHASH libxxhash GGL_HAVE_XXHASH)
ggl_find(GGML_LITE_JANSSON JANSSON jansson GGL_HAVE_JANSSON)
ggl_find(GGML_LITE_OPENBLAS OPENBLAS openblas "") # tests only
ggl_find(GGML_LITE_TESTS CMOCKA cmocka "")        # tests only
