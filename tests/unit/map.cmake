sal_unit_test(test_map MODULES base map)
sal_unit_test(test_smooth MODULES base map)
sal_unit_test(test_map_upsample MODULES base map)
sal_unit_test(test_colormap MODULES base map)
sal_unit_test(test_map_blend MODULES base map)
sal_unit_test(test_figure MODULES base map)

# The committed colour tables against matplotlib itself, where it is installed.
find_program(SAL_PYTHON NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH)
if(SAL_PYTHON)
  add_test(NAME colormaps_match_matplotlib COMMAND ${SAL_PYTHON} ${PROJECT_SOURCE_DIR}/scripts/make_colormaps.py --check)
  set_tests_properties(colormaps_match_matplotlib PROPERTIES SKIP_RETURN_CODE 77)
endif()
