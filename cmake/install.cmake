# What `cmake --install` puts in place: both libraries, the public headers, and the files that pkg-config and
# find_package look for.  All paths in them are relative, so the tree may be moved.
include(CMakePackageConfigHelpers)
set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ggml-lite)

install(TARGETS ggml-lite EXPORT ggml-lite-targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES $<TARGET_FILE:ggml-lite-static> DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY quant/include/ ggml-lite/include/ model/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT ggml-lite-targets NAMESPACE ggml-lite:: DESTINATION ${config_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/ggml-lite-config-version.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES cmake/ggml-lite-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/ggml-lite-config-version.cmake
    DESTINATION ${config_dir})

if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    set(pc_prefix ${CMAKE_INSTALL_PREFIX})
    set(pc_libdir ${CMAKE_INSTALL_LIBDIR})
else()
    file(RELATIVE_PATH up ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
    string(REGEX REPLACE "/$" "" up "${up}")
    set(pc_prefix "\${pcfiledir}/${up}")
    set(pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
    set(pc_includedir ${CMAKE_INSTALL_INCLUDEDIR})
else()
    set(pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
# For pkg-config --static.
set(pc_requires)
foreach(module HWLOC:hwloc XXHASH:libxxhash JANSSON:jansson)
    string(REPLACE ":" ";" module ${module})
    list(GET module 0 prefix)
    list(GET module 1 name)
    if(${prefix}_FOUND)
        list(APPEND pc_requires ${name})
    endif()
endforeach()
list(JOIN pc_requires ", " pc_requires)
set(pc_libs "-lm -pthread")
if(OpenMP_C_FOUND)
    string(APPEND pc_libs " ${OpenMP_C_FLAGS}")
endif()
configure_file(cmake/ggml-lite.pc.in ggml-lite.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/ggml-lite.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
