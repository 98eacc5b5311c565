# libggml-lite: the four layers in one library, shared and static.
set(layers ggl_quant ggl_core ggl_checkpoint ggl_model)
foreach(kind SHARED STATIC)
    if(kind STREQUAL SHARED)
        set(target ggml-lite)
    else()
        set(target ggml-lite-static)
    endif()
    add_library(${target} ${kind})
    foreach(layer ${layers})
        target_sources(${target} PRIVATE $<TARGET_OBJECTS:${layer}>)
    endforeach()
    target_link_libraries(${target} PRIVATE ggl_flags ggl_deps)
    foreach(folder quant ggml-lite model)
        target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/${folder}/include>)
    endforeach()
    target_include_directories(${target} PUBLIC $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    set_target_properties(${target} PROPERTIES OUTPUT_NAME ggml-lite VERSION ${PROJECT_VERSION}
        SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
endforeach()

# What tests and tools that need internals link: the static library with every include folder.
add_library(ggl_internal INTERFACE)
target_link_libraries(ggl_internal INTERFACE ggml-lite-static ggl_flags ggl_deps)
target_include_directories(ggl_internal INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/ggml-lite
    ${PROJECT_SOURCE_DIR}/gguf-convert/include)

add_library(ggml-lite::ggml-lite ALIAS ggml-lite) # the same name as find_package gives
if(PROJECT_IS_TOP_LEVEL)
    include(cmake/install.cmake)
endif()
