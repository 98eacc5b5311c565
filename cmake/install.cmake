# What `cmake --install` puts in place: both libraries, the public headers, and the files that pkg-config and
# find_package look for.  All paths in them are relative, so the tree may be moved.
include(CMakePackageConfigHelpers)
set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ggml-lite)

install(TARGETS ggml-lite EXPORT ggml-lite-targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES $<TARGET_FILE:ggml-lite-static> DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES LICENSE NOTICE NEWS.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
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
# For linking libggml-lite.a; the libraries under it stay shared.
set(pc_libs -lm -pthread)
foreach(prefix HWLOC XXHASH JANSSON)
    if(${prefix}_FOUND)
        list(PREPEND pc_libs ${${prefix}_LDFLAGS})
    endif()
endforeach()
if(OpenMP_C_FOUND)
    list(APPEND pc_libs ${OpenMP_C_FLAGS})
endif()
list(JOIN pc_libs " " pc_libs)
configure_file(cmake/ggml-lite.pc.in ggml-lite.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/ggml-lite.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
