# find_package(ggml-lite): the imported target ggml-lite::ggml-lite, the shared library.
include(${CMAKE_CURRENT_LIST_DIR}/ggml-lite-targets.cmake)
