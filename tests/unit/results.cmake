# Results on the disk. What the tests share is compiled once.
sal_test_objects(results_support unit/results_support.c)
target_link_libraries(results_support PRIVATE PkgConfig::CRITERION PkgConfig::SQLITE)

# sal_results_test(NAME [CALL...]): the calls go to __wrap_CALL of the test.
function(sal_results_test name)
  list(TRANSFORM ARGN PREPEND "-Wl,--wrap=" OUTPUT_VARIABLE wraps)
  list(APPEND wraps -Wl,--wrap=sqlite3_db_config)
  sal_unit_test(${name} LABELS results MODULES base dataset results SUPPORT results_support LIBRARIES PkgConfig::SQLITE PkgConfig::JANSSON
                ${wraps})
endfunction()

sal_results_test(test_results_sql)
sal_results_test(test_results_in_flight pwrite)
sal_results_test(test_results_limits)
sal_results_test(test_results_tables)
sal_results_test(test_results_export)
# The store's clock, its waits and what it asks of the system.
sal_results_test(test_results_store syncfs nanosleep clock_gettime pthread_cond_timedwait pthread_cond_wait
                                    pthread_cond_init pthread_create malloc)
sal_results_test(test_results_run syncfs linkat openat)
sal_results_test(test_results_remove)
sal_results_test(test_results_files)
sal_results_test(test_results_merge syncfs renameat)
# Allocations and SQLite.
sal_results_test(test_results_faults malloc aligned_alloc realloc strdup free open_memstream fclose newlocale syncfs sqlite3_exec
                                     sqlite3_prepare_v2 sqlite3_step sqlite3_bind_int64 sqlite3_bind_double
                                     sqlite3_bind_null sqlite3_bind_text sqlite3_bind_blob64
                                     sqlite3_extended_result_codes sqlite3_reset sqlite3_close)
