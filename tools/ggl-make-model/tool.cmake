# tokenizer.json as a C array, so that the tool needs no files beside it.
set(embedded ${CMAKE_CURRENT_BINARY_DIR}/embedded_tokenizer.c)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${folder}/tokenizer.json)
file(READ ${folder}/tokenizer.json hex HEX)
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
file(CONFIGURE OUTPUT ${embedded} CONTENT "#include \"ggl-make-model/plan.h\"
const unsigned char embedded_tokenizer[] = {
@hex@};
const size_t embedded_tokenizer_size = sizeof(embedded_tokenizer);
" @ONLY)
target_sources(${tool} PRIVATE ${embedded})
