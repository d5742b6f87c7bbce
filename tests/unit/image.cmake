foreach(name image_decode image_damage image_memory image_write preprocess_text preprocess_apply resample recipe)
  sal_unit_test(test_${name} LABELS image MODULES base image)
endforeach()
# It opens what it wrote with libzip itself.
sal_unit_test(test_image_encode LABELS image MODULES base image LIBRARIES PkgConfig::ZIP)
