sal_unit_test(test_digest LABELS base MODULES base)
