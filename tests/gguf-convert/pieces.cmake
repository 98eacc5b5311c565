target_sources(${target} PRIVATE ${PROJECT_SOURCE_DIR}/gguf-convert/pieces.c ${common})
target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tools)
