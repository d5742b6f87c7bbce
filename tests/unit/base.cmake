sal_unit_test(test_digest LABELS base MODULES base)
sal_unit_test(test_base_limits LABELS base MODULES base)
sal_unit_test(test_confine LABELS base MODULES base)
sal_unit_test(test_free_memory LABELS base MODULES base)
