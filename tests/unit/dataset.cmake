sal_unit_test(test_dataset LABELS dataset MODULES base dataset)
