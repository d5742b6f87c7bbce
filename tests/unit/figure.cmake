# Pages: with Debian's fonts-dejavu-core, whose letters some of the measures are.
foreach(name test_figure test_page)
  sal_unit_test(${name} LABELS figure MODULES base image map figure LIBRARIES PkgConfig::CAIRO)
endforeach()
