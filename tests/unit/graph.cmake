# The reference interpreter of graphs; the conformance suite and other modules' tests use it too.
sal_test_objects(naive_graph unit/naive_graph.c unit/naive_rules.c unit/naive_window.c)
# Small graphs to feed it.
sal_test_objects(graph_builder unit/graph_builder.c)
sal_test_objects(token_nets unit/token_nets.c)

foreach(name test_graph test_graph_shapes test_graph_naive test_passes test_passes_layout test_passes_models)
  sal_unit_test(${name} LABELS graph MODULES base graph SUPPORT token_nets graph_builder naive_graph)
endforeach()
