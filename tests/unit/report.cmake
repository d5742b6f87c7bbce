sal_unit_test(test_report LABELS report LIBRARIES salmap_internal PkgConfig::JANSSON PkgConfig::SQLITE)
