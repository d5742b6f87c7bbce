sal_unit_test(test_dataset MODULES base dataset)
sal_unit_test(test_digest MODULES base)
