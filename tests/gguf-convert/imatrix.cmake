include(${CMAKE_CURRENT_SOURCE_DIR}/support/failing_alloc.cmake)
