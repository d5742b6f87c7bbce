# cmake -DFROM=FILE -DTO=FILE.c -DNAME=NAME -P embed.cmake: a file's bytes as a C array, NAME and NAME_size.
file(READ ${FROM} bytes HEX)
string(REGEX REPLACE "(................................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE ${TO}
     "#include \"planning/driver_stand_in.h\"\n\nconst unsigned char ${NAME}[] = {\n${bytes}\n};\nconst size_t ${NAME}_size = sizeof ${NAME};\n")
